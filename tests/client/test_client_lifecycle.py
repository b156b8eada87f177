"""The client's states, and what closing it does."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from nrm_async import (
    ClientState,
    ClientStateError,
    NRMClient,
    Outcome,
)
from nrm_async._transport import HTTPTransport
from nrm_async.sandbox import Sandbox
from tests.fakes import API_KEY, StubAPI

EMPTY_PAGE = {"count": 0, "total_anis": 0, "can_next_page": False, "total_pages": 0, "data": []}


async def test_states(stub_api: StubAPI) -> None:
    """The first request opens the client, ``aclose`` closes it, and nothing reopens it."""
    stub_api.reply(EMPTY_PAGE)
    nrm = NRMClient(API_KEY, base_url=stub_api.url)
    states = [nrm.state]
    await nrm.list_anis()
    states.append(nrm.state)
    await nrm.aclose()
    await nrm.aclose()
    states.append(nrm.state)
    assert states == [ClientState.UNOPENED, ClientState.OPENED, ClientState.CLOSED]
    with pytest.raises(ClientStateError, match=r"^the client is closed: create a new one$"):
        await nrm.list_anis()
    with pytest.raises(ClientStateError, match="the client is closed"):
        await nrm.pause_many(["2345678901"])
    with pytest.raises(ClientStateError, match="the client is closed"):
        nrm.stream_batch([])
    with pytest.raises(ClientStateError, match="the client is closed"):
        async with nrm:
            pass


async def test_enter_twice(stub_api: StubAPI) -> None:
    """A nested ``async with`` would close the client of the outer one."""
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        with pytest.raises(ClientStateError, match="already open"):
            async with nrm:
                pass
        stub_api.reply(EMPTY_PAGE)
        await nrm.list_anis()


async def test_close_before_opening() -> None:
    """An unopened client can be closed."""
    nrm = NRMClient(API_KEY)
    await nrm.aclose()
    assert nrm.state is ClientState.CLOSED


async def test_client_that_is_never_closed(
    stub_api: StubAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """There is no "Unclosed client session", neither as a warning nor in the log."""
    stub_api.reply(EMPTY_PAGE)
    problems: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: problems.append(context))
    nrm = NRMClient(API_KEY, base_url=stub_api.url)
    await nrm.list_anis()
    del nrm
    gc.collect()
    await asyncio.sleep(0)
    assert problems == []
    assert caplog.records == []


def test_client_that_outlives_its_loop(caplog: pytest.LogCaptureFixture) -> None:
    """The same if the event loop is closed before the client."""

    async def use() -> NRMClient:
        async with Sandbox(anis=1) as sandbox:
            nrm = NRMClient(sandbox.api_key, base_url=sandbox.url)
            await nrm.list_anis()
        return nrm

    nrm = asyncio.run(use())
    assert nrm.state is ClientState.OPENED
    del nrm
    gc.collect()
    assert caplog.records == []


async def test_close_during_a_listing(stub_api: StubAPI) -> None:
    """Prefetched pages are cancelled, and the reader gets an error."""
    gate, asked = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.query["page"] != "1":
            asked.set()
            await gate.wait()
        return web.json_response({"data": [{"id": 1, "phone": "2345678901"}], "total_pages": 9})

    stub_api.answer = answer
    nrm = NRMClient(API_KEY, base_url=stub_api.url)
    pages = nrm.anis().pages()
    await anext(pages)
    reader = asyncio.create_task(_next(pages))
    await asked.wait()
    await nrm.aclose()
    with pytest.raises(ClientStateError, match="closed while the listing was read"):
        await reader
    gate.set()


async def test_close_during_a_batch(stub_api: StubAPI) -> None:
    """Items in flight are unknown; items waiting for the gate or their turn are not applied."""
    gate, asked = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if len(stub_api.requests) == 4:
            return web.json_response({}, status=429, headers={"Retry-After": "100"})
        if len(stub_api.requests) == 5:
            asked.set()
        await gate.wait()
        return web.json_response({})

    stub_api.answer = answer
    anis = [str(2_000_000_000 + number) for number in range(40)]
    nrm = NRMClient(API_KEY, base_url=stub_api.url, max_concurrency=5)
    batch = asyncio.create_task(nrm.pause_many(anis))
    await asked.wait()
    await nrm.aclose()
    report = await batch
    gate.set()
    assert [result.ani for result in report] == anis
    unknown = report.counts[Outcome.UNKNOWN]
    assert unknown in (4, 5)  # the throttled reply has been read by then, or has not
    assert report.counts[Outcome.NOT_APPLIED] == 40 - unknown
    assert all("closed" in result.error.message for result in report.failed)


async def _next(pages: AsyncIterator[Any]) -> object:
    return await anext(pages)


async def test_cancel_close(stub_api: StubAPI) -> None:
    """The session is closed although closing the client was cancelled."""
    gate, asked = asyncio.Event(), asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        if request.query["page"] == "2":
            asked.set()
            await gate.wait()
        return web.json_response({"data": [{"id": 1, "phone": "2345678901"}], "total_pages": 2})

    stub_api.answer = answer
    nrm = NRMClient(API_KEY, base_url=stub_api.url)
    pages = nrm.anis().pages()
    await anext(pages)
    await asked.wait()
    transport = nrm._runtime.transport
    assert isinstance(transport, HTTPTransport)
    session = transport._session
    closing = asyncio.create_task(nrm.aclose())
    await asyncio.sleep(0)
    closing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await closing
    assert session.closed
    gate.set()
