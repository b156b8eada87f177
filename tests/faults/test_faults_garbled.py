"""Rows 16 to 22: an answer comes, and it is nothing to go by."""

import gzip
from collections.abc import Callable
from functools import partial
from typing import Final

import pytest

from nrm_async import (
    NRMClient,
    NRMError,
    ResponseError,
    TransportError,
)
from nrm_async._transport import body as bodies
from tests.faults.conftest import (
    Loss,
    check_loss,
    check_read_again,
    check_read_fails,
    every_loss,
)
from tests.faults.server import (
    Fault,
    FaultServer,
    Framing,
    blurt,
    cut,
    flood,
    head,
    say,
)

# --- 16, 17: the answer is cut ---------------------------------------------------------------


@pytest.mark.parametrize("framing", ["length", "chunked"])
@every_loss
async def test_faults_16_cut_short_of_its_length(
    server: FaultServer, client: NRMClient, loss: Loss, framing: Framing
) -> None:
    """A body that is shorter than it was said to be says nothing."""
    await check_loss(client, server, loss, partial(cut, framing), status=200)


@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_faults_16_a_page_cut_short_of_its_length(
    server: FaultServer, client: NRMClient, framing: Framing
) -> None:
    """The same for a read, which is sent again."""
    await check_read_again(client, server, cut(framing, applied=False), TransportError)


@pytest.mark.parametrize("framing", ["none", "gzip"])
@every_loss
async def test_faults_17_cut_silently(
    server: FaultServer, client: NRMClient, loss: Loss, framing: Framing
) -> None:
    """Nothing tells that there was more, but what there is makes no sense."""
    await check_loss(client, server, loss, partial(cut, framing), status=200)


