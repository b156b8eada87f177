"""Cancellation at every await: nothing is lost, nothing is left, and no label is wrong."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager
from typing import Any, cast

import anyio
import attrs
import pytest

from nrm_async import Action, BatchReport, CallResult, NRMClient, Outcome, RetryPolicy
from nrm_async._wire import Request
from tests.truth.conftest import (
    Fate,
    World,
    always_well,
    audit,
    make_action,
    numbers,
    on_virtual_time,
    open_client,
    shut_gate,
)

ANI, OTHER, *MORE = numbers(6)
PLACES = 3
ENOUGH = 2_000  # no scenario has so many awaits


@attrs.define
class Knife:
    """Cancels its victim when the tasks under watch have been suspended so often."""

    at: int
    times: int = 1
    victim: asyncio.Task[Any] | None = None
    suspensions: int = 0

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count the suspensions of all tasks that are made from now on."""
        loop.set_task_factory(
            lambda loop, coro, **more: asyncio.Task(
                Watched(cast(Coroutine[Any, Any, Any], coro), self.suspended), loop=loop, **more
            )
        )

    def suspended(self) -> None:
        self.suspensions += 1
        if self.at <= self.suspensions < self.at + self.times and self.victim is not None:
            self.victim.cancel()


class Watched(Coroutine[Any, Any, Any]):
    """A coroutine that tells of each of its suspensions, while it is being suspended."""

    def __init__(self, inner: Coroutine[Any, Any, Any], tell: Callable[[], None]) -> None:
        self._inner = inner
        self._tell = tell

    def send(self, value: Any) -> Any:
        waits_for = self._inner.send(value)
        self._tell()
        return waits_for

    def throw(self, *error: Any) -> Any:
        waits_for = self._inner.throw(*error)
        self._tell()
        return waits_for

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


def all_given_back(nrm: NRMClient) -> None:
    network = nrm._session.network()
    assert network.pool.in_flight == 0
    assert network.confirming.value == 1
    assert network.anis._lines == {}
    assert network.breaker.is_probing is False


Prepare = Callable[[NRMClient], None]


def nothing(nrm: NRMClient) -> None: ...


def shut_for_a_while(nrm: NRMClient) -> None:
    shut_gate(nrm, 3)


def _held(acquire: Coroutine[Any, Any, object], release: Callable[[], None]) -> None:
    with pytest.raises(StopIteration):  # there is room, so it does not wait
        acquire.send(None)
    asyncio.get_running_loop().call_later(2, release)


def fill_pool(nrm: NRMClient) -> None:
    pool = nrm._session.network().pool
    for _ in range(PLACES):
        pool.in_flight += 1  # as if a call had a place
        asyncio.get_running_loop().call_later(2, pool.release)


def hold_number(nrm: NRMClient) -> None:
    anis = nrm._session.network().anis
    _held(anis.acquire(ANI), lambda: anis.release(ANI))


def hold_confirming(nrm: NRMClient) -> None:
    confirming = nrm._session.network().confirming
    confirming.acquire_nowait()
    asyncio.get_running_loop().call_later(2, confirming.release)


def break_down(nrm: NRMClient) -> None:
    breaker = nrm._session.network().breaker
    breaker.answered()
    for _ in range(100):
        breaker.failed()


SCENARIOS: dict[str, tuple[list[Fate], Prepare]] = {
    "sending": ([], nothing),
    "the gate": ([], shut_for_a_while),
    "the pool": ([], fill_pool),
    "the number": ([], hold_number),
    "retry, not sent": ([Fate.NOT_SENT, Fate.NOT_SENT], nothing),
    "retry, throttled": ([Fate.THROTTLED, Fate.THROTTLED], nothing),
    "retry, not taken up": ([Fate.TIMED_OUT_AFTER], nothing),
    "reading back": ([Fate.LOST_AFTER], nothing),
    "reading back, in line": ([Fate.LOST_AFTER], hold_confirming),
    "reading back, failing": ([Fate.LOST_AFTER, Fate.LOST_AFTER], nothing),
    "sending again": ([Fate.LOST_BEFORE, Fate.NORMAL, Fate.NORMAL, Fate.LOST_AFTER], nothing),
    "heard late": ([Fate.LATE], nothing),
}


