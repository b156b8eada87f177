"""A streamed batch: results in input order or as they complete, in bounded memory."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from nrm_async import Pause
from nrm_async._inputs import given_action
from nrm_async.batch import READ_AHEAD, BatchOptions, ResultQueue, stream
from tests.batch.conftest import PAUSES, FakeCall, ReversedCall


async def test_unordered_results_arrive_as_they_complete() -> None:
    """A slow first item does not delay the others."""
    gate = asyncio.Event()

    class FirstHeld(FakeCall):
        async def exchange(self, index: int) -> None:
            if index == 0:
                await gate.wait()

    options = BatchOptions(concurrency=5)
    async with stream(PAUSES[:5], given_action, FirstHeld(), options) as results:
        first = [(await anext(results)).index for _ in range(4)]
        assert sorted(first) == [1, 2, 3, 4]
        gate.set()
        assert (await anext(results)).index == 0


@pytest.mark.looptime
async def test_ordered_results_arrive_in_input_order() -> None:
    """A result waits for those of its predecessors."""
    options = BatchOptions(concurrency=30, ordered=True)
    async with stream(PAUSES, given_action, ReversedCall(), options) as results:
        assert [result.index async for result in results] == list(range(100))


@pytest.mark.parametrize("ordered", [True, False])
async def test_a_slow_consumer_bounds_the_read_ahead(ordered: bool) -> None:
    """Inputs are read at most ``READ_AHEAD`` beyond the results taken."""
    taken = 0

    def inputs() -> Iterator[Pause]:
        nonlocal taken
        for number in range(5 * READ_AHEAD):
            taken += 1
            yield Pause(2_000_000_000 + number)

    options = BatchOptions(concurrency=16, ordered=ordered)
    async with stream(inputs(), given_action, FakeCall(), options) as results:
        for consumed in range(1, 3 * READ_AHEAD):
            await anext(results)
            if consumed % 500 == 0:
                for _ in range(2 * READ_AHEAD // 16):
                    await asyncio.sleep(0)
                assert taken <= consumed + READ_AHEAD
        assert taken > 3 * READ_AHEAD


async def test_inputs_that_raise_are_raised_after_the_results() -> None:
    """The consumer receives every earlier result first."""

    async def inputs() -> AsyncIterator[Pause]:
        for pause in PAUSES[:20]:
            yield pause
        raise LookupError("the list ends here")

    seen: list[int] = []

    async def consume() -> None:
        options = BatchOptions(concurrency=6, ordered=True)
        async with stream(inputs(), given_action, FakeCall(), options) as results:
            async for result in results:
                seen.append(result.index)  # noqa: PERF401 - what came before the error counts

    with pytest.raises(LookupError, match="ends here"):
        await consume()
    assert seen == list(range(20))


async def test_leaving_early_stops_the_workers() -> None:
    """No further input is read, items in flight are cancelled, and no task is left."""
    call = FakeCall()
    async with stream(PAUSES, given_action, call, BatchOptions(concurrency=6)) as results:
        await anext(results)
    assert asyncio.all_tasks() == {asyncio.current_task()}
    assert call.in_flight == 0
    assert len(call.order) < 100


async def test_errors_of_the_consumer_are_not_wrapped() -> None:
    """An exception in the body of ``async with`` leaves it unchanged."""
    with pytest.raises(KeyError):
        async with stream(PAUSES, given_action, FakeCall(), BatchOptions(concurrency=6)):
            raise KeyError("mine")
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_results_put_after_a_flush_are_not_held_back() -> None:
    """Once predecessors may be missing, a late result is returned without waiting for them."""
    async with stream(PAUSES[:3], given_action, FakeCall(), BatchOptions(concurrency=3)) as three:
        results = sorted([result async for result in three], key=lambda result: result.index)
    queue = ResultQueue(ordered=True)
    queue.add_producer()
    queue.put(results[1])
    assert queue.drain() == []
    queue.flush()
    queue.put(results[2])
    queue.producer_finished()
    assert [result.index async for result in queue] == [1, 2]
