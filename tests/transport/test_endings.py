"""The end of an exchange: timeouts, closing and interruptions."""

import asyncio
import traceback
from typing import Any
from unittest import mock

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler

from nrm_async import NRMClient, NRMError, Outcome
from nrm_async._context import CallContext
from nrm_async._transport import transport
from nrm_async._transport.direct import Exchange
from tests.fakes import API_KEY, StubAPI
from tests.transport.conftest import ANI, ANSWER, BODY, serving


def exchange_of(loop: asyncio.AbstractEventLoop) -> tuple[Exchange, Any]:
    """Return an exchange whose request was written, and the protocol of its connection."""
    protocol: Any = ResponseHandler(loop)
    protocol.connection_made(mock.Mock(is_closing=lambda: False))
    exchange = Exchange(mock.Mock(protocol=protocol), CallContext(), loop, loop.time() + 1_000)
    exchange.prepare()
    exchange.write(b"")
    return exchange, protocol


@pytest.mark.parametrize(("sent", "is_whole"), [(ANSWER[:-1], False), (ANSWER, True)])
async def test_timeout_in_the_turn_of_the_response(sent: bytes, is_whole: bool) -> None:
    """A timeout between the arrival of a response and the task's turn: only a whole one counts."""
    exchange, protocol = exchange_of(asyncio.get_running_loop())
    waiting = asyncio.create_task(exchange.read_head())
    await asyncio.sleep(0)
    protocol.data_received(sent)
    exchange.fail(TimeoutError())
    if is_whole:
        head, content = await waiting
        assert (head.code, content.read_nowait()) == (200, BODY)
    else:
        with pytest.raises(TimeoutError):
            await waiting
    exchange.end()


async def test_close_during_a_body(paths: list[str], sessions: list[aiohttp.ClientSession]) -> None:
    """Closing the client in the middle of a body does not wait for the rest."""
    begun = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(ANSWER[:-1])
        begun.set()
        await reader.read()

    async with serving(handle) as url, asyncio.timeout(50):
        nrm = NRMClient(API_KEY, base_url=url, timeout=100)
        batch = asyncio.create_task(nrm.remediate_many([ANI]))
        await begun.wait()
        connector: Any = sessions[0].connector
        while not connector._acquired:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        await nrm.aclose()
        (result,) = await batch
    assert result.outcome is Outcome.UNKNOWN
    assert paths == ["DirectPath"]


@pytest.mark.parametrize("path", ["DirectPath", "SessionPath"])
async def test_close_during_a_dns_look_up(
    paths: list[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """aiohttp cancels its DNS look-ups on closing; callers see that the client was closed."""
    looking = asyncio.Event()

    async def look_up(*_: object, **__: object) -> Any:
        looking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", look_up)
    monkeypatch.setattr(aiohttp.resolver.DefaultResolver, "resolve", look_up)
    monkeypatch.setattr(transport, "is_direct_path_safe", lambda _session: path == "DirectPath")
    nrm = NRMClient(API_KEY, base_url="http://localhost:9/nrm")
    batch = asyncio.create_task(nrm.remediate_many([ANI, "2345678902"]))
    single = asyncio.create_task(nrm.pause("2345678903"))
    await looking.wait()
    await nrm.aclose()
    assert {result.outcome for result in await batch} == {Outcome.NOT_APPLIED}
    with pytest.raises(NRMError):
        await single
    assert set(paths) == {path}


async def test_interruption_during_a_write(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The traceback of Ctrl-C during a write, with local variables, does not show the key."""

    def interrupted(_exchange: Exchange, request: bytes) -> None:
        assert API_KEY.encode() in request
        raise KeyboardInterrupt

    monkeypatch.setattr(Exchange, "write", interrupted)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        with pytest.raises(KeyboardInterrupt) as caught:
            await nrm.pause(ANI)
    shown = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert API_KEY not in "".join(shown.format())
