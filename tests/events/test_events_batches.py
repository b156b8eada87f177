"""Events of batches: one start, one event for each input, and one finish, whatever happens."""

import asyncio
from collections import Counter
from collections.abc import Iterator

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import (
    Action,
    BatchReport,
    BatchStoppedError,
    CallResult,
    ClientStats,
    InvalidRequestError,
    Outcome,
    Pause,
    Remediate,
)
from nrm_async.events import (
    BatchFinished,
    BatchStarted,
    CallFinished,
    CallStarted,
    ItemFinished,
    RetryScheduled,
)
from tests.events.conftest import ANI, OTHER, Spy, check_pairs
from tests.fakes import (
    FakeAPI,
    Fate,
    first,
    forever,
    make_action,
    numbers,
    on_virtual_time,
    open_client,
    settled,
)

FATES = st.lists(st.sampled_from(Fate), max_size=30)
KINDS = ("pause", "activate", "remediate", "nonsense")
INPUTS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(numbers(4))), max_size=12)


@attrs.frozen
class Ran:
    """A finished batch and its events."""

    report: BatchReport
    spy: Spy
    stats: ClientStats
    api: FakeAPI


async def run(inputs: list[tuple[str, str]], fates: list[Fate], deadline: float | None) -> Ran:
    spy, api = Spy(), FakeAPI(active=dict.fromkeys(numbers(4), True), fate=first(*fates))
    items: list[Action] = [
        make_action(kind, ani, note) if kind != "nonsense" else kind  # type: ignore[misc]
        for note, (kind, ani) in enumerate(inputs)
    ]
    async with open_client(api, on_event=spy) as nrm:
        report = await nrm.run_batch(items, deadline=deadline)
        return Ran(report, spy, nrm.stats(), api)


@given(INPUTS, FATES, st.sampled_from([None, 1e5, 0.0]))
def test_every_input_has_one_event(
    inputs: list[tuple[str, str]], fates: list[Fate], deadline: float | None
) -> None:
    """Whatever happens, events, report, statistics and the API's own record agree."""
    ran = on_virtual_time(run(inputs, fates, deadline))
    spy, report = ran.spy, ran.report
    started, finished = spy.only(BatchStarted), spy.only(BatchFinished)
    assert (spy.events[0], spy.events[-1]) == (started, finished)
    assert started.total == len(inputs) == len(report)
    assert finished.batch == started.batch
    items = sorted(spy.all(ItemFinished), key=lambda event: event.result.index)
    assert [id(event.result) for event in items] == [id(result) for result in report]
    assert finished.counts == report.counts == ran.stats.outcomes
    check_pairs(spy.events)
    _check_calls(ran)
    _check_requests(ran)


def _check_calls(ran: Ran) -> None:
    """Check that every started item is a call of the batch and ends as its result says."""
    batch = ran.spy.only(BatchStarted).batch
    calls = {event.call: event for event in ran.spy.all(CallStarted)}
    assert {event.batch for event in calls.values()} <= {batch}
    for event in ran.spy.all(CallFinished):
        index = calls[event.call].index
        assert index is not None
        result = ran.report[index]
        assert (event.outcome, event.attempts) == (result.outcome, result.attempts)
        assert event.error is (None if result.ok else result.error)
    assert {event.call for event in ran.spy.all(RetryScheduled)} <= calls.keys()


def _check_requests(ran: Ran) -> None:
    """Check the numbers of requests and retries against what the API received."""
    sent = {note: count for note, count in ran.api.sent.items() if note}
    assert ran.stats.attempts == sum(ran.api.sent.values())
    assert ran.stats.retries == sum(count - 1 for count in sent.values())
    assert sum(event.attempts for event in ran.spy.all(CallFinished)) == sum(sent.values())
    assert (ran.stats.in_flight, ran.stats.waiting) == (0, 0)


class Unmeasurable(list[Pause]):
    """Raises when asked for its length."""

    def __len__(self) -> int:
        raise OSError("the database is gone")


async def test_total_of_inputs_without_a_length(api: FakeAPI, spy: Spy) -> None:
    """It is ``None`` for a generator, and for a length that raises; the batch runs."""
    async with open_client(api, on_event=spy) as nrm:
        assert (await nrm.run_batch(Pause(ani) for ani in [ANI])).ok
        assert len(await nrm.run_batch(Unmeasurable([Pause(OTHER)]))) == 1
    assert [event.total for event in spy.all(BatchStarted)] == [None, None]


async def test_events_of_a_stopped_batch(api: FakeAPI, spy: Spy) -> None:
    """Items that are never started finish without a call."""
    async with open_client(api, on_event=spy) as nrm:
        await nrm.run_batch([Pause(ANI), Pause(OTHER)], deadline=0)
    assert spy.kinds == [BatchStarted, ItemFinished, ItemFinished, BatchFinished]
    for event in spy.all(ItemFinished):
        assert not event.result.ok
        assert isinstance(event.result.error, BatchStoppedError)


async def test_events_of_an_invalid_input(api: FakeAPI, spy: Spy) -> None:
    """An input that is not an action finishes as an item, without a call."""
    async with open_client(api, on_event=spy) as nrm:
        await nrm.pause_many(["nonsense", ANI])
    bad = next(event for event in spy.all(ItemFinished) if event.result.index == 0)
    assert not bad.result.ok
    assert isinstance(bad.result.error, InvalidRequestError)
    assert [event.index for event in spy.all(CallStarted)] == [1]


async def test_events_of_a_batch_left_early(api: FakeAPI, spy: Spy) -> None:
    """Items in flight finish as cancelled, before the batch does."""
    api.wait = forever
    async with open_client(api, on_event=spy) as nrm:
        async with nrm.stream_batch([Pause(ANI), Pause(OTHER)]) as results:
            await settled()
        left = [result async for result in results]
    assert len(left) == 2
    assert spy.kinds[-1] is BatchFinished
    assert [event.result for event in spy.all(ItemFinished)] == left
    assert spy.only(BatchFinished).counts[Outcome.NOT_APPLIED] == 2
    assert nrm.stats().outcomes[Outcome.NOT_APPLIED] == 2
    assert all(event.is_cancelled for event in spy.all(CallFinished))
    check_pairs(spy.events)


class StuckRecorder:
    """A recorder that never finishes an outcome."""

    async def intent(self, index: int, action: Action) -> None: ...

    async def outcome(self, result: CallResult) -> None:
        await forever()


async def test_events_of_a_batch_cancelled_twice(api: FakeAPI, spy: Spy) -> None:
    """The batch finishes even if a recorder is stuck."""
    async with open_client(api, on_event=spy) as nrm:
        batch = asyncio.create_task(nrm.run_batch([Pause(ANI)], recorder=StuckRecorder()))
        for _ in range(3):
            await settled()
            batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        await settled()
    assert len(spy.all(ItemFinished)) == 1
    assert len(spy.all(BatchFinished)) == 1


async def test_events_of_inputs_that_raise(api: FakeAPI, spy: Spy) -> None:
    """Earlier items finish, then the batch does."""

    def failing() -> Iterator[Action]:
        yield Pause(ANI)
        yield Remediate(OTHER)
        raise OSError("the file ends here")

    async with open_client(api, on_event=spy) as nrm:
        with pytest.raises(OSError, match="ends here"):
            await nrm.run_batch(failing())
    outcomes = Counter(event.result.outcome for event in spy.all(ItemFinished))
    assert outcomes == {Outcome.APPLIED: 2}
    assert spy.only(BatchFinished).counts[Outcome.APPLIED] == 2