@asynccontextmanager
async def at_work(name: str) -> AsyncIterator[tuple[World, NRMClient]]:
    fates, prepare = SCENARIOS[name]
    waiting = list(fates)

    def fate(request: Request) -> Fate:
        return waiting.pop(0) if waiting else Fate.NORMAL

    world = World(dict.fromkeys([ANI, OTHER, *MORE], True), fate, patience=lambda: 2)
    retry = RetryPolicy(base=1)
    async with open_client(world, max_concurrency=PLACES, retry=retry, max_rate=50) as nrm:
        prepare(nrm)
        yield world, nrm


async def end_of(task: asyncio.Task[Any]) -> object:
    """What it ended in, whatever that is; nothing is cancelled by looking."""
    await asyncio.wait([task])
    return asyncio.CancelledError if task.cancelled() else task.exception()


async def after_all(world: World, nrm: NRMClient, others: set[asyncio.Task[Any]]) -> None:
    """Everything is as it was, and the next call works."""
    assert asyncio.all_tasks() == others
    await asyncio.sleep(5)  # what a scenario held is given back
    all_given_back(nrm)
    assert not world.overlaps
    world.settle()
    world.fate = always_well
    world.active[ANI] = True
    assert (await nrm.pause(ANI, note="next")).status == "paused"


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_call_is_cancelled_at_each_await(name: str) -> None:
    """The cancellation passes as it is, all is given back, and the next call works."""

    async def cut(at: int) -> bool:
        async with at_work(name) as (world, nrm):
            others = asyncio.all_tasks()
            knife = Knife(at)
            knife.watch(asyncio.get_running_loop())
            knife.victim = asyncio.create_task(nrm.pause(ANI, note="cut"))
            ended = await end_of(knife.victim)
            asyncio.get_running_loop().set_task_factory(None)
            if knife.suspensions >= at:
                assert ended is asyncio.CancelledError
            await after_all(world, nrm, others)
            assert world.applied["cut"] <= 1
            return knife.suspensions >= at

    cuts = 0
    while on_virtual_time(cut(cuts + 1)):
        cuts += 1
        assert cuts < ENOUGH
    assert cuts >= 3


@attrs.define
class Journal:
    """A recorder that takes its time."""

    intents: list[int] = attrs.field(factory=list)
    outcomes: Counter[int] = attrs.field(factory=Counter)

    async def intent(self, index: int, action: Action) -> None:
        await asyncio.sleep(0)
        self.intents.append(index)

    async def outcome(self, result: CallResult) -> None:
        self.outcomes[result.index] += 1
        await asyncio.sleep(0)
        await asyncio.sleep(0)


@attrs.define
class Inputs:
    """Two actions on one number, some on others, and a bad input in the middle."""

    taken: int = 0

    def __iter__(self) -> Iterator[Any]:
        kinds = [("pause", ANI), ("activate", ANI), ("remediate", OTHER), None, ("pause", MORE[0])]
        for index, kind in enumerate(kinds):
            self.taken += 1
            yield "no action" if kind is None else make_action(*kind, index)


async def cut_batch(name: str, knife: Knife, how: str) -> bool:
    async with at_work(name) as (world, nrm):
        others = asyncio.all_tasks()
        journal, inputs = Journal(), Inputs()
        got: list[CallResult] = []
        outbox: list[AsyncIterator[CallResult]] = []

        async def stream() -> None:
            async with nrm.stream_batch(
                inputs, concurrency=2, recorder=journal, ordered=how == "ordered"
            ) as results:
                outbox.append(results)
                async for result in results:
                    got.append(result)

        async def run() -> None:
            try:
                got.extend(await nrm.run_batch(inputs, concurrency=2, recorder=journal))
            except asyncio.CancelledError as error:
                got.extend(cast(BatchReport, error.report))  # type: ignore[attr-defined]
                raise

        knife.watch(asyncio.get_running_loop())
        knife.victim = asyncio.create_task(run() if how == "run" else stream())
        ended = await end_of(knife.victim)
        asyncio.get_running_loop().set_task_factory(None)
        if outbox:
            got += [result async for result in outbox[0]]
        was_cut = knife.suspensions >= knife.at
        if was_cut:
            assert ended is asyncio.CancelledError
        else:
            assert ended is None
        assert sorted(result.index for result in got) == list(range(inputs.taken))
        assert journal.outcomes == dict.fromkeys(range(inputs.taken), 1)
        assert not audit(world, got)
        await after_all(world, nrm, others)
        return was_cut


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("how", ["run", "stream", "ordered"])
def test_a_batch_is_cancelled_at_each_await(name: str, how: str) -> None:
    """One result for each input that was taken, recorded, and none that the books deny."""
    cuts = 0
    while on_virtual_time(cut_batch(name, Knife(cuts + 1), how)):
        cuts += 1
        assert cuts < ENOUGH
    assert cuts > 20


