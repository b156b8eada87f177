"""The two paths to the API: the direct one, and aiohttp's session where somebody needs it."""

import asyncio
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, closing, suppress
from typing import Any, TypeAlias
from unittest import mock

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from aioresponses import aioresponses

from nrm_async import (
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    Receipt,
    RejectedError,
    RetryPolicy,
)
from nrm_async._flight import Flight
from nrm_async._transport import support, transport
from nrm_async._transport.by_session import SessionPath
from nrm_async._transport.connector import Connector
from nrm_async._transport.direct import DirectPath
from nrm_async._transport.exchange import Exchange
from tests.conftest import API_KEY, StubAPI

ANI = "2345678901"
PAUSED = {"status": "paused", "ani": ANI}


@pytest.fixture(autouse=True)
def chosen_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """The path is what is tested here, so nobody may have chosen it for all tests."""
    monkeypatch.setattr(transport, "is_supported", support.is_supported)


@pytest.fixture
def paths(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The paths that requests take, one after the other."""
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


async def test_the_direct_path_is_the_usual_one(stub_api: StubAPI, paths: list[str]) -> None:
    """A client that has its own session sends actions and reads without it."""
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
        stub_api.reply({"data": []})
        await nrm.list_anis()
    assert set(paths) == {"DirectPath"}


async def test_a_lent_session_is_used(stub_api: StubAPI, paths: list[str]) -> None:
    """It may have tracing, cookies, middlewares and a connector of its own."""
    stub_api.reply(PAUSED)
    async with (
        aiohttp.ClientSession() as session,
        NRMClient(API_KEY, base_url=stub_api.url, session=session) as nrm,
    ):
        await nrm.pause(ANI)
    assert paths == ["SessionPath"]


async def test_another_version_of_aiohttp_is_used_as_it_is(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sessions may do something that is not known here."""
    monkeypatch.setattr(aiohttp, "__version__", "3.99.0")
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
    assert paths == ["SessionPath"]


async def test_instrumented_sessions_are_used(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who adds tracing to every session of a program, as telemetry does, sees our requests."""
    seen: list[str] = []

    async def note(_session: object, _context: object, params: Any) -> None:
        seen.append(params.method)

    tracing = aiohttp.TraceConfig()
    tracing.on_request_start.append(note)
    make = aiohttp.ClientSession.__init__

    def traced(self: aiohttp.ClientSession, *args: Any, **kwargs: Any) -> None:
        make(self, *args, trace_configs=[tracing], **kwargs)

    monkeypatch.setattr(aiohttp.ClientSession, "__init__", traced)
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
    assert seen == ["POST"]
    assert paths == ["SessionPath"]


async def test_a_mock_that_comes_later_is_asked(stub_api: StubAPI, paths: list[str]) -> None:
    """As soon as a mock stands in the session's place nothing gets past it, and after it all."""
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
    """Stands around a function, and passes for it, bound and unbound, as those of wrapt do."""

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
    """A function around a function."""

    def call(*args: Any, **kwargs: Any) -> Any:
        note()
        return wrapped(*args, **kwargs)

    return call


@pytest.mark.parametrize("wrapper", [plain, Transparent])
@pytest.mark.parametrize("name", ["request", "_request"])
async def test_what_wraps_a_session_method_is_called(
    stub_api: StubAPI,
    paths: list[str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    wrapper: Callable[[Any, Callable[[], None]], Any],
) -> None:
    """Whichever of the session's methods a recorder of requests has wrapped, and in which way."""
    calls: list[None] = []
    method = getattr(aiohttp.ClientSession, name)
    monkeypatch.setattr(aiohttp.ClientSession, name, wrapper(method, lambda: calls.append(None)))
    stub_api.reply(PAUSED)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.pause(ANI)
    assert len(calls) == 1
    assert paths == ["SessionPath"]


# --- what goes over the wire ---------------------------------------------------------------------


async def requests_of(nrm: NRMClient, stub_api: StubAPI) -> list[tuple[Any, ...]]:
    stub_api.requests.clear()
    stub_api.bodies.clear()
    stub_api.reply(PAUSED)
    await nrm.pause(ANI, note="naïve ☎")
    await nrm.pause(ANI)
    stub_api.reply({"data": []})
    await nrm.list_anis(page=3, number="234 5")
    return [
        (request.method, request.raw_path, sorted(request.raw_headers), body)
        for request, body in zip(stub_api.requests, stub_api.bodies, strict=True)
    ]


async def test_both_paths_send_the_same(stub_api: StubAPI, paths: list[str]) -> None:
    """Method, path, query, headers and body are the same to the byte."""
    async with NRMClient(API_KEY, base_url=stub_api.url, user_agent="dialer/2") as nrm:
        short = await requests_of(nrm, stub_api)
    async with (
        aiohttp.ClientSession() as session,
        NRMClient(API_KEY, base_url=stub_api.url, user_agent="dialer/2", session=session) as nrm,
    ):
        long = await requests_of(nrm, stub_api)
    assert short == long
    assert [path for _, path, _, _ in short] == [
        "/nrm/pause",
        "/nrm/pause",
        "/nrm/anis?page=3&page_size=1000&number=2345",
    ]
    assert set(paths) == {"DirectPath", "SessionPath"}


Handle: TypeAlias = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def serving(handle: Handle) -> AsyncIterator[str]:
    """A server on loopback, at this base URL, that is over with its connections at the end."""
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
    """A server that gives these answers to whatever comes, and its base URL; and what came."""
    came: list[bytes] = []

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):  # the client may not keep the connection
            for answer in answers:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
                came.append(head + await reader.readexactly(length))
                writer.write(answer)
            await reader.read()

    async with serving(handle) as url:
        yield url, came


BODY = b'{"status": "paused", "ani": "2345678901"}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.mark.parametrize("before", [EARLY, CONTINUE, CONTINUE + EARLY], ids=["103", "100", "both"])
async def test_interim_answers_are_not_the_answer(paths: list[str], before: bytes) -> None:
    """What comes before the final status is passed over, and the connection is kept."""
    async with (
        answering(before + ANSWER, ANSWER) as (url, came),
        NRMClient(API_KEY, base_url=url) as nrm,
    ):
        for _ in range(2):
            assert isinstance(await nrm.pause(ANI), Receipt)
    assert len(came) == 2
    assert set(paths) == {"DirectPath"}


@pytest.mark.parametrize("upgrade", [b"Upgrade: x\r\nConnection: upgrade\r\n", b""])
async def test_switching_protocols_is_no_yes(paths: list[str], upgrade: bytes) -> None:
    """A 101 to a request that did not ask for it proves nothing, and its connection is not kept."""
    switching = b"HTTP/1.1 101 Switching Protocols\r\n" + upgrade + b"\r\n"
    async with (
        answering(switching, ANSWER) as (url, came),
        NRMClient(API_KEY, base_url=url, on_unknown="report") as nrm,
    ):
        for _ in range(2):
            (result,) = await nrm.pause_many([ANI])
            assert result.outcome is Outcome.UNKNOWN
    assert len(came) == 2
    assert paths == ["DirectPath", "DirectPath"]


async def test_a_connection_that_closes_before_its_use_has_sent_nothing(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Found closed before a byte was written to it: even a remediation is sent again."""
    stub_api.reply({"status": "received request", "ani": ANI})
    connect: Any = aiohttp.TCPConnector.connect
    count = 0

    async def closing(self: Any, *args: Any, **kwargs: Any) -> Any:
        nonlocal count
        count += 1
        connection = await connect(self, *args, **kwargs)
        if count == 1:
            connection.transport.close()
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", closing)
    retry = RetryPolicy(base=0.001)
    async with NRMClient(API_KEY, base_url=stub_api.url, retry=retry) as nrm:
        (result,) = await nrm.remediate_many([ANI])
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, 2)
    assert len(stub_api.requests) == 1
    assert paths == ["DirectPath", "DirectPath"]


STALE = b'{"success": false, "message": "stale"}'
REFUSED = b"HTTP/1.1 400 Bad Request\r\nContent-Length: %d\r\n\r\n%b" % (len(STALE), STALE)


@pytest.mark.parametrize("path", ["DirectPath", "SessionPath"])
async def test_a_server_that_always_speaks_first_is_told_nothing(
    paths: list[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """What it says is not taken for an answer, and no action is sent to it."""
    came: list[bytes] = []
    connect: Any = aiohttp.TCPConnector.connect

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(REFUSED)
        came.append(await reader.read())

    async def greeted(self: Any, *args: Any, **kwargs: Any) -> Any:
        connection = await connect(self, *args, **kwargs)
        # Until the greeting is there.
        while not connection.protocol.should_close:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        return connection

    monkeypatch.setattr(aiohttp.TCPConnector, "connect", greeted)
    monkeypatch.setattr(transport, "is_supported", lambda _session: path == "DirectPath")
    retry = RetryPolicy(max_retries=2, base=0.001)
    async with serving(handle) as url, NRMClient(API_KEY, base_url=url, retry=retry) as nrm:
        with pytest.raises(NotSentError, match="speaks before it is asked"):
            await nrm.pause(ANI)
    assert not any(came)
    assert paths == [path] * 3


async def test_stale_kept_connections_are_passed_over(stub_api: StubAPI, paths: list[str]) -> None:
    """However many there are: a new one is as good as ever, and it counts as one attempt."""
    stub_api.reply(PAUSED)
    anis = [str(2_000_000_000 + number) for number in range(6)]
    async with NRMClient(API_KEY, base_url=stub_api.url, on_unknown="report") as nrm:
        await nrm.pause_many(anis)
        kept = aiohttp_connector(nrm)._conns
        protocols = [protocol for pool in kept.values() for protocol, _ in pool]
        assert len(protocols) > 3
        for protocol in protocols:
            protocol.data_received(REFUSED)
        (result,) = await nrm.pause_many([ANI])
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, 1)


def aiohttp_connector(nrm: NRMClient) -> Any:
    return nrm._session.network().transport._session.connector


# --- the end of an exchange ----------------------------------------------------------------------


def exchange_of(loop: asyncio.AbstractEventLoop) -> tuple[Exchange, Any]:
    """An exchange whose request was written, and the protocol of its connection."""
    protocol: Any = ResponseHandler(loop)
    protocol.connection_made(mock.Mock(is_closing=lambda: False))
    exchange = Exchange(mock.Mock(protocol=protocol), Flight(), loop, loop.time() + 1_000)
    exchange.prepare()
    exchange.write(b"")
    return exchange, protocol


@pytest.mark.parametrize(("sent", "is_whole"), [(ANSWER[:-1], False), (ANSWER, True)])
async def test_time_runs_out_between_the_answer_and_its_turn(sent: bytes, is_whole: bool) -> None:
    """In the turn of the loop in which the answer begins: only one that is whole counts."""
    exchange, protocol = exchange_of(asyncio.get_running_loop())
    waiting = asyncio.create_task(exchange.answer())
    await asyncio.sleep(0)
    protocol.data_received(sent)
    exchange.fail(TimeoutError())
    if is_whole:
        message, content = await waiting
        assert (message.code, content.read_nowait()) == (200, BODY)
    else:
        with pytest.raises(TimeoutError):
            await waiting
    exchange.end()


async def test_closing_ends_what_is_being_read(paths: list[str]) -> None:
    """A client that is closed in the middle of a body does not wait for the rest."""
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
        while not aiohttp_connector(nrm)._acquired:  # noqa: ASYNC110 - yields, does not wait
            await asyncio.sleep(0)
        for _ in range(20):
            await asyncio.sleep(0)
        await nrm.aclose()
        (result,) = await batch
    assert result.outcome is Outcome.UNKNOWN
    assert paths == ["DirectPath"]


@pytest.mark.parametrize("path", ["DirectPath", "SessionPath"])
async def test_closing_during_a_look_up_cancels_nobody(
    paths: list[str], monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """aiohttp cancels its look-ups of names then; to the callers that is the client's closing."""
    looking = asyncio.Event()

    async def look_up(*_: object, **__: object) -> Any:
        looking.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(aiohttp.ThreadedResolver, "resolve", look_up)
    monkeypatch.setattr(aiohttp.resolver.DefaultResolver, "resolve", look_up)
    monkeypatch.setattr(transport, "is_supported", lambda _session: path == "DirectPath")
    nrm = NRMClient(API_KEY, base_url="http://localhost:9/nrm")
    batch = asyncio.create_task(nrm.remediate_many([ANI, "2345678902"]))
    single = asyncio.create_task(nrm.pause("2345678903"))
    await looking.wait()
    await nrm.aclose()
    assert {result.outcome for result in await batch} == {Outcome.NOT_APPLIED}
    with pytest.raises(NRMError):
        await single
    assert set(paths) == {path}


async def test_an_interruption_shows_no_key(
    stub_api: StubAPI, paths: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the middle of a write: its traceback, with local variables, is without the key."""

    def interrupted(_exchange: Exchange, request: bytes) -> None:
        assert API_KEY.encode() in request
        raise KeyboardInterrupt

    monkeypatch.setattr(Exchange, "write", interrupted)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        with pytest.raises(KeyboardInterrupt) as caught:
            await nrm.pause(ANI)
    told = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    assert API_KEY not in "".join(told.format())


# --- who may be listening in ---------------------------------------------------------------------


class Request(aiohttp.ClientRequest):
    """Somebody's own."""


class Response(aiohttp.ClientResponse):
    """Somebody's own."""


async def middleware(request: aiohttp.ClientRequest, handler: Any) -> Any:
    return await handler(request)


@pytest.mark.parametrize(
    ("made", "is_supported"),
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
    ids=str,
)
async def test_a_session_that_was_made_otherwise_is_used(
    made: dict[str, Any], is_supported: bool
) -> None:
    """Whatever a program has all its sessions made with, for policy or for recording."""
    async with Connector() as connector:
        usual: dict[str, Any] = {"connector": connector, "cookie_jar": aiohttp.DummyCookieJar()}
        async with aiohttp.ClientSession(**(usual | made)) as session:
            assert support.is_supported(session) is is_supported


@pytest.mark.parametrize(
    ("owner", "name"), [(aiohttp.ClientRequest, "send"), (aiohttp.ClientResponse, "start")]
)
async def test_patched_requests_and_responses_are_used(
    monkeypatch: pytest.MonkeyPatch, owner: type, name: str
) -> None:
    """Who stands in the place of what the direct path does without is not passed by."""
    async with aiohttp.ClientSession(
        connector=Connector(), cookie_jar=aiohttp.DummyCookieJar()
    ) as session:
        assert support.is_supported(session)
        monkeypatch.setattr(owner, name, plain(getattr(owner, name), lambda: None))
        assert not support.is_supported(session)
