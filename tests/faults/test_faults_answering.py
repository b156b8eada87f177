"""Rows 10 to 15: the request left, and no answer comes, or none in time."""

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
from tests.faults.conftest import (
    ACTIVE_ANI,
    PAST,
    Loss,
    act,
    act_and_fail,
    check_error,
    check_loss,
    check_next_call,
    check_read_again,
    connect_to,
    every_loss,
    make_action,
    read_and_fail,
)
from tests.faults.server import (
    Ending,
    FaultServer,
    Greeting,
    drip,
    drop,
    hang,
    late,
    part,
    slam,
    unread,
)

either_ending = pytest.mark.parametrize("how", ["reset", "close"])
either_greeting = pytest.mark.parametrize(
    "greeting", [unread(slam), unread(part)], ids=["reset", "close"]
)


# --- 10, 11, 12: the connection ends ---------------------------------------------------------


@either_greeting
@pytest.mark.parametrize("kind", ["pause", "activate", "remediate"])
async def test_faults_10_ends_before_the_server_read(
    server: FaultServer, client: NRMClient, kind: str, greeting: Greeting
) -> None:
    """Nobody can tell that it was not read: an action is confirmed, or said to be unknown."""
    server.greetings.append(greeting)
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


@pytest.mark.parametrize("greeting", [slam, part], ids=["reset", "close"])
async def test_faults_10_ends_before_it_was_sent(
    server: FaultServer, client: NRMClient, greeting: Greeting
) -> None:
    """A connection seen to be closed in time is not written to, and that is no doubt at all."""
    server.greetings.extend([greeting] * 2)
    (result,) = await client.remediate_many([make_action("remediate")])
    told = (result.outcome, server.applied.total())
    assert told in {(Outcome.APPLIED, 1), (Outcome.UNKNOWN, 0)}  # seen in time, or not
    await check_next_call(client, server)


@either_ending
@every_loss
async def test_faults_10_ends_after_it_was_read(
    server: FaultServer, client: NRMClient, loss: Loss, how: Ending
) -> None:
    """Read, and applied or not, and no word about it: what is true is found by reading back."""
    await check_loss(client, server, loss, partial(drop, how))


@pytest.mark.parametrize("kind", ["pause", "activate", "remediate"])
async def test_faults_10_a_single_call_raises_only_where_the_truth_is_not_to_be_had(
    server: FaultServer, client: NRMClient, kind: str
) -> None:
    """``OutcomeUnknownError`` if the number cannot be read back, and for a remediation."""
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


@either_greeting
async def test_faults_10_ends_before_a_read_was_read(
    server: FaultServer, client: NRMClient, greeting: Greeting
) -> None:
    """A read is repeated, and each connection that was tried is counted."""
    server.greetings.append(greeting)
    assert len(await client.list_anis()) == 3
    server.greetings.extend([greeting] * 100)
    server.connections = 0
    await client.aclose()
    async with connect_to(server) as nrm:
        error = await read_and_fail(nrm, TransportError)
        check_error(error, "GET", "/anis", server.connections)
        await check_next_call(nrm, server)


@either_ending
async def test_faults_11_a_read_is_repeated(
    server: FaultServer, client: NRMClient, how: Ending
) -> None:
    """A read whose connection ended is sent again, to the end of all retries."""
    await check_read_again(client, server, drop(how, applied=False), TransportError)


@either_ending
@pytest.mark.parametrize("kind", ["pause", "activate"])
async def test_faults_11_reset_after_it_was_applied(
    server: FaultServer, client: NRMClient, kind: str, how: Ending
) -> None:
    """Applied, and reading back shows it: confirmed, sent once, applied once."""
    await check_loss(client, server, Loss(kind, applied=True), partial(drop, how))


async def test_faults_11_two_percent_of_two_thousand(server: FaultServer) -> None:
    """Where 2 % of the connections are reset after the pause was applied, none is lost."""
    seed = 20250126
    dice = random.Random(seed)
    server.active = {str(2_000_000_000 + number): True for number in range(2_000)}
    resets = 0

    async def fault(exchange: Any) -> None:
        nonlocal resets
        if dice.random() >= 0.02:
            await exchange.answer()
            return
        resets += 1
        exchange.judge()
        exchange.reset()

    server.always("POST", fault)
    async with connect_to(server, timeout=30.0, max_concurrency=50) as nrm:
        report = await nrm.pause_many(list(server.active))
    wrong = f"seed {seed}: {report}"
    assert report.counts[Outcome.APPLIED] + report.counts[Outcome.CONFIRMED] == 2_000, wrong
    assert report.counts[Outcome.CONFIRMED] == resets > 20, wrong
    assert server.posts == server.applied.total() == len(server.applied) == 2_000, wrong


