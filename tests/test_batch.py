"""Batches: one result per input, in input order, by few workers on one lazily read input."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import (
    BatchReport,
    CallResult,
    InvalidRequestError,
    Outcome,
    Pause,
    Receipt,
    Succeeded,
)
from nrm_async._flight import Flight
from nrm_async._inputs import given_action, preparer
from nrm_async.actions import Action
from nrm_async.batch import READ_AHEAD, BatchOptions, run, stream

ANIS = [str(2_000_000_000 + number) for number in range(100)]
PAUSES = [Pause(ani) for ani in ANIS]


@attrs.define
class Calls:
    """Applies every action, and spies on how it was asked."""

    order: list[int] = attrs.field(factory=list)
    in_flight: int = 0
    most_in_flight: int = 0
    most_tasks: int = 0

    async def __call__(
        self, index: int, item: object, action: Action, flight: Flight
    ) -> CallResult:
        flight.attempts += 1
        self.order.append(index)
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        self.most_tasks = max(self.most_tasks, len(asyncio.all_tasks()) - 1)
        try:
            await self.exchange(index)
        finally:
            self.in_flight -= 1
        return Succeeded(
            index=index,
            input=item,
            action=action,
            outcome=Outcome.APPLIED,
            attempts=1,
            receipt=Receipt(action.ani, "paused"),
        )

    async def exchange(self, index: int) -> None:
        await asyncio.sleep(0)


class Backwards(Calls):
    """The later an input, the earlier its answer."""

    async def exchange(self, index: int) -> None:
        await asyncio.sleep(1000 - index)


async def test_one_result_per_input_in_input_order() -> None:
    """Whatever order the answers come in, the report is in the order of the inputs."""
    calls = Calls()
    report = await run(PAUSES, given_action, calls, BatchOptions(7))
    assert [result.index for result in report] == list(range(100))
    assert [result.ani for result in report] == ANIS
    assert [result.input for result in report] == PAUSES
    assert calls.most_in_flight == 7
    assert calls.most_tasks == 7


@pytest.mark.looptime
async def test_late_answers_do_not_change_the_order() -> None:
    """The last input is answered first, and still stands last."""
    report = await run(PAUSES, given_action, Backwards(), BatchOptions(100))
    assert [result.index for result in report] == list(range(100))
    assert report.elapsed == pytest.approx(1000)


@given(
    inputs=st.lists(st.sampled_from([*ANIS, "", "letters", None, 12, 2345678901]), max_size=40),
    concurrency=st.integers(1, 9),
)
def test_every_input_has_exactly_one_result(inputs: list[object], concurrency: int) -> None:
    """Bad inputs are results too, and none is lost, doubled or misplaced."""

    async def check() -> None:
        calls = Calls()
        report = await run(inputs, preparer(Pause), calls, BatchOptions(concurrency))
        assert [result.index for result in report] == list(range(len(inputs)))
        assert all(result.input is given for result, given in zip(report, inputs, strict=True))
        assert sorted(calls.order) == [result.index for result in report.succeeded]
        for failed in report.failed:
            assert failed.outcome is Outcome.NOT_APPLIED
            assert isinstance(failed.error, InvalidRequestError)
            assert failed.action is None
            assert failed.attempts == 0

    asyncio.run(check())


async def test_async_iterables_are_read_too() -> None:
    """An async generator is never asked twice at once, and its order is kept."""

    async def numbers() -> AsyncIterator[str]:
        for ani in ANIS:
            await asyncio.sleep(0)
            yield ani

    report = await run(numbers(), preparer(Pause), Calls(), BatchOptions(8))
    assert [result.ani for result in report] == ANIS


async def test_inputs_are_read_lazily() -> None:
    """No more inputs are taken than there are workers to carry them out."""
    taken = 0
    gate, all_busy = asyncio.Event(), asyncio.Event()

    def numbers() -> Iterator[Pause]:
        nonlocal taken
        for pause in PAUSES:
            taken += 1
            yield pause

    class Held(Calls):
        async def exchange(self, index: int) -> None:
            if self.in_flight == 5:
                all_busy.set()
            await gate.wait()

    batch = asyncio.create_task(run(numbers(), given_action, Held(), BatchOptions(5)))
    await all_busy.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert taken == 5
    gate.set()
    assert len(await batch) == 100


async def test_results_come_as_they_complete() -> None:
    """Unordered, a slow first item does not hold up the others."""
    gate = asyncio.Event()

    class FirstHeld(Calls):
        async def exchange(self, index: int) -> None:
            if index == 0:
                await gate.wait()

    async with stream(
        PAUSES[:5], given_action, FirstHeld(), BatchOptions(5, ordered=False)
    ) as results:
        first = [(await anext(results)).index for _ in range(4)]
        assert sorted(first) == [1, 2, 3, 4]
        gate.set()
        assert (await anext(results)).index == 0


@pytest.mark.looptime
async def test_ordered_results_come_in_input_order() -> None:
    """Ordered, early answers wait for their predecessors."""
    async with stream(PAUSES, given_action, Backwards(), BatchOptions(30, ordered=True)) as results:
        assert [result.index async for result in results] == list(range(100))


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_slow_consumer_bounds_what_is_read_ahead(ordered: bool) -> None:
    """Memory is flat: inputs are not read further than READ_AHEAD beyond the results taken."""
    taken = 0

    def numbers() -> Iterator[Pause]:
        nonlocal taken
        for number in range(5 * READ_AHEAD):
            taken += 1
            yield Pause(2_000_000_000 + number)

    async with stream(
        numbers(), given_action, Calls(), BatchOptions(16, ordered=ordered)
    ) as results:
        for consumed in range(1, 3 * READ_AHEAD):
            await anext(results)
            if consumed % 500 == 0:
                for _ in range(2 * READ_AHEAD // 16):
                    await asyncio.sleep(0)
                assert taken <= consumed + READ_AHEAD
        assert taken > 3 * READ_AHEAD


async def test_an_input_that_fails_loses_nothing_before_it() -> None:
    """The items before it are carried out, then its own error is raised, with the report."""

    def numbers() -> Iterator[Pause]:
        yield from PAUSES[:20]
        raise LookupError("the list ends here")

    calls = Calls()
    with pytest.raises(LookupError, match="ends here") as caught:
        await run(numbers(), given_action, calls, BatchOptions(6))
    report = caught.value.report  # type: ignore[attr-defined]
    assert isinstance(report, BatchReport)
    assert [result.index for result in report] == list(range(20))
    assert report.ok
    assert sorted(calls.order) == list(range(20))


async def test_a_streamed_input_that_fails_is_raised_after_the_results() -> None:
    """The consumer of a stream gets every result first."""

    async def numbers() -> AsyncIterator[Pause]:
        for pause in PAUSES[:20]:
            yield pause
        raise LookupError("the list ends here")

    seen: list[int] = []

    async def consume() -> None:
        async with stream(
            numbers(), given_action, Calls(), BatchOptions(6, ordered=True)
        ) as results:
            async for result in results:
                seen.append(result.index)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(LookupError, match="ends here"):
        await consume()
    assert seen == list(range(20))


async def test_on_result_sees_every_result() -> None:
    """Plain and async callbacks are called once for each result."""
    plain: list[int] = []
    awaited: list[int] = []

    async def later(result: CallResult) -> None:
        await asyncio.sleep(0)
        awaited.append(result.index)

    await run(
        PAUSES, given_action, Calls(), BatchOptions(6), on_result=lambda r: plain.append(r.index)
    )
    await run(PAUSES, given_action, Calls(), BatchOptions(6), on_result=later)
    assert sorted(plain) == sorted(awaited) == list(range(100))


async def test_a_failing_on_result_does_not_stop_the_batch() -> None:
    """The run goes on, the callback is asked again, and its first error is raised at the end."""
    seen: list[int] = []

    def fail(result: CallResult) -> None:
        seen.append(result.index)
        raise ZeroDivisionError(f"at {len(seen)}")

    calls = Calls()
    with pytest.raises(ZeroDivisionError, match=r"at 1$") as caught:
        await run(PAUSES, given_action, calls, BatchOptions(6), on_result=fail)
    assert sorted(seen) == sorted(calls.order) == list(range(100))
    assert len(caught.value.report) == 100  # type: ignore[attr-defined]


async def test_leaving_a_stream_early_stops_its_workers() -> None:
    """Nothing new is taken, what is in flight is cancelled, and no task is left."""
    calls = Calls()
    async with stream(PAUSES, given_action, calls, BatchOptions(6, ordered=False)) as results:
        await anext(results)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert calls.in_flight == 0
    assert len(calls.order) < 100


async def test_errors_of_the_consumer_pass_through_unwrapped() -> None:
    """What the body of ``async with`` raises comes out as it is."""
    with pytest.raises(KeyError):
        async with stream(PAUSES, given_action, Calls(), BatchOptions(6, ordered=False)):
            raise KeyError("mine")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_cancelled_batch_hands_over_what_it_has() -> None:
    """Cancellation passes through, and carries the results so far."""

    class Stuck(Calls):
        async def exchange(self, index: int) -> None:
            if index >= 10:
                await asyncio.Event().wait()

    ten_seen = asyncio.Event()

    def count(result: CallResult) -> None:
        if result.index == 9:
            ten_seen.set()

    batch = asyncio.create_task(
        run(PAUSES, given_action, Stuck(), BatchOptions(1), on_result=count)
    )
    await ten_seen.wait()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await batch
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.index for result in report] == list(range(11))
    assert [result.ok for result in report] == [True] * 10 + [False]
    assert report[10].outcome is Outcome.NOT_APPLIED  # this call never came to sending
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_mistake_in_the_call_does_not_pass_for_the_end() -> None:
    """A worker that dies of a bug ends the batch with that bug, not with a short report."""

    class Broken(Calls):
        async def exchange(self, index: int) -> None:
            if index == 30:
                raise AssertionError("a bug")

    with pytest.raises(AssertionError, match="a bug"):
        await run(PAUSES, given_action, Broken(), BatchOptions(1))


def test_what_a_batch_takes_as_inputs() -> None:
    """Numbers, Ani-likes, actions of the same kind and results; the others are told why not."""
    prepare = preparer(Pause, note="resting", date="2026-05-27")
    made = prepare("(234) 567-8901")
    assert made == Pause("2345678901", note="resting", date="2026-05-27")
    own = Pause("2345678901", note="its own")
    assert prepare(own) is own
    result = Succeeded(
        index=0, input="", action=own, outcome=Outcome.APPLIED, receipt=Receipt("", "paused")
    )
    assert prepare(result) is own
    assert given_action(result) is own
    with pytest.raises(InvalidRequestError, match="must be an action"):
        given_action("2345678901")