@pytest.mark.parametrize("how", ["run", "stream", "ordered"])
def test_a_batch_is_cancelled_again_while_it_ends(how: str) -> None:
    """A second cancellation, and a third, while the first is at work: the same holds."""
    for times in (2, 3, 8):
        cuts = 0
        while on_virtual_time(cut_batch("reading back", Knife(cuts + 1, times), how)):
            cuts += 1
            assert cuts < ENOUGH


@pytest.mark.looptime
@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
async def test_a_batch_in_a_cancelled_scope_of_anyio(seconds: float) -> None:
    """Such a scope cancels again and again until it is left: no result is lost to that."""
    async with at_work("the pool") as (world, nrm):
        others = asyncio.all_tasks()
        world.pause = lambda: asyncio.sleep(0.5)
        journal, inputs = Journal(), Inputs()
        report: list[CallResult] = []
        with anyio.move_on_after(seconds):
            try:
                report += await nrm.run_batch(inputs, concurrency=2, recorder=journal)
            except asyncio.CancelledError as error:
                report += cast(BatchReport, error.report)  # type: ignore[attr-defined]
                raise
        assert [result.index for result in report] == list(range(inputs.taken))
        assert journal.outcomes == dict.fromkeys(range(inputs.taken), 1)
        assert not audit(world, report)
        world.pause = lambda: asyncio.sleep(0)
        await after_all(world, nrm, others)


@pytest.mark.looptime
async def test_a_patient_batch_is_cancelled_while_the_api_is_down() -> None:
    """While it waits for the API to come back, and while it asks: nothing was sent."""
    for seconds in (0.1, 0.6, 1.2):
        async with at_work("sending") as (world, nrm):
            break_down(nrm)
            world.fate = lambda request: Fate.LOST_BEFORE
            world.pause = lambda: asyncio.sleep(0.2)
            batch = asyncio.create_task(
                nrm.run_batch([make_action("pause", ani, ani) for ani in MORE])
            )
            await asyncio.sleep(seconds)
            batch.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await batch
            report = cast(BatchReport, caught.value.report)  # type: ignore[attr-defined]
            assert report.counts[Outcome.NOT_APPLIED] == len(report) == PLACES
            assert not audit(world, report)
            all_given_back(nrm)


async def test_leaving_a_stream_decides_what_is_in_flight() -> None:
    """What was sent is unknown, what was not is not applied, and both are handed over."""
    world = World(dict.fromkeys([OTHER, *MORE], True))
    async with open_client(world, max_concurrency=PLACES) as nrm:
        stages, all_stuck = 0, asyncio.Event()

        async def pause() -> None:
            nonlocal stages
            stages += 1
            if stages == 2 + PLACES:
                all_stuck.set()
            if stages > 2:  # one gets as far as sending, the others do not
                await asyncio.Event().wait()

        world.pause = pause
        actions = [make_action("pause", ani, ani) for ani in (OTHER, *MORE)]
        async with nrm.stream_batch(actions, concurrency=PLACES) as results:
            await all_stuck.wait()
        rest = [result async for result in results]
        assert [result.outcome for result in sorted(rest, key=lambda result: result.index)] == [
            Outcome.UNKNOWN,
            Outcome.NOT_APPLIED,
            Outcome.NOT_APPLIED,
        ]
        assert not audit(world, rest)
        all_given_back(nrm)