@either_ending
@every_loss
async def test_faults_12_the_connection_dies_as_we_reuse_it(
    server: FaultServer, client: NRMClient, loss: Loss, how: Ending
) -> None:
    """A kept connection that ends under an action is no proof that it was not read."""
    await client.find_ani(ACTIVE_ANI)
    server.requests.clear()
    await check_loss(client, server, loss, partial(drop, how))


@either_ending
async def test_faults_12_no_send_goes_uncounted(
    server: FaultServer, client: NRMClient, how: Ending
) -> None:
    """The HTTP library repeats a read on its own: the error counts what the server saw."""
    await client.list_anis()
    server.requests.clear()
    server.always("GET", drop(how, applied=False))
    error = await read_and_fail(client, TransportError)
    check_error(error, "GET", "/anis", server.gets)
    assert server.gets > 3  # three of ours, and those of the library
    await check_next_call(client, server)


async def test_faults_12_a_connection_closed_between_calls_is_not_reused(
    server: FaultServer, client: NRMClient
) -> None:
    """An answer, then the end of the connection: the next call has a new one."""

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


@every_loss
async def test_faults_13_no_answer_in_time(
    server: FaultServer, hasty: NRMClient, loss: Loss
) -> None:
    """What is not answered in time is found out after settling."""
    await check_loss(hasty, server, loss, hang)


async def test_faults_13_a_read_is_not_answered_in_time(
    server: FaultServer, hasty: NRMClient
) -> None:
    """A read is sent again, and ends in a time-out."""
    await check_read_again(hasty, server, hang(applied=False), ClientTimeoutError)


@pytest.mark.parametrize("kind", ["pause", "activate"])
@pytest.mark.parametrize("patience", [1, 2, 3, 4])
async def test_faults_14_applied_late(server: FaultServer, kind: str, patience: int) -> None:
    """Found by a later read, or by the refusal of the one resend; applied once in any case."""
    action = make_action(kind)
    server.then("POST", late(patience))
    async with connect_to(server, confirm=ConfirmPolicy(settle=0.001, reads=3)) as nrm:
        result = await act(nrm, action)
        assert result.outcome is Outcome.CONFIRMED
        assert server.applied == {(action.path, action.ani): 1}
        assert result.attempts == server.posts == (1 if patience <= 3 else 2)
        await check_next_call(nrm, server)


async def test_faults_14_no_other_action_meanwhile(server: FaultServer) -> None:
    """While one action is undecided, the next one on its number waits."""
    server.then("POST", late(2))
    async with connect_to(server, confirm=ConfirmPolicy(settle=0.001, reads=3)) as nrm:
        report = await nrm.run_batch([Pause(ACTIVE_ANI), Activate("+1 " + ACTIVE_ANI, date=PAST)])
        assert [result.outcome for result in report] == [Outcome.CONFIRMED, Outcome.APPLIED]
        assert [asked.path for asked in server.requests] == [
            "/pause", "/anis", "/anis", "/activate",
        ]  # fmt: skip
        await check_next_call(nrm, server)


async def test_faults_14_late_after_a_time_out(server: FaultServer, hasty: NRMClient) -> None:
    """The same where the connection stays open, and the answer comes when nobody waits."""
    server.postpone("/pause", ACTIVE_ANI, 3)
    server.then("POST", hang(applied=False))
    result = await act(hasty, Pause(ACTIVE_ANI))
    assert result.outcome is Outcome.CONFIRMED
    assert server.applied == {("/pause", ACTIVE_ANI): 1}
    await check_next_call(hasty, server)


@every_loss
async def test_faults_15_the_body_drips(server: FaultServer, hasty: NRMClient, loss: Loss) -> None:
    """Bytes that keep coming do not put the deadline off."""
    await check_loss(hasty, server, loss, drip, status=200)


async def test_faults_15_a_page_drips(server: FaultServer, hasty: NRMClient) -> None:
    """The same for a read, which is sent again."""
    await check_read_again(hasty, server, drip(applied=False), ClientTimeoutError)
