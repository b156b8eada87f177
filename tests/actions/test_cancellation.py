"""Cancellation at every await: no result is lost, no resource leaks, no outcome is wrong."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Generator, Iterator
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, cast

import anyio
import attrs
import pytest

from nrm_async import Action, BatchReport, CallResult, NRMClient, Outcome, RetryPolicy
from tests.actions.audit import audit
from tests.fakes import (
    FakeAPI,
    Fate,
    close_gate,
    first,
    make_action,
    no_fault,
    numbers,
    on_virtual_time,
    open_client,
)

ANI, OTHER, *MORE = numbers(6)
MAX_CONCURRENCY = 3
MOST_AWAITS = 2_000  # of any scenario


@attrs.define
class CancelAt:
    """Cancels a task after the watched tasks were suspended this many times."""

    at: int
    times: int = 1
    victim: asyncio.Task[Any] | None = None
    suspensions: int = 0

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """Count the suspensions of all tasks that are created from now on."""
        loop.set_task_factory(
            lambda loop, coro, **more: asyncio.Task(
                WatchedCoroutine(cast(Coroutine[Any, Any, Any], coro), self.suspended),
                loop=loop,
                **more,
            )
        )

    def suspended(self) -> None:
        self.suspensions += 1
        if self.at <= self.suspensions < self.at + self.times and self.victim is not None:
            self.victim.cancel()


class WatchedCoroutine(Coroutine[Any, Any, Any]):
    """A coroutine that reports each of its suspensions."""

    def __init__(self, inner: Coroutine[Any, Any, Any], on_suspend: Callable[[], None]) -> None:
        self._inner = inner
        self._on_suspend = on_suspend

    def send(self, value: Any) -> Any:
        awaited = self._inner.send(value)
        self._on_suspend()
        return awaited

    def throw(self, *error: Any) -> Any:
        awaited = self._inner.throw(*error)
        self._on_suspend()
        return awaited

    def close(self) -> None:
        self._inner.close()

    def __await__(self) -> Generator[Any, Any, Any]:
        return self._inner.__await__()


def check_released(nrm: NRMClient) -> None:
    runtime = nrm._runtime
    assert runtime.queue.in_flight == 0
    assert runtime.confirming.value == 1
    assert runtime.number_locks._waiters == {}
    assert runtime.breaker.is_probing is False


SetUp: TypeAlias = Callable[[NRMClient], None]


def no_preparation(nrm: NRMClient) -> None: ...


def close_gate_for_a_while(nrm: NRMClient) -> None:
    close_gate(nrm, 3)


def _held(acquire: Coroutine[Any, Any, object], release: Callable[[], None]) -> None:
    with pytest.raises(StopIteration):  # the lock is free, so it does not wait
        acquire.send(None)
    asyncio.get_running_loop().call_later(2, release)


def hold_permits(nrm: NRMClient) -> None:
    queue = nrm._runtime.queue
    for _ in range(MAX_CONCURRENCY):
        queue.in_flight += 1  # as if a call had a permit
        asyncio.get_running_loop().call_later(2, queue.release)


def hold_number(nrm: NRMClient) -> None:
    anis = nrm._runtime.number_locks
    _held(anis.acquire(ANI), lambda: anis.release(ANI))


def hold_confirming(nrm: NRMClient) -> None:
    confirming = nrm._runtime.confirming
    confirming.acquire_nowait()
    asyncio.get_running_loop().call_later(2, confirming.release)


def open_breaker(nrm: NRMClient) -> None:
    breaker = nrm._runtime.breaker
    breaker.answered()
    for _ in range(100):
        breaker.failed()


SCENARIOS: dict[str, tuple[list[Fate], SetUp]] = {
    "sending": ([], no_preparation),
    "gate": ([], close_gate_for_a_while),
    "permit": ([], hold_permits),
    "number lock": ([], hold_number),
    "retry, not sent": ([Fate.NOT_SENT, Fate.NOT_SENT], no_preparation),
    "retry, throttled": ([Fate.THROTTLED, Fate.THROTTLED], no_preparation),
    "retry, not processed": ([Fate.TIMED_OUT_AFTER], no_preparation),
    "reading back": ([Fate.LOST_AFTER], no_preparation),
    "reading back, queued": ([Fate.LOST_AFTER], hold_confirming),
    "reading back, failing": ([Fate.LOST_AFTER, Fate.LOST_AFTER], no_preparation),
    "resending": ([Fate.LOST_BEFORE, Fate.NORMAL, Fate.NORMAL, Fate.LOST_AFTER], no_preparation),
    "applied late": ([Fate.LATE], no_preparation),
}


@asynccontextmanager
async def scenario(name: str) -> AsyncIterator[tuple[FakeAPI, NRMClient]]:
    """Open a client in the middle of this scenario."""
    fates, set_up = SCENARIOS[name]
    api = FakeAPI(dict.fromkeys([ANI, OTHER, *MORE], True), first(*fates), patience=lambda: 2)
    retry = RetryPolicy(base=1)
    async with open_client(api, max_concurrency=MAX_CONCURRENCY, retry=retry, max_rate=50) as nrm:
        set_up(nrm)
        yield api, nrm


async def outcome_of_task(task: asyncio.Task[Any]) -> object:
    """Return the exception of a finished task, or ``CancelledError`` itself, without raising."""
    await asyncio.wait([task])
    return asyncio.CancelledError if task.cancelled() else task.exception()


async def check_recovered(api: FakeAPI, nrm: NRMClient, others: set[asyncio.Task[Any]]) -> None:
    """Check that everything is released and the next call works."""
    assert asyncio.all_tasks() == others
    await asyncio.sleep(5)  # what the scenario holds is released
    check_released(nrm)
    assert not api.overlaps
    api.apply_late()
    api.fate = no_fault
    api.active[ANI] = True
    assert (await nrm.pause(ANI, note="next")).status == "paused"


@pytest.mark.parametrize("name", SCENARIOS)
def test_cancel_a_call_at_each_await(name: str) -> None:
    """The cancellation passes through, everything is released, and the next call works."""

    async def cancel_call(at: int) -> bool:
        async with scenario(name) as (api, nrm):
            others = asyncio.all_tasks()
            cancellation = CancelAt(at)
            cancellation.watch(asyncio.get_running_loop())
            cancellation.victim = asyncio.create_task(nrm.pause(ANI, note="cancelled"))
            result = await outcome_of_task(cancellation.victim)
            asyncio.get_running_loop().set_task_factory(None)
            if cancellation.suspensions >= at:
                assert result is asyncio.CancelledError
            await check_recovered(api, nrm, others)
            assert api.applied["cancelled"] <= 1
            return cancellation.suspensions >= at

    awaits = 0
    while on_virtual_time(cancel_call(awaits + 1)):
        awaits += 1
        assert awaits < MOST_AWAITS
    assert awaits >= 3


@attrs.define
class SlowRecorder:
    """A recorder that suspends, and counts the outcomes of each item."""

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
    """Two actions for one number, some for others, and an invalid input between them."""

    taken: int = 0

    def __iter__(self) -> Iterator[Any]:
        kinds = [("pause", ANI), ("activate", ANI), ("remediate", OTHER), None, ("pause", MORE[0])]
        for index, kind in enumerate(kinds):
            self.taken += 1
            yield "invalid" if kind is None else make_action(*kind, index)


async def cancel_batch(name: str, cancellation: CancelAt, how: str) -> bool:
    """Run a scenario's batch, cancel it, check its results, and return whether it was cancelled."""
    async with scenario(name) as (api, nrm):
        others = asyncio.all_tasks()
        recorder, inputs = SlowRecorder(), Inputs()
        got: list[CallResult] = []
        streams: list[AsyncIterator[CallResult]] = []

        async def stream() -> None:
            async with nrm.stream_batch(
                inputs, concurrency=2, recorder=recorder, ordered=how == "ordered"
            ) as results:
                streams.append(results)
                async for result in results:
                    got.append(result)

        async def run() -> None:
            try:
                got.extend(await nrm.run_batch(inputs, concurrency=2, recorder=recorder))
            except asyncio.CancelledError as error:
                got.extend(cast(BatchReport, error.report))  # type: ignore[attr-defined]
                raise

        cancellation.watch(asyncio.get_running_loop())
        cancellation.victim = asyncio.create_task(run() if how == "run" else stream())
        result = await outcome_of_task(cancellation.victim)
        asyncio.get_running_loop().set_task_factory(None)
        if streams:
            got += [result async for result in streams[0]]
        was_cancelled = cancellation.suspensions >= cancellation.at
        if was_cancelled:
            assert result is asyncio.CancelledError
        else:
            assert result is None
        assert sorted(result.index for result in got) == list(range(inputs.taken))
        assert recorder.outcomes == dict.fromkeys(range(inputs.taken), 1)
        assert not audit(api, got)
        await check_recovered(api, nrm, others)
        return was_cancelled


