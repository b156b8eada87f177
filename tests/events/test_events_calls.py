"""What is told of single calls: when they begin, what they come to, and what comes in between."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import (
    NotSentError,
    NRMClient,
    Outcome,
    OutcomeUnknownError,
    RejectedError,
    ResponseError,
    Timeouts,
)
from nrm_async.events import CallFinished, CallStarted, PageRead, RetryScheduled
from tests.conftest import API_KEY, StubAPI
from tests.events.conftest import ANI, OTHER, Spy, check_pairs, first, forever, settled
from tests.truth.conftest import Fate, World, numbers, on_virtual_time, open_client


@pytest.fixture
async def nrm(world: World, spy: Spy) -> AsyncIterator[NRMClient]:
    async with open_client(world, on_event=spy) as nrm:
        yield nrm


async def test_an_action_is_told_of_at_both_ends(nrm: NRMClient, spy: Spy) -> None:
    """A call begins, and ends in what became of it, under one number."""
    await nrm.pause(ANI)
    started, finished = spy.only(CallStarted), spy.only(CallFinished)
    assert spy.events == [started, finished]
    assert (started.method, started.path, started.batch, started.index) == (
        *("POST", "/pause"),
        *(None, None),
    )
    assert finished == CallFinished(
        call=started.call,
        method="POST",
        path="/pause",
        outcome=Outcome.APPLIED,
        attempts=1,
        elapsed=finished.elapsed,
    )


async def test_a_refusal_is_told_with_the_error_that_is_raised(nrm: NRMClient, spy: Spy) -> None:
    """The observer gets the very error that the caller gets."""
    await nrm.pause(ANI)
    with pytest.raises(RejectedError) as caught:
        await nrm.pause(ANI)
    finished = spy.all(CallFinished)[-1]
    assert finished.outcome is Outcome.REJECTED
    assert finished.error is caught.value


async def test_a_page_is_told_of_as_a_call_and_as_a_page(nrm: NRMClient, spy: Spy) -> None:
    """A read has no outcome; what was on the page is told when it is decoded."""
    await nrm.list_anis(number=ANI)
    started, finished = spy.only(CallStarted), spy.only(CallFinished)
    assert (started.method, started.path) == ("GET", "/anis")
    assert (finished.outcome, finished.error, finished.attempts) == (None, None, 1)
    page = spy.only(PageRead)
    assert page == PageRead(call=started.call, page=1, rows=1, total_anis=1)
    assert spy.events == [started, finished, page]


async def test_retries_are_told_between_both_ends(nrm: NRMClient, world: World, spy: Spy) -> None:
    """Each tells which attempt failed and with what; the end counts them all."""
    world.fate = first(Fate.NOT_SENT, Fate.NOT_SENT)
    await nrm.pause(ANI)
    assert spy.kinds == [CallStarted, RetryScheduled, RetryScheduled, CallFinished]
    retries = spy.all(RetryScheduled)
    assert [retry.attempt for retry in retries] == [1, 2]
    assert {retry.call for retry in retries} == {spy.only(CallStarted).call}
    assert all(isinstance(retry.error, NotSentError) and retry.delay == 0 for retry in retries)
    assert spy.only(CallFinished).attempts == 3


@pytest.mark.parametrize(
    ("fate", "outcome", "attempts"),
    [(Fate.LOST_AFTER, Outcome.CONFIRMED, 1), (Fate.LOST_BEFORE, Outcome.APPLIED, 2)],
)
async def test_reads_that_confirm_are_part_of_their_call(
    nrm: NRMClient, world: World, spy: Spy, fate: Fate, outcome: Outcome, attempts: int
) -> None:
    """They are neither calls nor pages of a listing: an action is one call, resent or not."""
    world.fate = first(fate)
    await nrm.pause(ANI)
    assert spy.kinds == [CallStarted, CallFinished]
    finished = spy.only(CallFinished)
    assert (finished.outcome, finished.attempts) == (outcome, attempts)


@pytest.mark.parametrize("is_sent", [False, True])
async def test_a_cancelled_action_has_an_outcome(
    nrm: NRMClient, world: World, spy: Spy, is_sent: bool
) -> None:
    """Cut off before it was sent it was not applied; after that, nobody knows. Both count."""
    stage = 0

    async def stop_at_the_stage() -> None:
        nonlocal stage
        stage += 1
        if stage == 1 + is_sent:
            await forever()

    world.pause = stop_at_the_stage
    task = asyncio.create_task(nrm.pause(ANI))
    await settled()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    outcome = Outcome.UNKNOWN if is_sent else Outcome.NOT_APPLIED
    finished = spy.only(CallFinished)
    assert finished.is_cancelled
    assert (finished.outcome, finished.error) == (outcome, None)
    assert nrm.stats().outcomes[outcome] == sum(nrm.stats().outcomes.values()) == 1


async def test_a_cancelled_read_has_none(nrm: NRMClient, world: World, spy: Spy) -> None:
    """A read that is cut off ends too, as cancelled."""
    world.pause = forever
    task = asyncio.create_task(nrm.list_anis())
    await settled()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    finished = spy.only(CallFinished)
    assert (finished.is_cancelled, finished.outcome, finished.error) == (True, None, None)


async def test_a_listing_left_early_ends_its_calls(world: World, spy: Spy) -> None:
    """Closing the client ends what is being read ahead, and says so."""
    async with open_client(world, on_event=spy) as nrm:
        world.pause = forever
        reading = asyncio.create_task(anext(nrm.anis()))
        await settled()
    with pytest.raises(Exception, match="closed"):
        await reading
    assert spy.kinds == [CallStarted, CallFinished]
    assert spy.only(CallFinished).is_cancelled


@pytest.mark.looptime
async def test_a_call_that_is_never_sent_is_told_of(world: World, spy: Spy) -> None:
    """Waiting for its number until its deadline, it ends without an attempt; time is counted."""
    world.pause = lambda: asyncio.sleep(10)
    async with open_client(world, on_event=spy, timeout=Timeouts(call=5)) as nrm:
        calls = [asyncio.create_task(nrm.pause(ANI)) for _ in range(2)]
        done = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(done[1], NotSentError)
    late = next(event for event in spy.all(CallFinished) if event.error is done[1])
    assert (late.attempts, late.outcome) == (0, Outcome.NOT_APPLIED)
    assert late.elapsed == pytest.approx(5)


async def test_a_closed_client_tells_nothing(world: World, spy: Spy) -> None:
    """A call that is refused before it begins is no call."""
    async with open_client(world, on_event=spy) as nrm:
        pass
    with pytest.raises(Exception, match="closed"):
        await nrm.pause(ANI)
    assert spy.events == []
    assert sum(nrm.stats().outcomes.values()) == 0


async def test_an_unreadable_page_is_told_of(stub_api: StubAPI, spy: Spy) -> None:
    """The call was answered; that the page cannot be read is told where it is decoded."""
    stub_api.reply({"data": 5})
    async with NRMClient(API_KEY, base_url=stub_api.url, on_event=spy) as nrm:
        with pytest.raises(ResponseError) as caught:
            await nrm.list_anis()
    page = spy.only(PageRead)
    assert page.error is caught.value
    assert (page.page, page.rows, page.total_anis) == (1, 0, None)
    assert page.call == spy.only(CallFinished).call


async def test_an_unknown_outcome_is_told_as_it_is_raised(
    nrm: NRMClient, world: World, spy: Spy
) -> None:
    """Nobody knows, and nobody says otherwise."""
    world.fate = first(Fate.LOST_AFTER)
    with pytest.raises(OutcomeUnknownError) as caught:
        await nrm.remediate(ANI)
    finished = spy.only(CallFinished)
    assert (finished.outcome, finished.error) == (Outcome.UNKNOWN, caught.value)


async def test_one_observer_serves_many_clients(world: World, spy: Spy) -> None:
    """Numbers of calls and batches are told apart over all clients of the process."""
    for _ in range(2):
        async with open_client(world, on_event=spy) as nrm:
            await nrm.pause_many([ANI, OTHER])
    assert len({event.call for event in spy.all(CallStarted)}) == 4
    assert len({event.batch for event in spy.all(CallStarted)}) == 2


FATES = st.lists(st.sampled_from(Fate), max_size=20)
CUTS = st.lists(st.integers(0, 30), min_size=1, max_size=8)


async def cut_off(fates: list[Fate], cuts: list[int]) -> None:
    """Act on numbers at once; cancel each call after so many turns of the loop."""
    spy, world = Spy(), World(active=dict.fromkeys(numbers(8), True), fate=first(*fates))
    async with open_client(world, on_event=spy, max_concurrency=3) as nrm:
        calls = [
            asyncio.create_task(nrm.pause(ani, note=ani))
            for ani, _ in zip(numbers(8), cuts, strict=False)
        ]
        for turn in range(31):
            for call, cut in zip(calls, cuts, strict=True):
                if cut == turn:
                    call.cancel()
            await asyncio.sleep(0)
        await asyncio.gather(*calls, return_exceptions=True)
        stats = nrm.stats()
    check_pairs(spy.events)
    ends = spy.all(CallFinished)
    outcomes = Counter(event.outcome for event in ends)
    assert outcomes == Counter({out: n for out, n in stats.outcomes.items() if n})
    assert (stats.in_flight, stats.waiting) == (0, 0)
    assert stats.attempts == sum(world.sent.values())
    assert sum(event.attempts for event in ends) == sum(map(world.sent.__getitem__, numbers(8)))
    applied = sum(world.applied.values())
    done = outcomes[Outcome.APPLIED] + outcomes[Outcome.CONFIRMED]
    assert done <= applied <= done + outcomes[Outcome.UNKNOWN]


@given(FATES, CUTS)
def test_whatever_is_cancelled_is_told_of(fates: list[Fate], cuts: list[int]) -> None:
    """Each call that began has ended; its outcome is counted, and is true by the API's books."""
    on_virtual_time(cut_off(fates, cuts))
