"""Rows 10 to 15: the request was sent, and no reply arrives, or not in time."""

import random
from functools import partial
from typing import Any

import pytest

from nrm_async import (
    Activate,
    ClientTimeoutError,
    ConfirmPolicy,
    NRMClient,
    Outcome,
    OutcomeUnknownError,
    Pause,
    TransportError,
)
from tests.fakes import ACTIVE_ANI, PAST, make_action
from tests.faults.conftest import (
    Loss,
    act,
    act_and_fail,
    check_error,
    check_loss,
    check_next_call,
    check_read_again,
    connect_to,
    every_loss,
    read_and_fail,
)
from tests.faults.server import (
    AcceptHook,
    Ending,
    FaultServer,
    close_unread,
    drip,
    drop,
    hang,
    late,
    once_readable,
    reset_unread,
)

either_ending = pytest.mark.parametrize("how", ["reset", "close"])
either_hook = pytest.mark.parametrize(
    "hook", [once_readable(reset_unread), once_readable(close_unread)], ids=["reset", "close"]
)


# --- 10, 11, 12: the connection ends ---------------------------------------------------------


@pytest.mark.fault(10)
@either_hook
@pytest.mark.parametrize("kind", ["pause", "activate", "remediate"])
async def test_connection_ends_before_the_server_reads(
    server: FaultServer, client: NRMClient, kind: str, hook: AcceptHook
) -> None:
    """It might have been read: pause and activate are read back, the rest is unknown."""
    server.accept_hooks.append(hook)
    action = make_action(kind)
    if kind == "remediate":
        error = await act_and_fail(client, action, Outcome.UNKNOWN, 1)
        assert isinstance(error, OutcomeUnknownError)
        assert error.seen
        assert server.posts == 0
    else:
        result = await act(client, action)
        assert (result.outcome, result.attempts) == (Outcome.APPLIED, 2)
        assert server.applied == {(action.path, action.ani): 1}
    await check_next_call(client, server)


@pytest.mark.fault(10)
@pytest.mark.parametrize("hook", [reset_unread, close_unread], ids=["reset", "close"])
async def test_connection_ends_before_sending(
    server: FaultServer, client: NRMClient, hook: AcceptHook
) -> None:
    """A connection seen to be closed in time is not used, and the outcome is certain."""
    server.accept_hooks.extend([hook] * 2)
    (result,) = await client.remediate_many([make_action("remediate")])
    seen = (result.outcome, server.applied.total())
    assert seen in {(Outcome.APPLIED, 1), (Outcome.UNKNOWN, 0)}  # noticed in time, or not
    await check_next_call(client, server)


@pytest.mark.fault(10)
@pytest.mark.fault(11)
@either_ending
@every_loss
async def test_connection_ends_after_the_server_read(
    server: FaultServer, client: NRMClient, loss: Loss, how: Ending
) -> None:
    """Whether it was applied is found by reading back."""
    await check_loss(client, server, loss, partial(drop, how))


@pytest.mark.fault(10)
@pytest.mark.parametrize("kind", ["pause", "activate", "remediate"])
async def test_single_call_raises_if_it_cannot_read_back(
    server: FaultServer, client: NRMClient, kind: str
) -> None:
    """It raises ``OutcomeUnknownError``, and so does every lost remediation."""
    server.then("POST", drop("reset", applied=True))
    server.always("GET", drop("reset", applied=False))
    action = make_action(kind)
    calls = {
        "pause": lambda: client.pause(action.ani),
        "activate": lambda: client.activate(action.ani, date=PAST),
        "remediate": lambda: client.remediate(action.ani),
    }
    with pytest.raises(OutcomeUnknownError) as caught:
        await calls[kind]()
    check_error(caught.value, "POST", action.path, 1)
    await check_next_call(client, server)


@pytest.mark.fault(10)
@either_hook
async def test_connection_ends_before_a_read_is_read(
    server: FaultServer, client: NRMClient, hook: AcceptHook
) -> None:
    """A read is retried, and each connection that was tried is counted."""
    server.accept_hooks.append(hook)
    assert len(await client.list_anis()) == 3
    server.accept_hooks.extend([hook] * 100)
    server.connections = 0
    await client.aclose()
    async with connect_to(server) as nrm:
        error = await read_and_fail(nrm, TransportError)
        check_error(error, "GET", "/anis", server.connections)
        await check_next_call(nrm, server)


@pytest.mark.fault(11)
@either_ending
async def test_connection_ends_during_a_read(
    server: FaultServer, client: NRMClient, how: Ending
) -> None:
    """A read whose connection ended is retried to the last attempt."""
    await check_read_again(client, server, drop(how, applied=False), TransportError)


