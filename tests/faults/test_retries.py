"""Rows 28 to 33: throttling, server errors, redirects, and repeated actions."""

import asyncio
from email.utils import formatdate
from functools import partial
from typing import Final

import pytest

from nrm_async import (
    APIError,
    BatchStoppedError,
    ConfigurationError,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    Pause,
    RateLimitError,
    RetryPolicy,
    ServerError,
)
from tests.fakes import ACTIVE_ANI, json_row, make_action, settled
from tests.faults.conftest import (
    SPARE_ANI,
    TRIES,
    Loss,
    act,
    act_and_fail,
    check_error,
    check_loss,
    check_next_call,
    check_read_again,
    check_read_fails,
    connect_to,
    every_kind,
    every_loss,
    read_and_fail,
)
from tests.faults.server import FaultServer, drop, hang, say

# --- 28, 29: throttled -----------------------------------------------------------------------


@pytest.mark.fault(28)
@every_kind
async def test_throttled(server: FaultServer, client: NRMClient, kind: str) -> None:
    """A throttled request was not processed: it is retried to the last attempt."""
    action = make_action(kind)
    server.then("POST", say("slow down", 429))
    result = await act(client, action)
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, 2)
    server.always("POST", say("slow down", 429))
    error = await act_and_fail(client, make_action(kind), Outcome.NOT_APPLIED, TRIES)
    assert isinstance(error, RateLimitError)
    assert server.applied == {(action.path, action.ani): 1}
    await check_read_again(client, server, say("slow down", 429), RateLimitError)


GATED: Final = {
    "seconds": {"Retry-After": "100"},
    "fraction": {"Retry-After": "100.5"},
    "http-date": {
        "Date": formatdate(1_000_000_000, usegmt=True),
        "Retry-After": formatdate(1_000_000_100, usegmt=True),
    },
}


@pytest.mark.fault(28)
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("form", GATED)
@pytest.mark.parametrize("status", [429, 503])
async def test_retry_after_stops_the_whole_client(
    server: FaultServer, method: str, form: str, status: int
) -> None:
    """After one ``Retry-After`` nothing is sent: no action, no read, no item."""
    server.always(method, say("slow down", status, GATED[form]))
    async with connect_to(server) as nrm:
        first = asyncio.create_task(
            act(nrm, make_action("remediate")) if method == "POST" else _read(nrm)
        )
        await server.received(1)
        await settled()
        batch = asyncio.create_task(nrm.pause_many([ACTIVE_ANI, SPARE_ANI]))
        read = asyncio.create_task(_read(nrm))
        await settled()
        assert len(server.requests) == 1
    report = await batch
    assert report.counts[Outcome.NOT_APPLIED] == 2
    assert isinstance(await read, NRMError)
    await first
    assert len(server.requests) == 1
    assert not server.applied


async def _read(nrm: NRMClient) -> object:
    try:
        return await nrm.list_anis()
    except NRMError as error:
        return error


WITHOUT_WAIT: Final = {
    "zero": {"Retry-After": "0"},
    "short": {"Retry-After": "0.01"},
    "negative": {"Retry-After": "-5"},
    "nan": {"Retry-After": "NaN"},
    "infinite": {"Retry-After": "inf"},
    "garbage": {"Retry-After": "soon; maybe"},
    "empty": {"Retry-After": ""},
    "digits of another script": {"Retry-After": "\u0661\u0662"},
    "date in the past": {"Retry-After": formatdate(0, usegmt=True)},
    "invalid date": {"Retry-After": "Fri, 99 Foo 2025 99:99:99 GMT"},
}
TOO_LONG: Final = {
    "huge": ({"Retry-After": "9" * 400}, 366 * 86_400.0),
    "above the cap": ({"Retry-After": "121"}, 121.0),
    "far date": (
        {"Date": formatdate(0, usegmt=True), "Retry-After": formatdate(1e6, usegmt=True)},
        1e6,
    ),
    "far date, no base": ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 366 * 86_400.0),
}


