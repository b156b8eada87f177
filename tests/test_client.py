"""The client over real HTTP: lifecycle, sessions, headers, and what it refuses to do."""

import asyncio
import gc
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from nrm_async import (
    APIError,
    AuthenticationError,
    ClientState,
    ClientStateError,
    ConfigurationError,
    Failed,
    InvalidRequestError,
    NotSentError,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    Pause,
    RateLimitError,
    RejectedError,
    Remediate,
    ResponseError,
    RetryPolicy,
    ServerError,
    __version__,
)
from nrm_async.sandbox import Sandbox
from tests.conftest import API_KEY, StubAPI

PAUSED = {"status": "paused", "ani": "2345678901"}
EMPTY_PAGE = {"count": 0, "total_anis": 0, "can_next_page": False, "total_pages": 0, "data": []}
CONTRACT = Path(__file__).parent / "contract"
NO_RETRY = RetryPolicy(max_retries=0)


# --- lifecycle -----------------------------------------------------------------------------


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


def test_another_event_loop_is_refused(stub_page_server: str) -> None:
    """A client belongs to the loop that opened it; closing it from another one is fine."""
    nrm = NRMClient(API_KEY, base_url=stub_page_server, retry=NO_RETRY)

    async def use() -> None:
        with pytest.raises(NotSentError):
            await nrm.list_anis()

    asyncio.run(use())

    async def use_again() -> None:
        with pytest.raises(ClientStateError, match="another event loop"):
            await nrm.list_anis()
        await nrm.aclose()

    asyncio.run(use_again())


@pytest.fixture
def stub_page_server(unused_tcp_port: int) -> str:
    """A base URL at which nobody listens."""
    return f"http://127.0.0.1:{unused_tcp_port}/nrm"


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


# --- sessions ------------------------------------------------------------------------------


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


# --- what is sent --------------------------------------------------------------------------


async def test_headers_and_bodies_are_as_documented(stub_api: StubAPI, client: NRMClient) -> None:
    """Bearer key, JSON, a User-Agent with the version, and no field that is not set."""
    stub_api.reply(PAUSED)
    receipt = await client.pause("+1 (234) 567-8901", carrier="130077")
    request = stub_api.requests[0]
    assert (request.method, request.path) == ("POST", "/nrm/pause")
    assert request.headers["Authorization"] == f"Bearer {API_KEY}"
    assert request.headers["Content-Type"] == "application/json"
    assert request.headers["User-Agent"] == f"nrm-async/{__version__}"
    assert json.loads(stub_api.bodies[0]) == {"ani": "2345678901", "carrier": "130077"}
    assert (receipt.ani, receipt.status) == ("2345678901", "paused")


async def test_the_callers_user_agent_is_appended(stub_api: StubAPI) -> None:
    """The product stays first."""
    stub_api.reply(EMPTY_PAGE)
    async with NRMClient(API_KEY, base_url=stub_api.url + "/", user_agent="dialer/2.1") as nrm:
        await nrm.list_anis(page=2, page_size=50, number="+1 (234)")
    request = stub_api.requests[0]
    assert request.headers["User-Agent"] == f"nrm-async/{__version__} dialer/2.1"
    assert request.path_qs == "/nrm/anis?page=2&page_size=50&number=234"


async def test_the_request_id_is_kept(stub_api: StubAPI, client: NRMClient) -> None:
    """Support asks for it: receipts, pages and errors have it."""
    stub_api.reply(PAUSED, headers={"x-request-id": "abc-1"})
    assert (await client.pause("2345678901")).request_id == "abc-1"
    stub_api.reply(EMPTY_PAGE, headers={"x-request-id": "abc-2"})
    assert (await client.list_anis()).request_id == "abc-2"
    stub_api.reply({"success": False, "message": "no"}, headers={"x-request-id": "abc-3"})
    with pytest.raises(RejectedError) as caught:
        await client.pause("2345678901")
    assert caught.value.request_id == "abc-3"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirects_are_never_followed(
    stub_api: StubAPI, client: NRMClient, status: int
) -> None:
    """Neither the key nor an action is ever carried to another place."""
    stub_api.reply("", status=status, headers={"Location": f"{stub_api.url}/elsewhere"})
    expected = ConfigurationError if status in (301, 307, 308) else NRMError
    with pytest.raises(expected):
        await client.pause("2345678901")
    with pytest.raises(NRMError):
        await client.list_anis()
    assert {request.path for request in stub_api.requests} == {"/nrm/pause", "/nrm/anis"}


