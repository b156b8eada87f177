"""Batches that end early: async generators are closed, and every result in flight is kept."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from nrm_async import CallResult, Outcome, Pause
from nrm_async._inputs import given_action
from nrm_async.actions import Action
from nrm_async.batch import BatchOptions, run, stream
from nrm_async.batch import workers as workers_module
from tests.batch.conftest import PAUSES, FakeCall


class Stuck(FakeCall):
    """Applies the first three actions, and never answers another."""

    def __init__(self) -> None:
        super().__init__()
        self.stuck = asyncio.Event()

    async def exchange(self, index: int) -> None:
        if index >= 3:
            self.stuck.set()
            await asyncio.Event().wait()


class Source:
    """An async generator of actions that notes how it ends."""

    def __init__(self, at_end: Any = None) -> None:
        self.is_closed = False
        self._at_end = at_end

    async def generate(self) -> AsyncIterator[Pause]:
        try:
            for pause in PAUSES:
                yield pause
        finally:
            self.is_closed = True
            if self._at_end is not None:
                await self._at_end()


class Iterable:
    """An async iterable: the generator is made by the batch."""

    def __init__(self, source: Source) -> None:
        self._source = source

    def __aiter__(self) -> AsyncIterator[Pause]:
        return self._source.generate()


def inputs_of(source: Source, kind: str) -> Any:
    return source.generate() if kind == "generator" else Iterable(source)


kinds = pytest.mark.parametrize("kind", ["generator", "iterable"])


@kinds
@pytest.mark.parametrize("concurrency", [1, 4])
async def test_cancelled_batch_closes_its_generator(kind: str, concurrency: int) -> None:
    """It is closed by the time that the cancellation arrives, and the report is whole."""
    source, call = Source(), Stuck()
    options = BatchOptions(concurrency=concurrency)
    batch = asyncio.create_task(run(inputs_of(source, kind), given_action, call, options))
    await call.stuck.wait()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await batch
    assert source.is_closed
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.index for result in report] == list(range(len(call.order)))


@kinds
async def test_stream_that_is_left_closes_its_generator(kind: str) -> None:
    """Leaving after the first result, by ``break`` or by an error."""
    for error in (None, LookupError):
        source = Source()
        options = BatchOptions(concurrency=2)
        with contextlib.suppress(LookupError):
            async with stream(inputs_of(source, kind), given_action, FakeCall(), options) as queue:
                async for _ in queue:
                    if error is not None:
                        raise error
                    break
        assert source.is_closed


async def test_iterator_of_the_caller_stays_open() -> None:
    """An iterator that is no generator is lent: its owner may go on reading."""

    class Channel:
        is_closed = False

        def __init__(self) -> None:
            self.left = iter(PAUSES)

        def __aiter__(self) -> "Channel":
            return self

        async def __anext__(self) -> Pause:
            return next(self.left)

        async def aclose(self) -> None:
            self.is_closed = True

    channel = Channel()
    async with stream(channel, given_action, FakeCall(), BatchOptions(concurrency=1)) as queue:
        await anext(queue)
    assert not channel.is_closed
    assert await anext(channel) in PAUSES


async def fail() -> None:
    raise LookupError("no cleaning up")


async def hang() -> None:
    await asyncio.Event().wait()


@pytest.mark.parametrize("at_end", [fail, hang])
async def test_generator_that_misbehaves_hides_no_result(
    at_end: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its error goes to the loop's handler; one that hangs is left behind."""
    monkeypatch.setattr(workers_module, "_CLOSE_TIMEOUT", 0.01)
    reported: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, said: reported.append(said))
    source, call = Source(at_end), Stuck()
    batch = asyncio.create_task(
        run(source.generate(), given_action, call, BatchOptions(concurrency=1))
    )
    await call.stuck.wait()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await batch
    assert len(caught.value.report) == 4  # type: ignore[attr-defined]
    assert source.is_closed
    errors = [type(said["exception"]) for said in reported]
    assert errors == ([LookupError] if at_end is fail else [])


class SlowRecorder:
    """Takes long to record the outcome of what is cancelled."""

    def __init__(self) -> None:
        self.waiting = asyncio.Event()

    async def intent(self, index: int, action: Action) -> None: ...

    async def outcome(self, result: CallResult) -> None:
        if not result.ok:
            self.waiting.set()
            await asyncio.Event().wait()


async def test_batch_that_is_cancelled_twice_keeps_what_was_in_flight() -> None:
    """The second cancellation ends the recorder's wait, and the report has all results."""
    call, recorder = Stuck(), SlowRecorder()
    options = BatchOptions(concurrency=4, recorder=recorder)
    batch = asyncio.create_task(run(PAUSES, given_action, call, options))
    await call.stuck.wait()
    batch.cancel()
    await recorder.waiting.wait()
    batch.cancel()
    with pytest.raises(asyncio.CancelledError) as caught:
        await batch
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.index for result in report] == list(range(len(call.order)))
    assert report.counts[Outcome.APPLIED] == 3
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_timeout_has_the_report_on_its_cause() -> None:
    """``asyncio.timeout`` and ``asyncio.wait_for`` raise a TimeoutError from the cancellation."""
    for limited in (within, asyncio.wait_for):
        call = Stuck()
        with pytest.raises(TimeoutError) as caught:
            await limited(run(PAUSES, given_action, call, BatchOptions(concurrency=2)), 0.05)
        report = caught.value.__cause__.report  # type: ignore[union-attr]
        assert [result.index for result in report] == list(range(len(call.order)))


async def within(work: Any, seconds: float) -> None:
    async with asyncio.timeout(seconds):
        await work


def test_main_task_that_is_cancelled() -> None:
    """``asyncio.run`` raises the cancellation with its report."""
    calls: list[Stuck] = []

    async def main() -> None:
        calls.append(call := Stuck())
        task = asyncio.current_task()
        assert task is not None
        asyncio.ensure_future(call.stuck.wait()).add_done_callback(lambda _: task.cancel())
        await run(PAUSES, given_action, call, BatchOptions(concurrency=2))

    with pytest.raises(asyncio.CancelledError) as caught:
        asyncio.run(main())
    report = caught.value.report  # type: ignore[attr-defined]
    assert [result.index for result in report] == list(range(len(calls[0].order)))