@pytest.mark.fault(11)
async def test_two_percent_of_two_thousand_are_reset(server: FaultServer) -> None:
    """If 2 % of connections are reset after the pause was applied, no result is lost."""
    seed = 20250126
    rng = random.Random(seed)
    server.active = {str(2_000_000_000 + number): True for number in range(2_000)}
    resets = 0

    async def fault(exchange: Any) -> None:
        nonlocal resets
        if rng.random() >= 0.02:
            await exchange.answer()
            return
        resets += 1
        exchange.process()
        exchange.reset()

    server.always("POST", fault)
    async with connect_to(server, timeout=30.0, max_concurrency=50) as nrm:
        report = await nrm.pause_many(list(server.active))
    wrong = f"seed {seed}: {report}"
    assert report.counts[Outcome.APPLIED] + report.counts[Outcome.CONFIRMED] == 2_000, wrong
    assert report.counts[Outcome.CONFIRMED] == resets > 20, wrong
    assert server.posts == server.applied.total() == len(server.applied) == 2_000, wrong


@pytest.mark.fault(12)
@either_ending
@every_loss
async def test_kept_connection_ends_during_an_action(
    server: FaultServer, client: NRMClient, loss: Loss, how: Ending
) -> None:
    """A kept connection that ends does not prove that the action was not read."""
    await client.find_ani(ACTIVE_ANI)
    server.requests.clear()
    await check_loss(client, server, loss, partial(drop, how))


@pytest.mark.fault(12)
@either_ending
async def test_resends_by_the_http_library_are_counted(
    server: FaultServer, client: NRMClient, how: Ending
) -> None:
    """aiohttp resends a read by itself: the error counts what the server received."""
    await client.list_anis()
    server.requests.clear()
    server.always("GET", drop(how, applied=False))
    error = await read_and_fail(client, TransportError)
    check_error(error, "GET", "/anis", server.gets)
    assert server.gets > 3  # three of ours, and those of the library
    await check_next_call(client, server)


@pytest.mark.fault(12)
async def test_connection_closed_between_calls_is_not_reused(
    server: FaultServer, client: NRMClient
) -> None:
    """A connection closed after a reply is not used for the next call."""

    async def answer_and_close(exchange: Any) -> None:
        await exchange.answer()
        exchange.close()

    server.always("POST", answer_and_close)
    actions = [Pause(ACTIVE_ANI), Activate(ACTIVE_ANI, date=PAST), Pause(ACTIVE_ANI)]
    for action in actions:
        assert (await act(client, action)).ok
    assert server.applied.total() == 3
    await check_next_call(client, server)


# --- 13, 14, 15: time passes -----------------------------------------------------------------


@pytest.mark.fault(13)
@every_loss
async def test_action_times_out(server: FaultServer, hasty: NRMClient, loss: Loss) -> None:
    """The number is read back after the settling time."""
    await check_loss(hasty, server, loss, hang)


@pytest.mark.fault(13)
async def test_read_times_out(server: FaultServer, hasty: NRMClient) -> None:
    """A read is retried, and the error is a time-out."""
    await check_read_again(hasty, server, hang(applied=False), ClientTimeoutError)


@pytest.mark.fault(14)
@pytest.mark.parametrize("kind", ["pause", "activate"])
@pytest.mark.parametrize("patience", [1, 2, 3, 4])
async def test_action_is_applied_late(server: FaultServer, kind: str, patience: int) -> None:
    """A later read or the refusal of the one resend shows it; it is applied once."""
    action = make_action(kind)
    server.then("POST", late(patience))
    async with connect_to(server, confirm=ConfirmPolicy(settle=0.001, reads=3)) as nrm:
        result = await act(nrm, action)
        assert result.outcome is Outcome.CONFIRMED
        assert server.applied == {(action.path, action.ani): 1}
        assert result.attempts == server.posts == (1 if patience <= 3 else 2)
        await check_next_call(nrm, server)


@pytest.mark.fault(14)
async def test_next_action_waits_for_an_ambiguous_one(server: FaultServer) -> None:
    """The next action on the same number waits until the first is decided."""
    server.then("POST", late(2))
    async with connect_to(server, confirm=ConfirmPolicy(settle=0.001, reads=3)) as nrm:
        report = await nrm.run_batch([Pause(ACTIVE_ANI), Activate("+1 " + ACTIVE_ANI, date=PAST)])
        assert [result.outcome for result in report] == [Outcome.CONFIRMED, Outcome.APPLIED]
        assert [request.path for request in server.requests] == [
            "/pause", "/anis", "/anis", "/activate",
        ]  # fmt: skip
        await check_next_call(nrm, server)


@pytest.mark.fault(14)
async def test_action_is_applied_late_after_a_timeout(
    server: FaultServer, hasty: NRMClient
) -> None:
    """The same while the connection stays open after the time-out."""
    server.postpone("/pause", ACTIVE_ANI, 3)
    server.then("POST", hang(applied=False))
    result = await act(hasty, Pause(ACTIVE_ANI))
    assert result.outcome is Outcome.CONFIRMED
    assert server.applied == {("/pause", ACTIVE_ANI): 1}
    await check_next_call(hasty, server)


@pytest.mark.fault(15)
@every_loss
async def test_reply_to_an_action_drips(server: FaultServer, hasty: NRMClient, loss: Loss) -> None:
    """Bytes that keep arriving do not extend the time of the attempt."""
    await check_loss(hasty, server, loss, drip, status=200)


@pytest.mark.fault(15)
async def test_page_drips(server: FaultServer, hasty: NRMClient) -> None:
    """The same for a read, which is retried."""
    await check_read_again(hasty, server, drip(applied=False), ClientTimeoutError)