async def test_cookies_are_not_kept(stub_api: StubAPI) -> None:
    """One call leaves nothing behind for the next."""
    stub_api.reply(EMPTY_PAGE, headers={"Set-Cookie": "track=me; Path=/"})
    by_name = stub_api.url.replace("127.0.0.1", "localhost")  # of bare addresses none are kept
    async with NRMClient(API_KEY, base_url=by_name) as client:
        await client.list_anis()
        await client.list_anis()
    assert "Cookie" not in stub_api.requests[1].headers


async def test_the_environment_sets_no_proxy_and_no_password(
    stub_api: StubAPI, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Proxy variables and a netrc file are not read."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password secret\n")
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    stub_api.reply(EMPTY_PAGE)
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        await nrm.list_anis()
    assert stub_api.requests[0].headers["Authorization"] == f"Bearer {API_KEY}"


async def test_a_proxy_is_used_if_it_is_given(stub_api: StubAPI) -> None:
    """An explicit proxy gets the request, with the whole URL in it."""
    stub_api.reply(EMPTY_PAGE)
    proxy = stub_api.url.removesuffix("/nrm")
    async with NRMClient(API_KEY, base_url="http://127.0.0.2:1/nrm", proxy=proxy) as nrm:
        await nrm.list_anis()
    assert stub_api.requests[0].headers["Host"] == "127.0.0.2:1"


# --- what comes back -----------------------------------------------------------------------

Case = dict[str, Any]
QUIRKS: list[Case] = json.loads((CONTRACT / "quirks.json").read_text())
ACTIONS: list[Case] = json.loads((CONTRACT / "actions.json").read_text())
CALLS = {"/pause": "pause", "/activate": "activate", "/remediate": "remediate"}


@pytest.mark.parametrize("case", ACTIONS, ids=lambda case: case["endpoint"])
async def test_documented_actions_over_http(
    stub_api: StubAPI, client: NRMClient, case: Case
) -> None:
    """The documented request is what is sent; success and failure are told apart."""
    call = getattr(client, CALLS[case["endpoint"]])
    arguments = {key: value for key, value in case["request"].items() if key != "ani"}
    stub_api.reply(case["success"])
    receipt = await call(case["request"]["ani"], **arguments)
    assert receipt.status == case["success"]["status"]
    assert json.loads(stub_api.bodies[0]) == case["request"]
    for status in (200, 400, 404, 409, 422):
        stub_api.reply(case["failure"], status=status)
        with pytest.raises(RejectedError) as caught:
            await call(case["request"]["ani"], **arguments)
        assert caught.value.message == case["failure"]["message"]
        assert caught.value.status == status
        assert not caught.value.maybe_applied


async def test_the_documented_page_over_http(stub_api: StubAPI, client: NRMClient) -> None:
    """The documentation's own example, which contradicts itself, is one row and an end."""
    example = json.loads((CONTRACT / "anis-success.json").read_text())
    stub_api.reply(example)
    page = await client.list_anis()
    assert (page.count, page.total_anis, page.can_next_page, page.total_pages) == (1, 500, True, 1)
    assert [ani.phone for ani in page] == ["2345678901"]
    assert [ani.id async for ani in client.anis()] == [12345]
    found = await client.find_ani("1-234-567-8901")
    assert found is not None
    assert found.is_active


MEANINGS: dict[str, tuple[type[NRMError] | None, Outcome]] = {
    "refused": (RejectedError, Outcome.REJECTED),
    "applied": (None, Outcome.APPLIED),
    "authentication": (AuthenticationError, Outcome.NOT_APPLIED),
    "unknown": (OutcomeUnknownError, Outcome.UNKNOWN),
    "unknown for an action, retry for a read": (OutcomeUnknownError, Outcome.UNKNOWN),
}


@pytest.mark.parametrize("case", QUIRKS, ids=lambda case: case["what"])
async def test_quirks_over_http(stub_api: StubAPI, client: NRMClient, case: Case) -> None:
    """Each known quirk comes to what the contract says it means."""
    stub_api.reply(case["body"], status=case["status"])
    body = case["body"] if isinstance(case["body"], dict) else {}
    is_pause = body.get("status") == "paused" or case["status"] >= 400
    ani = "2345678901" if is_pause else body.get("ani", "2345678901")
    action = Pause(ani) if is_pause else Remediate(ani)
    (result,) = await client.run_batch([action])
    error, outcome = MEANINGS[case["means"]]
    assert result.outcome is outcome
    if error is not None:
        assert isinstance(result, Failed)
        assert type(result.error) is error


