"""The client over real HTTP: its life, and the sessions it sends with."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from nrm_async import (
    ClientState,
    ClientStateError,
    ConfigurationError,
    NotSentError,
    NRMClient,
    Outcome,
    RejectedError,
    RetryPolicy,
)
from nrm_async.sandbox import Sandbox
from tests.conftest import API_KEY, StubAPI

EMPTY_PAGE = {"count": 0, "total_anis": 0, "can_next_page": False, "total_pages": 0, "data": []}
NO_RETRY = RetryPolicy(max_retries=0)


async def test_life_goes_from_unopened_to_opened_to_closed(stub_api: StubAPI) -> None:
    """The first request opens, ``aclose`` closes, twice if need be, and nothing reopens."""
    stub_api.reply(EMPTY_PAGE)
    nrm = NRMClient(API_KEY, base_url=stub_api.url)
    states = [nrm.state]
    await nrm.list_anis()
    states.append(nrm.state)
    await nrm.aclose()
    await nrm.aclose()
    states.append(nrm.state)
    assert states == [ClientState.UNOPENED, ClientState.OPENED, ClientState.CLOSED]
    with pytest.raises(ClientStateError, match=r"^the client is closed: make a new one$"):
        await nrm.list_anis()
    with pytest.raises(ClientStateError, match="the client is closed"):
        await nrm.pause_many(["2345678901"])
    with pytest.raises(ClientStateError, match="the client is closed"):
        nrm.stream_batch([])
    with pytest.raises(ClientStateError, match="the client is closed"):
        async with nrm:
            pass


async def test_entering_twice_is_refused(stub_api: StubAPI) -> None:
    """A nested ``async with`` would close the client under its owner."""
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        with pytest.raises(ClientStateError, match="open already"):
            async with nrm:
                pass
        stub_api.reply(EMPTY_PAGE)
        await nrm.list_anis()


async def test_closing_an_unopened_client_is_fine() -> None:
    """Nothing was opened, so nothing needs to be closed."""
    nrm = NRMClient(API_KEY)
    await nrm.aclose()
    assert nrm.state is ClientState.CLOSED


def test_another_event_loop_is_refused(silent_url: str) -> None:
    """A client belongs to the loop that opened it; closing it from another one is fine."""
    nrm = NRMClient(API_KEY, base_url=silent_url, retry=NO_RETRY)

    async def use() -> None:
        with pytest.raises(NotSentError):
            await nrm.list_anis()

    asyncio.run(use())

    async def use_again() -> None:
        with pytest.raises(ClientStateError, match="another event loop"):
            await nrm.list_anis()
        await nrm.aclose()

    asyncio.run(use_again())


async def test_a_forgotten_client_ends_quietly(
    stub_api: StubAPI, caplog: pytest.LogCaptureFixture
) -> None:
    """No "Unclosed client session", in warnings or logs, if nobody closes it."""
    stub_api.reply(EMPTY_PAGE)
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, what: complaints.append(what))
    nrm = NRMClient(API_KEY, base_url=stub_api.url)
    await nrm.list_anis()
    del nrm
    gc.collect()
    await asyncio.sleep(0)
    assert complaints == []
    assert caplog.records == []


def test_a_client_that_outlives_its_loop_ends_quietly(caplog: pytest.LogCaptureFixture) -> None:
    """The same where the loop is gone before the client is."""

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


async def test_closing_ends_what_is_still_read(stub_api: StubAPI) -> None:
    """Pages fetched ahead end with the client, and their reader is told so."""
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


async def test_closing_decides_every_item_of_a_batch(stub_api: StubAPI) -> None:
    """What is in flight is unknown, what waits for the gate or its turn was not applied."""
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
    assert unknown in (4, 5)  # the throttled one has its answer by then, or has not
    assert report.counts[Outcome.NOT_APPLIED] == 40 - unknown
    assert all("closed" in result.error.message for result in report.failed)


async def _next(pages: AsyncIterator[Any]) -> object:
    return await anext(pages)


async def test_a_session_of_the_callers_is_used_and_never_closed(stub_api: StubAPI) -> None:
    """Its default headers are sent too; closing the client leaves it open."""
    stub_api.reply(EMPTY_PAGE)
    async with aiohttp.ClientSession(headers={"X-Mine": "yes"}, raise_for_status=True) as session:
        async with NRMClient(API_KEY, base_url=stub_api.url, session=session) as nrm:
            await nrm.list_anis()
        assert not session.closed
        assert stub_api.requests[0].headers["X-Mine"] == "yes"
    stub_api.reply({"message": "no"}, status=404)


async def test_raise_for_status_of_a_session_of_the_callers_is_overruled(
    stub_api: StubAPI,
) -> None:
    """A 4xx stays an answer with the API's words."""
    stub_api.reply({"success": False, "message": "not today"}, status=400)
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        NRMClient(API_KEY, base_url=stub_api.url, session=session) as nrm,
    ):
        with pytest.raises(RejectedError, match="not today"):
            await nrm.pause("2345678901")


async def test_a_closed_session_of_the_callers_is_told(stub_api: StubAPI) -> None:
    """Nothing was sent, and the message says why."""
    session = aiohttp.ClientSession()
    await session.close()
    async with NRMClient(API_KEY, base_url=stub_api.url, session=session) as nrm:
        with pytest.raises(ClientStateError, match="session given to this client is closed"):
            await nrm.list_anis()
        report = await nrm.pause_many(["2345678901"])
    assert report[0].outcome is Outcome.NOT_APPLIED


async def test_a_session_with_its_own_auth_or_no_session_is_refused() -> None:
    """Two ``Authorization`` headers cannot both be meant."""
    with pytest.warns(DeprecationWarning, match="auth"):
        session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("me", "secret"))
    async with session:
        with pytest.raises(ConfigurationError, match="session must not have auth"):
            NRMClient(API_KEY, session=session)
    with pytest.raises(ConfigurationError, match=r"session must be an aiohttp.ClientSession"):
        NRMClient(API_KEY, session="x")  # type: ignore[arg-type]
