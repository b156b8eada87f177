"""The choice between the direct path and aiohttp's session, which others may have instrumented."""

from collections.abc import Callable
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from nrm_async import NRMClient, RejectedError
from nrm_async._transport import compat
from nrm_async._transport.connector import Connector
from tests.fakes import API_KEY, StubAPI
from tests.transport.conftest import ANI, PAUSED


async def test_own_session_takes_the_direct_path(stub_api: StubAPI, paths: list[str]) -> None:
    """A client with its own session sends actions and reads on the direct path."""
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
        stub_api.reply({"data": []})
        await nrm.list_anis()
    assert set(paths) == {"DirectPath"}


async def test_lent_session_is_used(stub_api: StubAPI, paths: list[str]) -> None:
    """A lent session may have tracing, cookies, middlewares and its own connector."""
    stub_api.reply(PAUSED)
    async with (
        aiohttp.ClientSession() as session,
        NRMClient(API_KEY, base_url=stub_api.url, session=session) as nrm,
    ):
        await nrm.pause(ANI)
    assert paths == ["SessionPath"]


async def test_unknown_version_of_aiohttp(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sessions of an unknown version of aiohttp are used: they may do more than is known."""
    monkeypatch.setattr(aiohttp, "__version__", "3.99.0")
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
    assert paths == ["SessionPath"]


async def test_sessions_patched_for_tracing_are_used(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program that adds tracing to all its sessions, as telemetry does, sees our requests."""
    seen: list[str] = []

    async def record(_session: object, _context: object, params: Any) -> None:
        seen.append(params.method)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(record)
    make = aiohttp.ClientSession.__init__

    def traced(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> None:
        make(self, *args, trace_configs=[tracing], **kwargs)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", traced)
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
    assert seen == ["POST"]
    assert paths == ["SessionPath"]


async def test_mock_installed_after_the_first_call(stub_api: StubAPI, paths: list[str]) -> None:
    """A mock that replaces the session receives all calls while it is installed."""
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
        with aioresponses() as mock:
            mock.post(f"{stub_api.url}/pause", payload={"success": False, "message": "mocked"})
            with pytest.raises(RejectedError, match="mocked"):
                await nrm.pause(ANI)
        await nrm.pause(ANI)
    assert paths == ["DirectPath", "SessionPath", "DirectPath"]
    assert len(stub_api.requests) == 2


class Transparent:
    """Wraps a function and imitates it, bound and unbound, as wrapt does."""

    def __init__(self, wrapped: Any, note: Callable[[], None]) -> None:
        self._wrapped, self._note = wrapped, note

    def __get__(self, instance: object, owner: object) -> "Transparent":
        return Transparent(self._wrapped.__get__(instance, owner), self._note)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._wrapped, name)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self._note()
        return self._wrapped(*args, **kwargs)


def plain(wrapped: Any, note: Callable[[], None]) -> Any:
    """Wrap a function in a function."""

    def call(*args: Any, **kwargs: Any) -> Any:
        note()
        return wrapped(*args, **kwargs)

    return call


@pytest.mark.parametrize("wrapper", [plain, Transparent])
@pytest.mark.parametrize("name", ["request", "_request"])
async def test_wrapped_session_method_is_called(
    stub_api: StubAPI,
    paths: list[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    wrapper: Callable[[Any, Callable[[], None]], Any],
) -> None:
    """A wrapper around either method of the session is called, whatever its kind."""
    calls: list[None] = []
    method = getattr(aiohttp.ClientSession, name)
    monkeypatch.setattr(aiohttp.ClientSession, name, wrapper(method, lambda: calls.append(None)))
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
    assert len(calls) == 1
    assert paths == ["SessionPath"]


class Request(aiohttp.ClientRequest):
    """A subclass, as a program may pass."""


class Response(aiohttp.ClientResponse):
    """A subclass, as a program may pass."""


async def middleware(request: aiohttp.ClientRequest, handler: Any) -> Any:
    return await handler(request)


@pytest.mark.parametrize(
    ("made", "is_direct_path_safe"),
    [
        ({}, True),
        ({"trace_configs": [aiohttp.TraceConfig()]}, False),
        ({"headers": {"X-Recorded": "yes"}}, False),
        ({"middlewares": (middleware,)}, False),
        ({"request_class": Request}, False),
        ({"response_class": Response}, False),
        ({"proxy": "http://localhost:3128"}, False),
        ({"cookie_jar": None}, False),
        ({"connector": None}, False),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, dict) else str(value),
)
async def test_customised_session_is_used(made: dict[str, Any], is_direct_path_safe: bool) -> None:
    """A session with any setting that a program gave to all its sessions is used."""
    async with Connector() as connector:
        usual: dict[str, Any] = {"connector": connector, "cookie_jar": aiohttp.DummyCookieJar()}
        async with aiohttp.ClientSession(**(usual | made)) as session:
            assert compat.is_direct_path_safe(session) is is_direct_path_safe


@pytest.mark.parametrize(
    ("owner", "name"), [(aiohttp.ClientRequest, "send"), (aiohttp.ClientResponse, "start")]
)
async def test_patched_request_or_response_class(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """Patches of the classes that the direct path does not use rule it out."""
    async with aiohttp.ClientSession(
        connector=Connector(), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        assert compat.is_direct_path_safe(session)
        monkeypatch.setattr(owner, name, plain(getattr(owner, name), lambda: None))
        assert not compat.is_direct_path_safe(session)
