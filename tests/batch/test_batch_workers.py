"""Workers: how many start, and how they read their inputs."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from typing import Any

import pytest

from nrm_async import BatchReport, CallResult, Outcome, Pause, Receipt, Succeeded
from nrm_async._inputs import action_factory, given_action
from nrm_async.batch import BatchOptions, run
from tests.batch.conftest import ANIS, PAUSES, FakeCall

TEN = BatchOptions(concurrency=10)
THREE = ANIS[:3]


def report_of(anis: list[str]) -> BatchReport:
    return BatchReport(
        tuple(
            Succeeded(
                index=index,
                input=ani,
                action=Pause(ani),
                outcome=Outcome.APPLIED,
                receipt=Receipt(ani, "paused"),
            )
            for index, ani in enumerate(anis)
        )
    )


SIZED: list[Callable[[list[str]], Collection[Any]]] = [
    *(list, tuple, set, frozenset, deque, report_of),
    lambda anis: dict.fromkeys(anis).keys(),
    lambda anis: {ani: ani for ani in anis}.values(),
    lambda anis: range(int(anis[0]), int(anis[0]) + len(anis)),
]


@pytest.mark.parametrize("container", SIZED)
async def test_no_more_workers_than_inputs(container: Callable[[list[str]], Any]) -> None:
    """A container of known length starts a worker for each input, and all run concurrently."""
    call = FakeCall()
    report = await run(container(THREE), action_factory(Pause), call, TEN)
    assert sorted(result.ani for result in report) == THREE
    assert call.most_tasks == call.most_in_flight == 3


async def test_no_more_workers_than_the_concurrency() -> None:
    """A long container starts ``concurrency`` workers."""
    call = FakeCall()
    assert len(await run(PAUSES, given_action, call, TEN)) == 100
    assert call.most_tasks == 10


@pytest.mark.parametrize("inputs", [[], (), iter(())], ids=["list", "tuple", "iterator"])
async def test_an_empty_batch(inputs: Any) -> None:
    """It ends with an empty report, after a turn of the event loop for other tasks."""
    turns: list[bool] = []
    asyncio.get_running_loop().call_soon(turns.append, True)
    assert len(await run(inputs, given_action, FakeCall(), TEN)) == 0
    assert turns == [True]


class WrongLength(list[Pause]):
    """A list whose length is not the number of its items."""

    length: int | None = None

    def __len__(self) -> int:
        if self.length is None:
            raise OSError("the database is gone")
        return self.length


@pytest.mark.parametrize("length", [0, 1, 10**6, None])
async def test_a_wrong_length_is_ignored(length: int | None) -> None:
    """A length that lies or raises neither loses an input nor reduces the concurrency."""
    inputs = WrongLength(PAUSES[:20])
    inputs.length = length
    call = FakeCall()
    report = await run(inputs, given_action, call, TEN)
    assert [result.index for result in report] == list(range(20))
    assert call.most_in_flight == 10


@pytest.mark.parametrize("container", [set, deque, list])
async def test_a_short_container_may_change_in_flight(
    container: Callable[[list[str]], Any],
) -> None:
    """The batch has the inputs of its beginning, whatever ``on_result`` does to the container."""
    inputs = container(THREE)
    todo = container(THREE)

    def remove(result: CallResult) -> None:
        inputs.remove(result.input)

    report = await run(inputs, action_factory(Pause), FakeCall(), TEN, on_result=remove)
    assert sorted(result.ani for result in report) == THREE
    assert len(todo) == 3
    assert not inputs


async def test_inputs_are_read_lazily() -> None:
    """No more inputs are read than there are workers to process them."""
    taken = 0
    gate, all_busy = asyncio.Event(), asyncio.Event()

    def inputs() -> Iterator[Pause]:
        nonlocal taken
        for pause in PAUSES:
            taken += 1
            yield pause

    class Held(FakeCall):
        async def exchange(self, index: int) -> None:
            if self.in_flight == 5:
                all_busy.set()
            await gate.wait()

    batch = asyncio.create_task(run(inputs(), given_action, Held(), BatchOptions(concurrency=5)))
    await all_busy.wait()
    for _ in range(20):
        await asyncio.sleep(0)
    assert taken == 5
    gate.set()
    assert len(await batch) == 100


async def test_async_inputs_keep_their_order() -> None:
    """An async generator is never advanced concurrently, and its order is kept."""

    async def inputs() -> AsyncIterator[str]:
        for ani in ANIS:
            await asyncio.sleep(0)
            yield ani

    report = await run(inputs(), action_factory(Pause), FakeCall(), BatchOptions(concurrency=8))
    assert [result.ani for result in report] == ANIS


class Failing:
    """Fails at its third input, and would go on behind it."""

    def __init__(self) -> None:
        self.reads = 0

    def __iter__(self) -> Iterator[Pause]:
        return self

    def __next__(self) -> Pause:
        self.reads += 1
        if self.reads == 3:
            raise LookupError("a bad line")
        return PAUSES[self.reads]


class FailingAsync(Failing):
    """The same, as an async iterable."""

    __iter__ = None  # type: ignore[assignment]

    def __aiter__(self) -> AsyncIterator[Pause]:
        return self

    async def __anext__(self) -> Pause:
        await asyncio.sleep(0)
        return next(self)


@pytest.mark.parametrize("kind", [Failing, FailingAsync])
async def test_inputs_are_not_read_after_they_failed(kind: type[Failing]) -> None:
    """An error ends the reading for all workers, also for iterators that could go on."""
    inputs: Any = kind()
    with pytest.raises(LookupError, match="a bad line") as caught:
        await run(inputs, given_action, FakeCall(), BatchOptions(concurrency=5))
    assert inputs.reads == 3
    assert len(caught.value.report) == 2  # type: ignore[attr-defined]
