"""The client over real HTTP: what the answers come to."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from nrm_async import (
    AuthenticationError,
    Failed,
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
)
from tests.conftest import API_KEY, StubAPI

PAUSED = {"status": "paused", "ani": "2345678901"}
CONTRACT = Path(__file__).parent / "contract"


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
    retry = RetryPolicy(max_retries=2, max_batch_retries=2, base=0)
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


async def test_a_refused_connection_is_not_sent(silent_url: str) -> None:
    """Connecting failed, so nothing can have happened; the result can be run again."""
    retry = RetryPolicy(max_retries=1, base=0)
    async with NRMClient(API_KEY, base_url=silent_url, retry=retry) as nrm:
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
    is_full = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        if in_flight == 5:
            is_full.set()
        await is_full.wait()  # nobody is answered before the ceiling has been reached
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
