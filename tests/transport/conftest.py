"""Helpers of the tests of the transport: a record of the paths taken, and servers of raw bytes."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, TypeAlias

import aiohttp
import pytest

from nrm_async._transport import compat, transport
from nrm_async._transport.direct import DirectPath
from nrm_async._transport.session import new_session
from nrm_async._transport.session_path import SessionPath

ANI = "2345678901"
PAUSED = {"status": "paused", "ani": ANI}

BODY = b'{"status": "paused", "ani": "2345678901"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)


@pytest.fixture(autouse=True)
def default_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Undo NRM_TEST_PATH: the choice of the path is what is tested here."""
    monkeypatch.setattr(transport, "is_direct_path_safe", compat.is_direct_path_safe)


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that requests take, in order."""
    taken: list[str] = []

    def spy(path: type[Any]) -> None:
        exchange = path.exchange

        async def spied(self: Any, *args: Any) -> Any:
            taken.append(path.__name__)
            return await exchange(self, *args)

        monkeypatch.setattr(path, "exchange", spied)

    spy(DirectPath)
    spy(SessionPath)
    yield taken
    assert taken, "no request was sent"


@pytest.fixture
def sessions(monkeypatch: pytest.MonkeyPatch) -> list[aiohttp.ClientSession]:
    """The sessions that clients create, in order."""
    created: list[aiohttp.ClientSession] = []

    def spy(*args: Any) -> aiohttp.ClientSession:
        created.append(new_session(*args))
        return created[-1]

    monkeypatch.setattr(transport, "new_session", spy)
    return created


Handle: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handle: Handle) -> AsyncIterator[str]:
    """Serve on loopback at the returned base URL, until all connections have ended."""
    handlers: set[asyncio.Task[None]] = set()

    async def tracked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task: Any = asyncio.current_task()
        handlers.add(task)
        with closing(writer):
            await handle(reader, writer)

    server = await asyncio.start_server(tracked, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/nrm"
        await asyncio.gather(*handlers)


@asynccontextmanager
async def answering(*answers: bytes) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Serve these answers to any requests; return the base URL and a list of the requests."""
    received: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the client may not keep the connection
            for answer in answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                received.append(head + await reader.readexactly(length))
                writer.write(answer)
            await reader.read()

    async with serving(handle) as url:
        yield url, received