@pytest.mark.fault(29)
@pytest.mark.parametrize("form", WITHOUT_WAIT)
async def test_retry_after_without_a_wait(
    server: FaultServer, client: NRMClient, form: str
) -> None:
    """No wait, or one that cannot be parsed, is a retry as if nothing was said."""
    for method in ("POST", "GET"):
        server.then(method, say("slow down", 429, WITHOUT_WAIT[form]))
    result = await act(client, Pause(ACTIVE_ANI))
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, 2)
    assert len(await client.list_anis()) == 3
    assert (server.posts, server.gets) == (2, 2)
    await check_next_call(client, server)


@pytest.mark.fault(29)
@pytest.mark.parametrize("form", TOO_LONG)
async def test_retry_after_above_the_cap(server: FaultServer, client: NRMClient, form: str) -> None:
    """It is not waited for but raised, and no other call waits for it."""
    headers, wait = TOO_LONG[form]
    server.then("POST", say("slow down", 429, headers))
    error = await act_and_fail(client, Pause(ACTIVE_ANI), Outcome.NOT_APPLIED, 1)
    assert isinstance(error, RateLimitError)
    assert error.retry_after == wait
    read_error = await check_read_fails(
        client, server, say("slow down", 429, headers), RateLimitError
    )
    assert isinstance(read_error, RateLimitError)
    assert read_error.retry_after == wait


# --- 30, 31: server errors, redirects --------------------------------------------------------


@pytest.mark.fault(30)
@every_loss
@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", ["<html>Bad</html>", '{"success": false, "message": "no"}'])
async def test_server_error(
    server: FaultServer, client: NRMClient, loss: Loss, status: int, body: str
) -> None:
    """It proves nothing, whatever its body says."""
    await check_loss(client, server, loss, partial(say, body, status), status=status)


@pytest.mark.fault(30)
@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_server_error_for_a_read(server: FaultServer, client: NRMClient, status: int) -> None:
    """A read is retried; the error has the status and the body."""
    error = await check_read_again(client, server, say("<html></html>", status), ServerError)
    assert isinstance(error, ServerError)
    assert (error.status, error.body) == (status, "<html></html>")


@pytest.mark.fault(31)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@every_kind
async def test_redirect(server: FaultServer, client: NRMClient, status: int, kind: str) -> None:
    """It is never followed; a permanent one is a mistake of configuration."""
    moved = {"Location": f"http://127.0.0.1:{server.port}/elsewhere"}
    server.then("POST", say("", status, moved))
    if status in (302, 303):
        error = await act_and_fail(client, make_action(kind), Outcome.UNKNOWN, 1)
        assert isinstance(error, OutcomeUnknownError)
        assert error.status == status
    else:
        error = await act_and_fail(client, make_action(kind), Outcome.NOT_APPLIED, 1)
        assert isinstance(error, ConfigurationError)
    assert not server.applied
    server.always("GET", say("", status, moved))
    expected = APIError if status in (302, 303) else ConfigurationError
    check_error(await read_and_fail(client, expected), "GET", "/anis", 1)
    assert [request.path for request in server.requests] == [make_action(kind).path, "/anis"]
    await check_next_call(client, server)


@pytest.mark.fault(31)
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_redirect_stops_the_batch(server: FaultServer, status: int) -> None:
    """Every further item would be redirected too."""
    server.always("POST", say("", status, {"Location": "/elsewhere"}))
    async with connect_to(server, max_concurrency=3) as nrm:
        report = await nrm.pause_many([str(2_000_000_000 + n) for n in range(50)])
    assert server.posts <= 3
    stopped = [r for r in report.failed if isinstance(r.error, BatchStoppedError)]
    assert len(stopped) >= 47
    assert all(result.outcome is Outcome.NOT_APPLIED for result in stopped)


# --- 32, 33: repeated actions ----------------------------------------------------------------


