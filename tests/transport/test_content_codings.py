"""Bodies that are compressed twice, or under a name that aiohttp does not know."""

import asyncio
import bz2
import gzip
import zlib
from typing import Any

import pytest

from nrm_async import NRMClient, NRMError, Outcome, ResponseError, RetryPolicy, TransportError
from nrm_async._transport import body as bodies
from nrm_async._transport import transport
from tests.conftest import API_KEY
from tests.transport.conftest import ANI, serving

PAGE = b'{"data": [{"id": 1, "phone": "2345678901"}]}'
PAUSED = b'{"status": "paused", "ani": "2345678901"}'
ENCODED: dict[str, tuple[str, Any]] = {
    "twice": ("gzip, gzip", lambda body: gzip.compress(gzip.compress(body))),
    "three times": ("gzip,gzip,gzip", lambda b: gzip.compress(gzip.compress(gzip.compress(b)))),
    "old name": ("x-gzip", gzip.compress),
    "upper case": ("GZIP, X-GZIP", lambda body: gzip.compress(gzip.compress(body))),
    "twice, named once": ("gzip", lambda body: gzip.compress(gzip.compress(body))),
    "deflate, then gzip": ("deflate, gzip", lambda body: gzip.compress(zlib.compress(body))),
    "members": ("x-gzip", lambda b: gzip.compress(b[:9]) + gzip.compress(b[9:])),
    "not named": ("identity", gzip.compress),
}
every_encoding = pytest.mark.parametrize(("coding", "encode"), ENCODED.values(), ids=ENCODED.keys())
every_path = pytest.mark.parametrize("path", ["DirectPath", "SessionPath"])


@pytest.fixture(autouse=True)
def chosen_path(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "is_direct_path_safe", lambda _session: path == "DirectPath")


async def call(coding: str, page: bytes, answer: bytes) -> tuple[Any, Any]:
    """Read a page and pause a number; return the page or its error, and the result."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while head := await reader.readline():
            while (await reader.readline()).strip():
                pass
            if head.startswith(b"POST"):
                await reader.readexactly(len(b'{"ani":"2345678901"}'))
            body = answer if head.startswith(b"POST") else page
            writer.write(
                b"HTTP/1.1 200 OK\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b"
                % (coding.encode(), len(body), body)
            )

    read: Any
    retry = RetryPolicy(max_retries=0)
    async with (
        serving(handle) as url,
        NRMClient(API_KEY, base_url=url, retry=retry, on_unknown="report") as nrm,
    ):
        try:
            read = await nrm.list_anis()
        except NRMError as error:
            read = error
        (result,) = await nrm.pause_many([ANI])
    return read, result


@every_path
@every_encoding
async def test_body_is_unpacked(coding: str, encode: Any, path: str, paths: list[str]) -> None:
    """A page and the reply to an action are read on both paths."""
    page, result = await call(coding, encode(PAGE), encode(PAUSED))
    assert len(page) == 1
    assert result.outcome is Outcome.APPLIED
    assert set(paths) == {path}


@every_path
@pytest.mark.parametrize("layers", [1, 2])
async def test_bomb_under_another_name(
    layers: int, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit is on what is unpacked, at each layer: a bomb is not unpacked to its end."""
    monkeypatch.setattr(bodies, "_MAX_PAGE_BYTES", 2**18)
    monkeypatch.setattr(bodies, "_MAX_ANSWER_BYTES", 2**16)
    longest = 0
    unpack = zlib.decompressobj

    class Spy:
        def __init__(self, wbits: int) -> None:
            self._real = unpack(wbits)

        def decompress(self, data: bytes, most: int) -> bytes:
            nonlocal longest
            unpacked = self._real.decompress(data, most)
            longest = max(longest, len(unpacked))
            return unpacked

        def __getattr__(self, name: str) -> Any:
            return getattr(self._real, name)

    monkeypatch.setattr(zlib, "decompressobj", Spy)
    bomb = bytes(8 * 2**20)
    for _ in range(layers):
        bomb = gzip.compress(bomb, 9)
    page, result = await call("x-gzip", bomb, bomb)
    assert isinstance(page, ResponseError)
    assert "longer than" in str(page)
    assert result.outcome is Outcome.UNKNOWN
    assert 0 < longest <= 2**18 + 1


@every_path
@pytest.mark.parametrize("damage", [lambda b: b[:-9], lambda b: b[:12] + b"\xff" * 20 + b[32:]])
async def test_body_that_cannot_be_unpacked(damage: Any, path: str) -> None:
    """A body that is cut or garbled is no answer: a read may be repeated, an action is in doubt."""
    page, result = await call("x-gzip", damage(gzip.compress(PAGE)), damage(gzip.compress(PAUSED)))
    assert isinstance(page, TransportError)
    assert page.status == 200
    assert result.outcome is Outcome.UNKNOWN
    assert result.error.status == 200


@every_path
async def test_other_compression_is_no_answer(path: str) -> None:
    """A coding that nobody asked for is left packed, and proves nothing."""
    page, result = await call("x-bzip2", bz2.compress(PAGE), bz2.compress(PAUSED))
    assert isinstance(page, ResponseError)
    assert result.outcome is Outcome.UNKNOWN