@pytest.mark.parametrize("framing", ["none", "gzip"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
async def test_faults_17_a_page_cut_silently(
    server: FaultServer, client: NRMClient, framing: Framing, share: float
) -> None:
    """The same for a read, wherever it is cut: it is sent again, and never silently short."""
    await check_read_again(client, server, cut(framing, applied=False, share=share), TransportError)


# --- 18, 19, 20: no HTTP, or too much of it --------------------------------------------------

GARBAGE: Final = {
    "banner": b"SSH-2.0-OpenSSH_9.6\r\n",
    "noise": bytes(range(256)) * 4,
    "half a status line": b"HTTP/1.1 2",
    "bad status": b"HTTP/1.1 abc OK\r\n\r\n",
    "bad length": head(200, {"Content-Length": "-5"}),
    "two lengths": head(200, {"Content-Length": "2"})[:-2] + b"Content-Length: 3\r\n\r\n{}",
    "bad chunk": head(200, {"Transfer-Encoding": "chunked"}) + b"zz\r\n{}\r\n",
    "bad gzip": head(200, {"Content-Encoding": "gzip", "Content-Length": "2"}) + b"{}",
}
every_garbage = pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())


@every_garbage
@pytest.mark.parametrize(
    "loss", [Loss("pause", applied=True), Loss("remediate", applied=True)], ids=str
)
async def test_faults_18_garbage_instead_of_http(
    server: FaultServer, client: NRMClient, loss: Loss, raw: bytes
) -> None:
    """What is no HTTP is no refusal either, whatever status the HTTP library makes up."""
    await check_loss(client, server, loss, partial(blurt, raw), status="any")


@every_garbage
async def test_faults_18_garbage_instead_of_a_page(
    server: FaultServer, client: NRMClient, raw: bytes
) -> None:
    """The same for a read, which is sent again."""
    await check_read_again(client, server, blurt(raw, applied=False), TransportError)


HUGE: Final = {
    "one": head(200, {"X-Huge": "x" * 100_000, "Content-Length": "2"}) + b"{}",
    "many": head(200, {f"X-{n}": "x" * 100 for n in range(50_000)}) + b"{}",
}
every_huge = pytest.mark.parametrize("raw", HUGE.values(), ids=HUGE.keys())


@every_huge
@every_loss
async def test_faults_19_huge_headers(
    server: FaultServer, client: NRMClient, loss: Loss, raw: bytes
) -> None:
    """Headers that nobody can want are not read to their end."""
    await check_loss(client, server, loss, partial(blurt, raw))


@every_huge
async def test_faults_19_huge_headers_of_a_page(
    server: FaultServer, client: NRMClient, raw: bytes
) -> None:
    """The same for a read, which is sent again, and then is an error."""
    await check_read_again(client, server, blurt(raw, applied=False), TransportError)


BOMB: Final = gzip.compress(bytes(8 * 2**20), 9)  # 8 MiB in 8 kB


def bomb(*, applied: bool) -> Fault:
    return say(BOMB, headers={"Content-Encoding": "gzip"}, applied=applied)


@pytest.fixture
def small_caps(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too long for memory is long; let it be short."""
    monkeypatch.setattr(bodies, "_MAX_PAGE_BYTES", 2**18)
    monkeypatch.setattr(bodies, "_MAX_ANSWER_BYTES", 2**16)


every_flood = pytest.mark.parametrize("fault", [bomb, flood], ids=["gzip-bomb", "endless"])


@every_flood
@every_loss
async def test_faults_20_more_than_is_read(
    server: FaultServer,
    client: NRMClient,
    small_caps: None,
    loss: Loss,
    fault: Callable[..., Fault],
) -> None:
    """A body is read no further than an answer can be long."""
    await check_loss(client, server, loss, fault, status=200)


@every_flood
async def test_faults_20_more_than_a_page(
    server: FaultServer, client: NRMClient, small_caps: None, fault: Callable[..., Fault]
) -> None:
    """The same for a read, where it is the answer that is wrong."""
    await check_read_fails(client, server, fault(applied=False), ResponseError)


# --- 21, 22: HTTP, but not what was agreed ---------------------------------------------------

HOSTILE: Final = {
    "depth": b"[" * 100_000,
    "depth inside": b'{"status": "paused", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "objects": b'{"a":' * 100_000,
    "number": b'{"status": "paused", "data": [], "ani": %s}' % (b"9" * 5_000),
    "status": b'{"status": %s, "data": %s}' % (b"9" * 5_000, b"9" * 5_000),
    "exponent": b'{"status": "paused", "data": 1e999999, "ani": 1e999999}',
    "nan": b'{"status": "paused", "data": NaN, "ani": NaN}',
    "surrogate": rb'{"status": "paused", "data": [{"id": 1, "phone": "\ud800"}], "ani": "\ud800"}',
    "bytes": b'{"status": "paused", "data": [{"id": 1, "phone": "\xff"}], "ani": "\xff"}',
    "array": b"[]",
    "text": b'"paused"',
    "null": b"null",
}
every_hostile = pytest.mark.parametrize("body", HOSTILE.values(), ids=HOSTILE.keys())


@every_hostile
@pytest.mark.parametrize(
    "loss", [Loss("pause", applied=True), Loss("activate", applied=False)], ids=str
)
async def test_faults_21_hostile_json(
    server: FaultServer, client: NRMClient, loss: Loss, body: bytes
) -> None:
    """JSON that breaks decoders breaks nothing here, and says nothing."""
    await check_loss(client, server, loss, partial(say, body), status=200)


@every_hostile
async def test_faults_21_a_hostile_page(
    server: FaultServer, client: NRMClient, body: bytes
) -> None:
    """The same for a read: the answer is wrong, and to ask again would not help."""
    if body.startswith(b'{"status": "paused", "data": [], "ani"'):
        body = body.replace(b"[]", b"9" * 5_000)
    await check_read_fails(client, server, say(body), ResponseError)


NOTHING: Final = {
    "html": (200, "<html><body>Please log in</body></html>"),
    "html-202": (202, "<html></html>"),
    "empty": (200, ""),
    "blank": (201, " \r\n"),
    "no content": (204, ""),
    "reset content": (205, ""),
}
every_nothing = pytest.mark.parametrize(("status", "body"), NOTHING.values(), ids=NOTHING.keys())


@every_nothing
@every_loss
async def test_faults_22_a_2xx_that_says_nothing(
    server: FaultServer, client: NRMClient, loss: Loss, status: int, body: str
) -> None:
    """A 2xx alone is never taken for applied."""
    await check_loss(client, server, loss, partial(say, body, status), status=status)


@every_nothing
async def test_faults_22_a_2xx_that_is_no_page(
    server: FaultServer, client: NRMClient, status: int, body: str
) -> None:
    """A 2xx alone is no page, and no empty inventory."""
    kind: type[NRMError] = ResponseError
    await check_read_fails(client, server, say(body, status), kind)