@pytest.mark.parametrize("name", SCENARIOS)
@pytest.mark.parametrize("how", ["run", "stream", "ordered"])
def test_cancel_a_batch_at_each_await(name: str, how: str) -> None:
    """Each input that was read has one recorded result, which agrees with the API."""
    awaits = 0
    while on_virtual_time(cancel_batch(name, CancelAt(awaits + 1), how)):
        awaits += 1
        assert awaits < MOST_AWAITS
    assert awaits > 20


@pytest.mark.parametrize("how", ["run", "stream", "ordered"])
def test_cancel_a_batch_again_while_it_ends(how: str) -> None:
    """The same if cancellation is repeated while the first one is handled."""
    for times in (2, 3, 8):
        awaits = 0
        while on_virtual_time(cancel_batch("reading back", CancelAt(awaits + 1, times), how)):
            awaits += 1
            assert awaits < MOST_AWAITS


@pytest.mark.looptime
@pytest.mark.parametrize("seconds", [0.0, 0.5, 1.0, 1.5, 2.0, 2.5])
async def test_batch_in_a_cancelled_scope_of_anyio(seconds: float) -> None:
    """Such a scope cancels repeatedly until it is left; no result is lost."""
    async with scenario("permit") as (api, nrm):
        others = asyncio.all_tasks()
        api.wait = lambda: asyncio.sleep(0.5)
        recorder, inputs = SlowRecorder(), Inputs()
        report: list[CallResult] = []
        with anyio.move_on_after(seconds):
            try:
                report += await nrm.run_batch(inputs, concurrency=2, recorder=recorder)
            except asyncio.CancelledError as error:
                report += cast(BatchReport, error.report)  # type: ignore[attr-defined]
                raise
        assert [result.index for result in report] == list(range(inputs.taken))
        assert recorder.outcomes == dict.fromkeys(range(inputs.taken), 1)
        assert not audit(api, report)
        api.wait = lambda: asyncio.sleep(0)
        await check_recovered(api, nrm, others)


