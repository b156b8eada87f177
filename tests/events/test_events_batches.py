"""What is told of batches: a beginning, each input once, and an end, whatever happens."""

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
from tests.events.conftest import ANI, OTHER, Spy, check_pairs, first, forever, settled
from tests.truth.conftest import (
    Fate,
    World,
    make_action,
    numbers,
    on_virtual_time,
    open_client,
)

FATES = st.lists(st.sampled_from(Fate), max_size=30)
KINDS = ("pause", "activate", "remediate", "nonsense")
INPUTS = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(numbers(4))), max_size=12)


@attrs.frozen
class Ran:
    """A batch that has been run, and what was told of it."""

    report: BatchReport
    spy: Spy
    stats: ClientStats
    world: World


async def run(inputs: list[tuple[str, str]], fates: list[Fate], deadline: float | None) -> Ran:
    spy, world = Spy(), World(active=dict.fromkeys(numbers(4), True), fate=first(*fates))
    items: list[Action] = [
        make_action(kind, ani, note) if kind != "nonsense" else kind  # type: ignore[misc]
        for note, (kind, ani) in enumerate(inputs)
    ]
    async with open_client(world, on_event=spy) as nrm:
        report = await nrm.run_batch(items, deadline=deadline)
        return Ran(report, spy, nrm.stats(), world)


@given(INPUTS, FATES, st.sampled_from([None, 1e5, 0.0]))
def test_every_input_is_told_of_once(
    inputs: list[tuple[str, str]], fates: list[Fate], deadline: float | None
) -> None:
    """Whatever befalls them, events, report, statistics and the books of the API agree."""
    ran = on_virtual_time(run(inputs, fates, deadline))
    spy, report = ran.spy, ran.report
    started, finished = spy.only(BatchStarted), spy.only(BatchFinished)
    assert (spy.events[0], spy.events[-1]) == (started, finished)
    assert started.total == len(inputs) == len(report)
    assert finished.batch == started.batch
    told = sorted(spy.all(ItemFinished), key=lambda event: event.result.index)
    assert [id(event.result) for event in told] == [id(result) for result in report]
    assert finished.counts == report.counts == ran.stats.outcomes
    check_pairs(spy.events)
    _check_calls(ran)
    _check_books(ran)


def _check_calls(ran: Ran) -> None:
    """Every item that was begun is a call of the batch, and ends as its result says."""
    batch = ran.spy.only(BatchStarted).batch
    begun = {event.call: event for event in ran.spy.all(CallStarted)}
    assert {event.batch for event in begun.values()} <= {batch}
    for event in ran.spy.all(CallFinished):
        index = begun[event.call].index
        assert index is not None
        result = ran.report[index]
        assert (event.outcome, event.attempts) == (result.outcome, result.attempts)
        assert event.error is (None if result.ok else result.error)
    assert {event.call for event in ran.spy.all(RetryScheduled)} <= begun.keys()


def _check_books(ran: Ran) -> None:
    """Requests that came in, and how many of them repeated another."""
    sent = {note: count for note, count in ran.world.sent.items() if note}
    assert ran.stats.attempts == sum(ran.world.sent.values())
    assert ran.stats.retries == sum(count - 1 for count in sent.values())
    assert sum(event.attempts for event in ran.spy.all(CallFinished)) == sum(sent.values())
    assert (ran.stats.in_flight, ran.stats.waiting) == (0, 0)


class Unmeasurable(list[Pause]):
    """Has a length, and does not tell it."""

    def __len__(self) -> int:
        raise OSError("the database is gone")


async def test_inputs_need_not_tell_their_number(world: World, spy: Spy) -> None:
    """A generator has no length, and a length that raises is none; the batch runs."""
    async with open_client(world, on_event=spy) as nrm:
        assert (await nrm.run_batch(Pause(ani) for ani in [ANI])).ok
        assert len(await nrm.run_batch(Unmeasurable([Pause(OTHER)]))) == 1
    assert [event.total for event in spy.all(BatchStarted)] == [None, None]


async def test_items_of_a_stopped_batch_are_told_of(world: World, spy: Spy) -> None:
    """They are decided without being begun: items, but no calls."""
    async with open_client(world, on_event=spy) as nrm:
        await nrm.run_batch([Pause(ANI), Pause(OTHER)], deadline=0)
    assert spy.kinds == [BatchStarted, ItemFinished, ItemFinished, BatchFinished]
    for event in spy.all(ItemFinished):
        assert not event.result.ok
        assert isinstance(event.result.error, BatchStoppedError)


async def test_bad_inputs_are_told_of(world: World, spy: Spy) -> None:
    """An input that is no action is an item too."""
    async with open_client(world, on_event=spy) as nrm:
        await nrm.pause_many(["nonsense", ANI])
    bad = next(event for event in spy.all(ItemFinished) if event.result.index == 0)
    assert not bad.result.ok
    assert isinstance(bad.result.error, InvalidRequestError)
    assert [event.index for event in spy.all(CallStarted)] == [1]


async def test_a_batch_left_early_ends(world: World, spy: Spy) -> None:
    """What was in flight is told of as cut off, and then the end."""
    world.pause = forever
    async with open_client(world, on_event=spy) as nrm:
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


class Stubborn:
    """A recorder that takes for ever over outcomes."""

    async def intent(self, index: int, action: Action) -> None: ...

    async def outcome(self, result: CallResult) -> None:
        await forever()


async def test_a_batch_cancelled_twice_ends(world: World, spy: Spy) -> None:
    """Even where the workers are not waited for any more."""
    async with open_client(world, on_event=spy) as nrm:
        batch = asyncio.create_task(nrm.run_batch([Pause(ANI)], recorder=Stubborn()))
        for _ in range(3):
            await settled()
            batch.cancel()
        with pytest.raises(asyncio.CancelledError):
            await batch
        await settled()
    assert len(spy.all(ItemFinished)) == 1
    assert len(spy.all(BatchFinished)) == 1


async def test_inputs_that_raise_lose_no_event(world: World, spy: Spy) -> None:
    """What came before is told of, and then the end."""

    def failing() -> Iterator[Action]:
        yield Pause(ANI)
        yield Remediate(OTHER)
        raise OSError("the file ends here")

    async with open_client(world, on_event=spy) as nrm:
        with pytest.raises(OSError, match="ends here"):
            await nrm.run_batch(failing())
    outcomes = Counter(event.result.outcome for event in spy.all(ItemFinished))
    assert outcomes == {Outcome.APPLIED: 2}
    assert spy.only(BatchFinished).counts[Outcome.APPLIED] == 2
