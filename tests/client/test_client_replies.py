"""What the client makes of replies, over real HTTP.

Every fault has its own tests in ``tests/faults``; the wire format in ``tests/wire``.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from nrm_async import (
    AuthenticationError,
    Failed,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    Pause,
    RateLimitError,
    RejectedError,
    Remediate,
)
from nrm_async.testing import MockTransport, json_response
from tests.fakes import API_KEY, StubAPI, connect, numbers

ANI = "2345678901"
PAUSED = {"status": "paused", "ani": ANI}
CONTRACT = Path(__file__).parent.parent / "contract"

Case = dict[str, Any]
QUIRKS: list[Case] = json.loads((CONTRACT / "quirks.json").read_text())
ACTIONS: list[Case] = json.loads((CONTRACT / "actions.json").read_text())
CALLS = {"/pause": "pause", "/activate": "activate", "/remediate": "remediate"}


@pytest.mark.parametrize("case", ACTIONS, ids=lambda case: case["endpoint"])
async def test_documented_actions(stub_api: StubAPI, client: NRMClient, case: Case) -> None:
    """The documented request is sent; success returns a receipt, failure raises."""
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


async def test_documented_page(stub_api: StubAPI, client: NRMClient) -> None:
    """The documentation's own example, which contradicts itself, is one row and an end."""
    example = json.loads((CONTRACT / "anis-success.json").read_text())
    stub_api.reply(example)
    page = await client.list_anis()
    assert (page.count, page.total_anis, page.can_next_page, page.total_pages) == (1, 500, True, 1)
    assert [ani.phone for ani in page] == [ANI]
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
async def test_quirks(stub_api: StubAPI, client: NRMClient, case: Case) -> None:
    """Each known quirk has the outcome that the contract says."""
    stub_api.reply(case["body"], status=case["status"])
    body = case["body"] if isinstance(case["body"], dict) else {}
    is_pause = body.get("status") == "paused" or case["status"] >= 400
    ani = ANI if is_pause else body.get("ani", ANI)
    (result,) = await client.run_batch([Pause(ani) if is_pause else Remediate(ani)])
    error, outcome = MEANINGS[case["means"]]
    assert result.outcome is outcome
    if error is not None:
        assert isinstance(result, Failed)
        assert type(result.error) is error


async def test_retryable_results_can_be_run_again() -> None:
    """A throttled item was not applied; the report's ``retryable`` runs as it is."""
    status = 429
    transport = MockTransport(lambda request: json_response(PAUSED, status, {"Retry-After": "0"}))
    async with connect("https://example.com/nrm", transport=transport) as nrm:
        report = await nrm.pause_many([ANI])
        assert (report[0].outcome, report[0].attempts) == (Outcome.NOT_APPLIED, 3)
        (failed,) = report.retryable
        assert isinstance(failed.error, RateLimitError)
        assert failed.error.retry_after == 0
        status = 200
        assert (await nrm.run_batch(report.retryable)).ok


async def test_a_day_of_retry_after_is_requested_once(stub_api: StubAPI) -> None:
    """A ``Retry-After`` beyond the cap ends the batch's items without a request for each."""
    stub_api.reply({}, status=429, headers={"Retry-After": "86400"})
    async with NRMClient(API_KEY, base_url=stub_api.url, max_concurrency=4) as nrm:
        report = await nrm.pause_many(numbers(40))
    assert report.counts[Outcome.NOT_APPLIED] == 40
    assert len(stub_api.requests) <= 4


async def test_on_unknown_report(stub_api: StubAPI) -> None:
    """``on_unknown="report"`` neither reads back nor resends an action without a reply."""

    def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    stub_api.answer = hang_up
    async with connect(stub_api.url, on_unknown="report") as nrm:
        with pytest.raises(OutcomeUnknownError, match="may have been applied") as caught:
            await nrm.pause(ANI)
    assert caught.value.maybe_applied
    assert len(stub_api.requests) == 1
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None


async def test_endless_reply(stub_api: StubAPI, client: NRMClient) -> None:
    """A reply is read up to a limit, so that memory stays bounded; the outcome is unknown."""

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
        await client.pause(ANI)


async def test_max_concurrency_holds_for_the_whole_client(stub_api: StubAPI) -> None:
    """Listings, single calls and two batches together never exceed ``max_concurrency``."""
    in_flight = most = 0
    is_full = asyncio.Event()

    async def answer(request: web.Request) -> web.Response:
        nonlocal in_flight, most
        in_flight += 1
        most = max(most, in_flight)
        if in_flight == 5:
            is_full.set()
        await is_full.wait()  # no reply until the limit has been reached
        in_flight -= 1
        if request.path == "/nrm/anis":
            page = int(request.query["page"])
            rows = [{"id": page, "phone": str(2_000_000_000 + page)}]
            return web.json_response({"data": rows, "total_pages": 30})
        status = {"/nrm/pause": "paused", "/nrm/remediate": "received request"}[request.path]
        return web.json_response({"status": status, "ani": (await request.json())["ani"]})

    stub_api.answer = answer
    anis = numbers(200)
    async with connect(stub_api.url, max_concurrency=5) as nrm:
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
