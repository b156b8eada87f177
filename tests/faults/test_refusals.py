"""Rows 23 to 27: the API replies to an action with something else than success."""

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import pytest

from nrm_async import (
    APIError,
    AuthenticationError,
    BatchStoppedError,
    NRMClient,
    NRMError,
    Outcome,
    OutcomeUnknownError,
    RejectedError,
)
from tests.fakes import ACTIVE_ANI, RESTING_ANI, STATUS_WORDS, make_action, settled
from tests.faults.conftest import (
    SPARE_ANI,
    Loss,
    act,
    act_and_fail,
    check_error,
    check_loss,
    check_next_call,
    check_read_fails,
    connect_to,
    every_kind,
    every_loss,
)
from tests.faults.server import FaultServer, hang, say

# --- 23, 24, 25: refusals, and neither -------------------------------------------------------

REFUSALS: Final[dict[str, dict[str, Any]]] = {
    "v2": {"success": False, "message": "not today"},
    "v1": {"status": "failed", "reason": "not today"},
}


@pytest.mark.fault(23)
@every_kind
@pytest.mark.parametrize("dialect", REFUSALS)
@pytest.mark.parametrize("status", [200, 202, 400, 404, 409, 422])
async def test_refusal(
    server: FaultServer, client: NRMClient, kind: str, dialect: str, status: int
) -> None:
    """It is recognised in either dialect with any status, and keeps the API's words."""
    action = make_action(kind)
    server.then(
        "POST", say(REFUSALS[dialect] | {"ani": action.ani}, status, {"x-request-id": "r-1"})
    )
    error = await act_and_fail(client, action, Outcome.REJECTED, 1)
    assert isinstance(error, RejectedError)
    assert (error.message, error.status, error.request_id) == ("not today", status, "r-1")
    assert len(server.requests) == 1
    assert not server.applied
    await check_next_call(client, server)


@pytest.mark.fault(23)
async def test_within_cooldown(server: FaultServer, client: NRMClient) -> None:
    """A refusal that looks like a status is one; the first remediation stands."""
    assert (await client.remediate(ACTIVE_ANI)).status == "received request"
    error = await act_and_fail(client, make_action("remediate"), Outcome.REJECTED, 1)
    assert error.message == "within cooldown"
    assert server.applied == {("/remediate", ACTIVE_ANI): 1}
    await check_next_call(client, server)


UNUSABLE: Final[dict[str, Callable[[str, str], dict[str, Any]]]] = {
    "another number": lambda word, ani: {"status": word, "ani": "9999999999"},
    "no number": lambda word, ani: {"status": word},
    "another status": lambda word, ani: {"status": "queued", "ani": ani},
    "no status": lambda word, ani: {"ani": ani},
    "success and refusal": lambda word, ani: {"status": word, "ani": ani, "success": False},
}


@pytest.mark.fault(24)
@every_loss
@pytest.mark.parametrize("wrong", UNUSABLE)
async def test_reply_about_something_else(
    server: FaultServer, client: NRMClient, loss: Loss, wrong: str
) -> None:
    """A 2xx that does not name this action and number proves nothing about it."""
    action = make_action(loss.kind)
    body = UNUSABLE[wrong](STATUS_WORDS[action.path], action.ani)
    await check_loss(client, server, loss, partial(say, body), status=200)


@pytest.mark.fault(25)
@pytest.mark.parametrize("status", [400, 404, 405, 409, 413, 422])
@every_kind
async def test_client_error(server: FaultServer, client: NRMClient, status: int, kind: str) -> None:
    """A client error is a refusal, whatever its body, and is not retried."""
    server.then("POST", say("<html>no</html>", status))
    error = await act_and_fail(client, make_action(kind), Outcome.REJECTED, 1)
    assert isinstance(error, RejectedError)
    assert error.status == status
    server.always("GET", say("<html>no</html>", status))
    with pytest.raises(APIError) as caught:
        await client.list_anis()
    assert caught.value.status == status
    check_error(caught.value, "GET", "/anis", 1)
    assert len(server.requests) == 2
    await check_next_call(client, server)


# --- 26: the key is refused ------------------------------------------------------------------


