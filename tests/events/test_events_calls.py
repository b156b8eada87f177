"""Events of single calls: start, retries and end."""

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
from tests.events.conftest import ANI, OTHER, Spy, check_pairs
from tests.fakes import (
    API_KEY,
    FakeAPI,
    Fate,
    StubAPI,
    first,
    forever,
    numbers,
    on_virtual_time,
    open_client,
    settled,
)


@pytest.fixture
async def nrm(api: FakeAPI, spy: Spy) -> AsyncIterator[NRMClient]:
    async with open_client(api, on_event=spy) as nrm:
        yield nrm


async def test_events_of_an_action(nrm: NRMClient, spy: Spy) -> None:
    """A call has a start and an end with its outcome, under one number."""
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


async def test_the_error_of_a_rejected_action(nrm: NRMClient, spy: Spy) -> None:
    """The event has the very error that is raised."""
    await nrm.pause(ANI)
    with pytest.raises(RejectedError) as caught:
        await nrm.pause(ANI)
    finished = spy.all(CallFinished)[-1]
    assert finished.outcome is Outcome.REJECTED
    assert finished.error is caught.value


async def test_events_of_a_page(nrm: NRMClient, spy: Spy) -> None:
    """A read is a call without an outcome; ``PageRead`` follows when it is decoded."""
    await nrm.list_anis(number=ANI)
    started, finished = spy.only(CallStarted), spy.only(CallFinished)
    assert (started.method, started.path) == ("GET", "/anis")
    assert (finished.outcome, finished.error, finished.attempts) == (None, None, 1)
    page = spy.only(PageRead)
    assert page == PageRead(call=started.call, page=1, rows=1, total_anis=1)
    assert spy.events == [started, finished, page]


async def test_events_of_retries(nrm: NRMClient, api: FakeAPI, spy: Spy) -> None:
    """Each has the failed attempt and its error; the end counts all attempts."""
    api.fate = first(Fate.NOT_SENT, Fate.NOT_SENT)
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
async def test_reads_that_confirm_emit_no_events(
    nrm: NRMClient, api: FakeAPI, spy: Spy, fate: Fate, outcome: Outcome, attempts: int
) -> None:
    """An action that is read back, and perhaps resent, is one call."""
    api.fate = first(fate)
    await nrm.pause(ANI)
    assert spy.kinds == [CallStarted, CallFinished]
    finished = spy.only(CallFinished)
    assert (finished.outcome, finished.attempts) == (outcome, attempts)


@pytest.mark.parametrize("is_sent", [False, True])
async def test_cancel_an_action(nrm: NRMClient, api: FakeAPI, spy: Spy, is_sent: bool) -> None:
    """Its outcome is not applied if it was not sent, else unknown; both are counted."""
    stage = 0

    async def stop_at_the_stage() -> None:
        nonlocal stage
        stage += 1
        if stage == 1 + is_sent:
            await forever()

    api.wait = stop_at_the_stage
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


async def test_cancel_a_read(nrm: NRMClient, api: FakeAPI, spy: Spy) -> None:
    """It ends as cancelled, without an outcome."""
    api.wait = forever
    task = asyncio.create_task(nrm.list_anis())
    await settled()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    finished = spy.only(CallFinished)
    assert (finished.is_cancelled, finished.outcome, finished.error) == (True, None, None)


async def test_close_during_a_listing(api: FakeAPI, spy: Spy) -> None:
    """Closing the client cancels prefetched pages, and emits their ends."""
    async with open_client(api, on_event=spy) as nrm:
        api.wait = forever
        reading = asyncio.create_task(anext(nrm.anis()))
        await settled()
    with pytest.raises(Exception, match="closed"):
        await reading
    assert spy.kinds == [CallStarted, CallFinished]
    assert spy.only(CallFinished).is_cancelled


@pytest.mark.looptime
async def test_a_call_that_is_never_sent(api: FakeAPI, spy: Spy) -> None:
    """One that waits for its number until its deadline ends with 0 attempts and its duration."""
    api.wait = lambda: asyncio.sleep(10)
    async with open_client(api, on_event=spy, timeout=Timeouts(call=5)) as nrm:
        calls = [asyncio.create_task(nrm.pause(ANI)) for _ in range(2)]
        done = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(done[1], NotSentError)
    late = next(event for event in spy.all(CallFinished) if event.error is done[1])
    assert (late.attempts, late.outcome) == (0, Outcome.NOT_APPLIED)
    assert late.elapsed == pytest.approx(5)


async def test_a_closed_client_emits_nothing(api: FakeAPI, spy: Spy) -> None:
    """A call refused before it begins has no events and no outcome."""
    async with open_client(api, on_event=spy) as nrm:
        pass
    with pytest.raises(Exception, match="closed"):
        await nrm.pause(ANI)
    assert spy.events == []
    assert sum(nrm.stats().outcomes.values()) == 0


async def test_events_of_an_unreadable_page(stub_api: StubAPI, spy: Spy) -> None:
    """The call succeeds; ``PageRead`` has the error of decoding."""
    stub_api.reply({"data": 5})
    async with NRMClient(API_KEY, base_url=stub_api.url, on_event=spy) as nrm:
        with pytest.raises(ResponseError) as caught:
            await nrm.list_anis()
    page = spy.only(PageRead)
    assert page.error is caught.value
    assert (page.page, page.rows, page.total_anis) == (1, 0, None)
    assert page.call == spy.only(CallFinished).call


async def test_the_error_of_an_unknown_outcome(nrm: NRMClient, api: FakeAPI, spy: Spy) -> None:
    """The event has the outcome ``unknown`` and the error that is raised."""
    api.fate = first(Fate.LOST_AFTER)
    with pytest.raises(OutcomeUnknownError) as caught:
        await nrm.remediate(ANI)
    finished = spy.only(CallFinished)
    assert (finished.outcome, finished.error) == (Outcome.UNKNOWN, caught.value)


async def test_one_observer_serves_many_clients(api: FakeAPI, spy: Spy) -> None:
    """Numbers of calls and batches are unique over all clients of the process."""
    for _ in range(2):
        async with open_client(api, on_event=spy) as nrm:
            await nrm.pause_many([ANI, OTHER])
    assert len({event.call for event in spy.all(CallStarted)}) == 4
    assert len({event.batch for event in spy.all(CallStarted)}) == 2


FATES = st.lists(st.sampled_from(Fate), max_size=20)
CUTS = st.lists(st.integers(0, 30), min_size=1, max_size=8)


async def cancel_calls(fates: list[Fate], cuts: list[int]) -> None:
    """Act on numbers concurrently; cancel each call after its number of turns of the loop."""
    spy, api = Spy(), FakeAPI(active=dict.fromkeys(numbers(8), True), fate=first(*fates))
    async with open_client(api, on_event=spy, max_concurrency=3) as nrm:
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
    assert stats.attempts == sum(api.sent.values())
    assert sum(event.attempts for event in ends) == sum(map(api.sent.__getitem__, numbers(8)))
    applied = sum(api.applied.values())
    done = outcomes[Outcome.APPLIED] + outcomes[Outcome.CONFIRMED]
    assert done <= applied <= done + outcomes[Outcome.UNKNOWN]


@given(FATES, CUTS)
def test_cancel_at_any_time(fates: list[Fate], cuts: list[int]) -> None:
    """Each call that began has ended; its outcome is counted, and agrees with the API's records."""
    on_virtual_time(cancel_calls(fates, cuts))