@pytest.mark.looptime
async def test_cancel_a_batch_during_an_outage() -> None:
    """While it waits for the API to come back or probes it, no_preparation was sent."""
    for seconds in (0.1, 0.6, 1.2):
        async with scenario("sending") as (api, nrm):
            open_breaker(nrm)
            api.fate = lambda request: Fate.LOST_BEFORE
            api.wait = lambda: asyncio.sleep(0.2)
            batch = asyncio.create_task(
                nrm.run_batch([make_action("pause", ani, ani) for ani in MORE])
            )
            await asyncio.sleep(seconds)
            batch.cancel()
            with pytest.raises(asyncio.CancelledError) as caught:
                await batch
            report = cast(BatchReport, caught.value.report)  # type: ignore[attr-defined]
            assert report.counts[Outcome.NOT_APPLIED] == len(report) == MAX_CONCURRENCY
            assert not audit(api, report)
            check_released(nrm)


async def test_leaving_a_stream_decides_items_in_flight() -> None:
    """Sent items are unknown, others not applied, and both are yielded."""
    api = FakeAPI(dict.fromkeys([OTHER, *MORE], True))
    async with open_client(api, max_concurrency=MAX_CONCURRENCY) as nrm:
        stages, all_stuck = 0, asyncio.Event()

        async def pause() -> None:
            nonlocal stages
            stages += 1
            if stages == 2 + MAX_CONCURRENCY:
                all_stuck.set()
            if stages > 2:  # one is being sent, the others are connecting
                await asyncio.Event().wait()

        api.wait = pause
        actions = [make_action("pause", ani, ani) for ani in (OTHER, *MORE)]
        async with nrm.stream_batch(actions, concurrency=MAX_CONCURRENCY) as results:
            await all_stuck.wait()
        rest = [result async for result in results]
        assert [result.outcome for result in sorted(rest, key=lambda result: result.index)] == [
            Outcome.UNKNOWN,
            Outcome.NOT_APPLIED,
            Outcome.NOT_APPLIED,
        ]
        assert not audit(api, rest)
        check_released(nrm)
