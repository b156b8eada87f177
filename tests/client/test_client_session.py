"""Sessions of aiohttp that the caller lends to the client."""

import aiohttp
import pytest
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse

from nrm_async import ClientStateError, ConfigurationError, NRMClient, Outcome, RejectedError
from tests.fakes import API_KEY, StubAPI, apply_pause, connect

EMPTY_PAGE = {"count": 0, "total_anis": 0, "can_next_page": False, "total_pages": 0, "data": []}


async def test_lent_session_is_used_and_not_closed(stub_api: StubAPI) -> None:
    """Its default headers are sent too; closing the client leaves it open."""
    stub_api.reply(EMPTY_PAGE)
    async with aiohttp.ClientSession(headers={"X-Mine": "yes"}) as session:
        async with connect(stub_api.url, session=session) as nrm:
            await nrm.list_anis()
        assert not session.closed
        assert stub_api.requests[0].headers["X-Mine"] == "yes"


async def test_raise_for_status_is_overruled(stub_api: StubAPI) -> None:
    """A 4xx stays a reply with the API's words."""
    stub_api.reply({"success": False, "message": "not today"}, status=400)
    async with (
        aiohttp.ClientSession(raise_for_status=True) as session,
        connect(stub_api.url, session=session) as nrm,
    ):
        with pytest.raises(RejectedError, match="not today"):
            await nrm.pause("2345678901")


async def test_middleware_cannot_resend_an_action(stub_api: StubAPI) -> None:
    """A middleware that sends twice is not run, so an action is applied once."""
    repeats = 0

    async def repeat(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        nonlocal repeats
        repeats += 1
        await handler(request)
        return await handler(request)

    stub_api.answer = apply_pause
    async with (
        aiohttp.ClientSession(middlewares=(repeat,)) as session,
        connect(stub_api.url, session=session) as nrm,
    ):
        await nrm.pause("2345678901")
    assert len(stub_api.requests) == 1
    assert repeats == 0


async def test_closed_session(stub_api: StubAPI) -> None:
    """Nothing is sent, and the error names the session."""
    session = aiohttp.ClientSession()
    await session.close()
    async with connect(stub_api.url, session=session) as nrm:
        with pytest.raises(ClientStateError, match="session given to this client is closed"):
            await nrm.list_anis()
        report = await nrm.pause_many(["2345678901"])
    assert report[0].outcome is Outcome.NOT_APPLIED


async def test_invalid_session() -> None:
    """A session with its own auth would send a second ``Authorization`` header."""
    with pytest.warns(DeprecationWarning, match="auth"):
        session = aiohttp.ClientSession(auth=aiohttp.BasicAuth("me", "secret"))
    async with session:
        with pytest.raises(ConfigurationError, match="session must not have its own auth"):
            NRMClient(API_KEY, session=session)
    with pytest.raises(ConfigurationError, match=r"session must be an aiohttp.ClientSession"):
        NRMClient(API_KEY, session="x")  # type: ignore[arg-type]