@pytest.mark.fault(26)
@pytest.mark.parametrize("status", [401, 403])
@every_kind
async def test_key_is_refused(
    server: FaultServer, client: NRMClient, status: int, kind: str
) -> None:
    """It is an ``AuthenticationError``, without a retry, for an action and a read."""
    server.then("POST", say({"success": False, "message": "Invalid API key"}, status))
    error = await act_and_fail(client, make_action(kind), Outcome.NOT_APPLIED, 1)
    assert isinstance(error, AuthenticationError)
    assert error.message == "Invalid API key"
    await check_read_fails(client, server, say({"message": "no"}, status), AuthenticationError)


@pytest.mark.fault(26)
@pytest.mark.parametrize("status", [401, 403])
async def test_refused_key_stops_the_batch(server: FaultServer, status: int) -> None:
    """Nothing more is sent, items in flight complete, and the rest is not started."""
    server.active = {str(2_000_000_000 + number): True for number in range(40)}
    go_on = asyncio.Event()
    server.then("POST", hang(applied=True, until=go_on), say({"message": "no"}, status))
    server.always("POST", hang(applied=True, until=go_on))
    async with connect_to(server, max_concurrency=4) as nrm:
        batch = asyncio.create_task(nrm.pause_many(list(server.active)))
        await server.received(4)
        await settled()
        assert server.posts == 4
        go_on.set()
        report = await batch
        assert server.posts == 4
        assert report.counts[Outcome.APPLIED] == server.applied.total() == 3
        assert report.counts[Outcome.NOT_APPLIED] == 37
        errors = [result.error for result in report.failed]
        assert sum(isinstance(error, AuthenticationError) for error in errors) == 1
        assert sum(isinstance(error, BatchStoppedError) for error in errors) == 36
        assert all(f"HTTP {status}" in str(error) for error in errors)
        await check_not_started(report.failed[-1].error)
        server.active[SPARE_ANI] = True
        await check_next_call(nrm, server)


async def check_not_started(error: NRMError) -> None:
    """Check the error of an item that was not started: it names the cause."""
    assert isinstance(error, BatchStoppedError)
    check_error(error, "POST", "/pause", 0)
    assert isinstance(error.cause, AuthenticationError)


# --- 27: not processed -----------------------------------------------------------------------


@pytest.mark.fault(27)
@pytest.mark.parametrize("status", [408, 421, 425])
@pytest.mark.parametrize("kind", ["pause", "activate"])
async def test_not_processed(
    server: FaultServer, client: NRMClient, status: int, kind: str
) -> None:
    """It is sent once more; if it was applied after all, reading back shows it."""
    action = make_action(kind)
    server.then("POST", say("later", status))
    result = await act(client, action)
    assert (result.outcome, result.attempts) == (Outcome.APPLIED, 2)
    assert (server.posts, server.gets) == (2, 0)
    other = make_action(kind, RESTING_ANI if kind == "pause" else ACTIVE_ANI)
    server.active[other.ani] = kind == "pause"
    server.then("POST", say("later", status, applied=True), say("later", status))
    result = await act(client, other)
    assert (result.outcome, result.attempts) == (Outcome.CONFIRMED, 2)
    assert server.applied == {(action.path, action.ani): 1, (action.path, other.ani): 1}
    await check_next_call(client, server)


@pytest.mark.fault(27)
@pytest.mark.parametrize("status", [408, 421, 425])
@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not-applied"])
async def test_remediation_not_processed(
    server: FaultServer, client: NRMClient, status: int, applied: bool
) -> None:
    """It may have been applied and cannot be read back: unknown, and sent once."""
    server.always("POST", say("later", status, applied=applied))
    error = await act_and_fail(client, make_action("remediate"), Outcome.UNKNOWN, 1)
    assert isinstance(error, OutcomeUnknownError)
    assert error.status == status
    assert server.posts == 1
    await check_next_call(client, server)


@pytest.mark.fault(27)
@pytest.mark.parametrize("status", [408, 421, 425])
async def test_read_not_processed(server: FaultServer, client: NRMClient, status: int) -> None:
    """A read is retried."""
    server.then("GET", say("later", status))
    assert len(await client.list_anis()) == 3
    assert server.gets == 2
    server.always("GET", say("later", status))
    with pytest.raises(APIError) as caught:
        await client.list_anis()
    assert caught.value.status == status
    check_error(caught.value, "GET", "/anis", server.gets - 2)
    await check_next_call(client, server)