async def test_an_infrastructure_page_is_retried_for_a_read(
    stub_api: StubAPI, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A read is tried again as often as the policy says, then tells what it saw."""
    stub_api.reply("<html>Bad Gateway</html>", status=502)
    retry = RetryPolicy(max_retries=3, base=0)
    async with NRMClient(API_KEY, base_url=stub_api.url, retry=retry) as nrm:
        with pytest.raises(ServerError, match="Bad Gateway") as caught:
            await nrm.list_anis()
    assert caught.value.attempts == len(stub_api.requests) == 4
    assert (caught.value.method, caught.value.path) == ("GET", "/anis")


async def test_a_throttled_action_is_tried_again(stub_api: StubAPI) -> None:
    """429 proves that nothing was applied, so sending again is safe."""
    answers = iter([429, 429, 200])
    stub_api.answer = lambda request: web.json_response(PAUSED, status=next(answers))
    retry = RetryPolicy(base=0)
    async with NRMClient(API_KEY, base_url=stub_api.url, retry=retry) as nrm:
        (result,) = await nrm.pause_many(["2345678901"])
    assert result.ok
    assert result.attempts == 3


async def test_throttled_to_the_end_is_not_applied(stub_api: StubAPI) -> None:
    """The result can be run again as it is."""
    stub_api.reply({"message": "slow down"}, status=429, headers={"Retry-After": "0"})
    retry = RetryPolicy(max_retries=2, base=0)
    async with NRMClient(API_KEY, base_url=stub_api.url, retry=retry) as nrm:
        report = await nrm.pause_many(["2345678901"])
        assert report[0].outcome is Outcome.NOT_APPLIED
        assert report[0].attempts == 3
        (failed,) = report.retryable
        assert isinstance(failed.error, RateLimitError)
        assert failed.error.retry_after == 0
        stub_api.reply(PAUSED)
        assert (await nrm.run_batch(report.retryable)).ok


async def test_a_retry_after_above_the_cap_is_surfaced(stub_api: StubAPI) -> None:
    """Nobody waits an hour without having been asked."""
    stub_api.reply({"message": "slow down"}, status=429, headers={"Retry-After": "3600"})
    async with NRMClient(API_KEY, base_url=stub_api.url) as nrm:
        with pytest.raises(RateLimitError) as caught:
            await nrm.pause("2345678901")
    assert caught.value.retry_after == 3600
    assert caught.value.attempts == 1


async def test_an_unanswered_action_is_unknown_and_sent_once(stub_api: StubAPI) -> None:
    """A connection that dies after the request proves nothing: no resend, no false failure."""

    def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    stub_api.answer = hang_up
    async with NRMClient(API_KEY, base_url=stub_api.url, on_unknown="report") as nrm:
        with pytest.raises(OutcomeUnknownError, match="may have been applied") as caught:
            await nrm.pause("2345678901")
    assert caught.value.maybe_applied
    assert len(stub_api.requests) == 1
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_a_refused_connection_is_not_sent(stub_page_server: str) -> None:
    """Connecting failed, so nothing can have happened; the result can be run again."""
    retry = RetryPolicy(max_retries=1, base=0)
    async with NRMClient(API_KEY, base_url=stub_page_server, retry=retry) as nrm:
        with pytest.raises(NotSentError, match="not sent") as caught:
            await nrm.pause("2345678901")
        report = await nrm.remediate_many(["2345678901"])
    assert caught.value.attempts == 2
    assert caught.value.__context__ is None
    assert report[0].outcome is Outcome.NOT_APPLIED
    assert report.retryable


async def test_a_timed_out_action_is_unknown(stub_api: StubAPI) -> None:
    """No answer in time proves nothing about an action; a read may be repeated."""
    gate = asyncio.Event()

    async def never(request: web.Request) -> web.Response:
        await gate.wait()
        return web.Response()

    stub_api.answer = never
    retry = RetryPolicy(max_retries=1, base=0)
    async with NRMClient(
        API_KEY, base_url=stub_api.url, timeout=0.05, retry=retry, on_unknown="report"
    ) as nrm:
        with pytest.raises(OutcomeUnknownError):
            await nrm.pause("2345678901")
        assert len(stub_api.requests) == 1
        with pytest.raises(NRMError) as caught:
            await nrm.list_anis()
        assert caught.value.attempts == 2
    gate.set()


async def test_a_body_that_is_no_page_is_told(stub_api: StubAPI, client: NRMClient) -> None:
    """A 2xx that breaks the contract is its own error, and is not retried."""
    stub_api.reply("<html>welcome</html>")
    with pytest.raises(ResponseError, match="not a page"):
        await client.list_anis()
    assert len(stub_api.requests) == 1


async def test_an_endless_answer_is_cut_off(stub_api: StubAPI, client: NRMClient) -> None:
    """Memory is safe from a server that never stops; what it did is unknown."""

    async def flood(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(b"x" * 65536)
        except ConnectionError:
            return response

    stub_api.answer = flood
    with pytest.raises(OutcomeUnknownError, match="longer than"):
        await client.pause("2345678901")


async def test_an_echoed_key_is_scrubbed(stub_api: StubAPI, client: NRMClient) -> None:
    """A server that repeats the key cannot put it into our errors."""
    stub_api.reply({"message": f"bad key {API_KEY}"}, status=401, headers={"x-request-id": API_KEY})
    with pytest.raises(AuthenticationError, match=r"bad key \*\*\*") as caught:
        await client.list_anis()
    assert API_KEY not in repr(caught.value) + str(caught.value.body)
    assert API_KEY not in str(caught.value.request_id)


async def test_the_ceiling_holds_over_everything(stub_api: StubAPI) -> None:
    """Listing, single calls and two batches together stay below ``max_concurrency``."""
    in_flight = most = 0

    async def answer(request: web.Request) -> web.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        await asyncio.sleep(0)
        in_flight -= 1
        if request.path == "/nrm/anis":
            page = int(request.query["page"])
            rows = [{"id": page, "phone": str(2_000_000_000 + page)}]
            return web.json_response({"data": rows, "total_pages": 30})
        status = {"/nrm/pause": "paused", "/nrm/remediate": "received request"}[request.path]
        return web.json_response({"status": status, "ani": (await request.json())["ani"]})

    stub_api.answer = answer
    anis = [str(2_000_000_000 + number) for number in range(200)]
    async with NRMClient(API_KEY, base_url=stub_api.url, max_concurrency=5) as nrm:
        pages, paused, remediated, receipt = await asyncio.gather(
            nrm.inventory(on_drift="report"),
            nrm.pause_many(anis, concurrency=50),
            nrm.remediate_many(anis[::-1]),
            nrm.pause(anis[0]),
        )
    assert len(pages) == 30
    assert paused.ok
    assert remediated.ok
    assert receipt.status == "paused"
    assert most == 5


# --- bad input -----------------------------------------------------------------------------

BAD_CALLS: dict[str, Any] = {
    "ani must not be empty": lambda nrm: nrm.pause(""),
    "ani must be digits": lambda nrm: nrm.remediate("23456x8901"),
    "ani must have 7 to 15 digits": lambda nrm: nrm.find_ani("123"),
    "carrier must be an id of six digits": lambda nrm: nrm.pause("2345678901", carrier="12345"),
    "date is required": lambda nrm: nrm.activate("2345678901", date=None),
    "date must be": lambda nrm: nrm.activate("2345678901", date="27/05/2026"),
    "page must be": lambda nrm: nrm.list_anis(page=0),
    "page_size must be": lambda nrm: nrm.list_anis(page_size=1001),
    "number must be digits": lambda nrm: nrm.inventory(number="abc"),
    "on_drift must be": lambda nrm: nrm.inventory(on_drift="ignore"),
    "concurrency must be": lambda nrm: nrm.pause_many([], concurrency=0),
    "a batch needs an iterable": lambda nrm: nrm.pause_many("2345678901"),
    "a batch needs an iterable or async": lambda nrm: nrm.run_batch(Pause("2345678901")),
    "carrier must be": lambda nrm: nrm.remediate_many(["2345678901"], carrier="x"),
    "date is required to": lambda nrm: nrm.activate_many(["2345678901"], date=None),
}


@pytest.mark.parametrize("problem", BAD_CALLS)
async def test_bad_arguments_are_told_before_anything_is_sent(
    stub_api: StubAPI, client: NRMClient, problem: str
) -> None:
    """The error names the argument and the rule, and the server saw nothing."""
    with pytest.raises(InvalidRequestError, match=problem) as caught:
        await BAD_CALLS[problem](client)
    assert isinstance(caught.value, ValueError)
    assert caught.value.attempts == 0
    assert stub_api.requests == []


async def test_bad_stream_arguments_are_told_at_once(client: NRMClient) -> None:
    """Not at the first row, but where the stream is asked for."""
    with pytest.raises(InvalidRequestError, match="page_size"):
        client.anis(page_size=0)
    with pytest.raises(InvalidRequestError, match="prefetch"):
        client.anis(prefetch=0)
    with pytest.raises(InvalidRequestError, match="concurrency"):
        client.stream_batch([], concurrency=0)


async def test_the_client_shows_no_key(client: NRMClient) -> None:
    """Its ``repr`` tells where it points and what state it is in."""
    assert API_KEY not in repr(client)
    assert "opened" in repr(client)
    assert isinstance(APIError(500, "x"), NRMError)