@pytest.mark.fault(32)
@pytest.mark.parametrize("kind", ["pause", "activate"])
async def test_resend_refused_because_the_first_was_applied(
    server: FaultServer, client: NRMClient, kind: str
) -> None:
    """Stale reads lead to a resend; after its refusal, reading back confirms the first."""
    action = make_action(kind)
    stale = json_row(action.ani, is_active=server.active[action.ani])
    server.then("POST", drop("reset", applied=True))
    server.then("GET", *[say({"data": [stale], "count": 1, "total_anis": 1})] * 2)
    result = await act(client, action)
    assert (result.outcome, result.attempts) == (Outcome.CONFIRMED, 2)
    assert server.applied == {(action.path, action.ani): 1}
    assert (server.posts, server.gets) == (2, 3)
    await check_next_call(client, server)


@pytest.mark.fault(32)
@pytest.mark.parametrize("kind", ["pause", "activate"])
async def test_retry_after_408_refused_because_it_was_applied(
    server: FaultServer, client: NRMClient, kind: str
) -> None:
    """The same if the retry was invited by a 408 although the action was applied."""
    action = make_action(kind)
    server.then("POST", say("timed out", 408, applied=True))
    result = await act(client, action)
    assert (result.outcome, result.attempts) == (Outcome.CONFIRMED, 2)
    assert server.applied == {(action.path, action.ani): 1}
    await check_next_call(client, server)


@pytest.mark.fault(32)
@pytest.mark.parametrize("kind", ["pause", "activate"])
async def test_resend_refused_and_unchanged(
    server: FaultServer, client: NRMClient, kind: str
) -> None:
    """The first may still be applied later, so the outcome stays unknown."""
    action = make_action(kind)
    server.then("POST", drop("reset", applied=False), say({"success": False, "message": "no"}))
    await act_and_fail(client, action, Outcome.UNKNOWN, 2)
    assert not server.applied
    await check_next_call(client, server)


@pytest.mark.fault(33)
@every_kind
async def test_one_number_in_two_spellings(server: FaultServer, kind: str) -> None:
    """Its actions are sent one after the other, in order, with a result for each."""
    ani = make_action(kind).ani
    respelled = f"+1 ({ani[:3]}) {ani[3:6]}-{ani[6:]}"
    go_on = asyncio.Event()
    server.then("POST", hang(applied=True, until=go_on))
    async with connect_to(server, retry=RetryPolicy(max_retries=0)) as nrm:
        batch = asyncio.create_task(
            nrm.run_batch([make_action(kind), make_action(kind, respelled), Pause(SPARE_ANI)])
        )
        await server.received(2)
        await settled()
        assert {request.ani for request in server.requests} == {ani, SPARE_ANI}
        go_on.set()
        report = await batch
        assert [result.ani for result in report] == [ani, ani, SPARE_ANI]
        outcomes = [result.outcome for result in report]
        assert outcomes == [Outcome.APPLIED, Outcome.REJECTED, Outcome.APPLIED]
        assert server.applied.total() == 2
        row_now = await nrm.find_ani(respelled)
        assert row_now is not None
        assert row_now.phone == ani


@pytest.mark.fault(33)
async def test_concurrent_calls_for_one_number(server: FaultServer, client: NRMClient) -> None:
    """The same for single calls, in the order in which they were made."""
    go_on = asyncio.Event()
    server.then("POST", hang(applied=True, until=go_on))
    calls = asyncio.gather(
        client.pause(ACTIVE_ANI),
        client.activate("1" + ACTIVE_ANI, date="2025-01-26"),
        client.pause(int(ACTIVE_ANI)),
    )
    await server.received(1)
    await settled()
    assert server.posts == 1
    go_on.set()
    receipts = await calls
    assert [receipt.status for receipt in receipts] == ["paused", "active", "paused"]
    assert [request.path for request in server.requests] == ["/pause", "/activate", "/pause"]
    await check_next_call(client, server)
