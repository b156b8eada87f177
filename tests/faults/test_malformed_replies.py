"""Rows 16 to 22: a reply arrives that proves nothing."""

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
from tests.faults.conftest import Loss, check_loss, check_read_again, check_read_fails, every_loss
from tests.faults.server import Fault, FaultServer, Framing, cut, flood, head, say, send_raw

# --- 16, 17: truncated replies ---------------------------------------------------------------


@pytest.mark.fault(16)
@pytest.mark.parametrize("framing", ["length", "chunked"])
@every_loss
async def test_reply_shorter_than_its_length(
    server: FaultServer, client: NRMClient, loss: Loss, framing: Framing
) -> None:
    """A body shorter than announced proves nothing."""
    await check_loss(client, server, loss, partial(cut, framing), status=200)


@pytest.mark.fault(16)
@pytest.mark.parametrize("framing", ["length", "chunked"])
async def test_page_shorter_than_its_length(
    server: FaultServer, client: NRMClient, framing: Framing
) -> None:
    """The same for a read, which is retried."""
    await check_read_again(client, server, cut(framing, applied=False), TransportError)


@pytest.mark.fault(17)
@pytest.mark.parametrize("framing", ["none", "gzip"])
@every_loss
async def test_reply_cut_silently(
    server: FaultServer, client: NRMClient, loss: Loss, framing: Framing
) -> None:
    """No length shows that the body was cut, but what arrived is not valid."""
    await check_loss(client, server, loss, partial(cut, framing), status=200)


@pytest.mark.fault(17)
@pytest.mark.parametrize("framing", ["none", "gzip"])
@pytest.mark.parametrize("share", [0.1, 0.3, 0.6, 0.9])
async def test_page_cut_silently(
    server: FaultServer, client: NRMClient, framing: Framing, share: float
) -> None:
    """Wherever a page is cut, it is retried, and never taken for a shorter page."""
    await check_read_again(client, server, cut(framing, applied=False, share=share), TransportError)


# --- 18, 19, 20: not HTTP, or too much of it -------------------------------------------------

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


@pytest.mark.fault(18)
@every_garbage
@pytest.mark.parametrize(
    "loss", [Loss("pause", applied=True), Loss("remediate", applied=True)], ids=str
)
async def test_garbage_instead_of_http(
    server: FaultServer, client: NRMClient, loss: Loss, raw: bytes
) -> None:
    """It is not a refusal, whatever status the HTTP library makes of it."""
    await check_loss(client, server, loss, partial(send_raw, raw), status="any")


@pytest.mark.fault(18)
@every_garbage
async def test_garbage_instead_of_a_page(
    server: FaultServer, client: NRMClient, raw: bytes
) -> None:
    """The same for a read, which is retried."""
    await check_read_again(client, server, send_raw(raw, applied=False), TransportError)


HUGE: Final = {
    "one": head(200, {"X-Huge": "x" * 100_000, "Content-Length": "2"}) + b"{}",
    "many": head(200, {f"X-{n}": "x" * 100 for n in range(50_000)}) + b"{}",
}
every_huge = pytest.mark.parametrize("raw", HUGE.values(), ids=HUGE.keys())


@pytest.mark.fault(19)
@every_huge
@every_loss
async def test_huge_headers(server: FaultServer, client: NRMClient, loss: Loss, raw: bytes) -> None:
    """Headers are not read beyond a limit."""
    await check_loss(client, server, loss, partial(send_raw, raw))


@pytest.mark.fault(19)
@every_huge
async def test_huge_headers_of_a_page(server: FaultServer, client: NRMClient, raw: bytes) -> None:
    """The same for a read, which is retried and then fails."""
    await check_read_again(client, server, send_raw(raw, applied=False), TransportError)


BOMB: Final = gzip.compress(bytes(8 * 2**20), 9)  # 8 MiB in 8 kB


def bomb(*, applied: bool) -> Fault:
    return say(BOMB, headers={"Content-Encoding": "gzip"}, applied=applied)


@pytest.fixture
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lower the limits of body sizes, so that short bodies exceed them."""
    monkeypatch.setattr(bodies, "_MAX_PAGE_BYTES", 2**18)
    monkeypatch.setattr(bodies, "_MAX_ANSWER_BYTES", 2**16)


every_flood = pytest.mark.parametrize("fault", [bomb, flood], ids=["gzip-bomb", "endless"])


@pytest.mark.fault(20)
@every_flood
@every_loss
async def test_reply_exceeds_the_limit(
    server: FaultServer,
    client: NRMClient,
    small_limits: None,
    loss: Loss,
    fault: Callable[..., Fault],
) -> None:
    """A body is not read beyond the limit of its size."""
    await check_loss(client, server, loss, fault, status=200)


@pytest.mark.fault(20)
@every_flood
async def test_page_exceeds_the_limit(
    server: FaultServer, client: NRMClient, small_limits: None, fault: Callable[..., Fault]
) -> None:
    """The same for a read, which fails: the reply itself is wrong."""
    await check_read_fails(client, server, fault(applied=False), ResponseError)


# --- 21, 22: HTTP that breaks the contract ---------------------------------------------------

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


@pytest.mark.fault(21)
@every_hostile
@pytest.mark.parametrize(
    "loss", [Loss("pause", applied=True), Loss("activate", applied=False)], ids=str
)
async def test_hostile_json(
    server: FaultServer, client: NRMClient, loss: Loss, body: bytes
) -> None:
    """JSON that breaks decoders breaks nothing here, and proves nothing."""
    await check_loss(client, server, loss, partial(say, body), status=200)


@pytest.mark.fault(21)
@every_hostile
async def test_hostile_page(server: FaultServer, client: NRMClient, body: bytes) -> None:
    """The same for a read, which fails without a retry.

    A page with one odd value in a row is not hostile: see row 52.
    """
    if b'"data": [{' in body:
        body = body.replace(b'"data": [{', b'"rows": [{')
    if body.startswith(b'{"status": "paused", "data": [], "ani"'):
        body = body.replace(b"[]", b"9" * 5_000)
    await check_read_fails(client, server, say(body), ResponseError)


UNUSABLE: Final = {
    "html": (200, "<html><body>Please log in</body></html>"),
    "html-202": (202, "<html></html>"),
    "empty": (200, ""),
    "blank": (201, " \r\n"),
    "no content": (204, ""),
    "reset content": (205, ""),
}
every_unusable = pytest.mark.parametrize(("status", "body"), UNUSABLE.values(), ids=UNUSABLE.keys())


@pytest.mark.fault(22)
@every_unusable
@every_loss
async def test_2xx_without_a_usable_body(
    server: FaultServer, client: NRMClient, loss: Loss, status: int, body: str
) -> None:
    """The status 2xx alone never means applied."""
    await check_loss(client, server, loss, partial(say, body, status), status=status)


@pytest.mark.fault(22)
@every_unusable
async def test_2xx_without_a_page(
    server: FaultServer, client: NRMClient, status: int, body: str
) -> None:
    """The status 2xx alone is neither a page nor an empty inventory."""
    kind: type[NRMError] = ResponseError
    await check_read_fails(client, server, say(body, status), kind)
