"""Fan-out: workers on one lazily read input, one result for each of its items.

Inputs come in from an iterable or async iterable; each becomes an action, the action goes to a
``call`` that never fails, and its result goes to an ``Outbox``, from which the caller takes
results in input order or as they complete. At most ``concurrency`` tasks are alive, and at most
``READ_AHEAD`` inputs are read ahead of the results taken.
"""

import asyncio
import contextlib
import inspect
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, Self, TypeAlias

import anyio

from nrm_async.actions import Action
from nrm_async.errors import InvalidRequestError
from nrm_async.results import BatchReport, CallResult, Failed, Outcome

__all__ = ["Inputs", "OnResult", "Prepare", "run", "stream"]

Inputs: TypeAlias = Iterable[object] | AsyncIterable[object]
Prepare: TypeAlias = Callable[[object], Action]
Call: TypeAlias = Callable[[int, object, Action], Awaitable[CallResult]]
OnResult: TypeAlias = Callable[[CallResult], object]

# Memory stays flat whatever the length of the input and the speed of the consumer.
READ_AHEAD: Final = 1_000


class _Source:
    """The inputs, numbered, taken one at a time by many workers.

    An input that fails ends the reading like one that is through: the workers finish what they
    have, and ``error`` tells at the end of the batch.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.error: Exception | None = None
        self._is_over = False
        self._taken = 0
        self._next = _next_of(inputs)

    async def take(self) -> tuple[int, object] | None:
        """The next input with its position, or ``None`` when there is none."""
        if self._is_over:
            return None
        try:
            item = await self._next()
        except StopAsyncIteration:
            self._is_over = True
            return None
        except Exception as error:  # noqa: BLE001 - the caller's own, raised when all is done
            self._is_over, self.error = True, error
            return None
        self._taken += 1
        return self._taken - 1, item


def _next_of(inputs: Inputs) -> Callable[[], Awaitable[object]]:
    if isinstance(inputs, AsyncIterable):
        return _next_of_async(aiter(inputs))
    iterator = iter(inputs)

    async def take() -> object:
        for item in iterator:
            return item
        raise StopAsyncIteration

    return take


def _next_of_async(iterator: AsyncIterator[object]) -> Callable[[], Awaitable[object]]:
    lock = asyncio.Lock()  # an async generator cannot be asked twice at once

    async def take() -> object:
        async with lock:
            return await anext(iterator)

    return take


class Outbox(AsyncIterator[CallResult]):
    """Results on their way to the caller, with room for ``READ_AHEAD`` of them."""

    def __init__(self, source: _Source, *, ordered: bool) -> None:
        self._source = source
        self._ordered = ordered
        self._room = anyio.Semaphore(READ_AHEAD, fast_acquire=True)
        self._ready: deque[CallResult] = deque()
        self._early: dict[int, CallResult] = {}  # finished before one of their predecessors
        self._next = 0
        self._news = asyncio.Event()
        self._working: set[asyncio.Task[None]] = set()
        self._failure: BaseException | None = None

    async def reserve(self) -> None:
        """Wait until there is room for one more result."""
        await self._room.acquire()

    def put(self, result: CallResult) -> None:
        """Hand in a result, into the room reserved for it."""
        if self._ordered:
            self._early[result.index] = result
            while (following := self._early.pop(self._next, None)) is not None:
                self._ready.append(following)
                self._next += 1
        else:
            self._ready.append(result)
        self._news.set()

    def rest(self) -> tuple[CallResult, ...]:
        """The results that were not taken, once the workers are gone."""
        return (*self._ready, *self._early.values())

    def expect(self, worker: "asyncio.Task[None]") -> None:
        """Stay open until this worker is done."""
        self._working.add(worker)
        worker.add_done_callback(self._worker_is_done)

    def _worker_is_done(self, worker: "asyncio.Task[None]") -> None:
        self._working.discard(worker)
        if not worker.cancelled() and (error := worker.exception()) is not None:
            self._failure = error  # a mistake of ours: it must not pass for the end
        self._news.set()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> CallResult:
        while not self._ready:
            if not self._working:
                self._end()
            self._news.clear()
            await self._news.wait()
        self._room.release()
        return self._ready.popleft()

    def _end(self) -> None:
        failure = self._failure or self._source.error
        self._failure = self._source.error = None
        raise failure or StopAsyncIteration


async def _work(source: _Source, prepare: Prepare, call: Call, outbox: Outbox) -> None:
    while True:
        await outbox.reserve()
        taken = await source.take()
        if taken is None:
            return
        outbox.put(await _result_of(*taken, prepare, call))


async def _result_of(index: int, item: object, prepare: Prepare, call: Call) -> CallResult:
    try:
        action = prepare(item)
    except Exception as error:  # noqa: BLE001 - an item never ends a batch, whatever it is
        await asyncio.sleep(0)  # a million bad inputs must not hold up the event loop
        return _failed_input(index, item, error)
    return await call(index, item, action)


def _failed_input(index: int, item: object, error: Exception) -> Failed:
    if not isinstance(error, InvalidRequestError):
        error = InvalidRequestError(f"the input cannot be read: {type(error).__name__}: {error}")
    return Failed(index=index, input=item, action=None, outcome=Outcome.NOT_APPLIED, error=error)


@asynccontextmanager
async def stream(
    inputs: Inputs, prepare: Prepare, call: Call, *, concurrency: int, ordered: bool
) -> AsyncIterator[Outbox]:
    """Run the workers while the caller takes results; stop them when the caller leaves."""
    source = _Source(inputs)
    outbox = Outbox(source, ordered=ordered)
    workers = [
        asyncio.create_task(_work(source, prepare, call, outbox)) for _ in range(concurrency)
    ]
    for worker in workers:
        outbox.expect(worker)
    try:
        yield outbox
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


async def run(
    inputs: Inputs,
    prepare: Prepare,
    call: Call,
    *,
    concurrency: int,
    on_result: OnResult | None = None,
) -> BatchReport:
    """Run all inputs to their end.

    Raises:
        Exception: What the inputs raised, or what ``on_result`` raised first, after all results
            are in. Whatever ends the batch, its ``report`` attribute is a ``BatchReport`` of
            the results so far.
    """
    started = asyncio.get_running_loop().time()
    results: list[CallResult] = []
    callback = _Callback(on_result)
    outbox = None
    try:
        async with stream(inputs, prepare, call, concurrency=concurrency, ordered=False) as outbox:
            async for result in outbox:
                results.append(result)
                await callback(result)
        callback.raise_if_failed()
    except BaseException as error:
        rest = outbox.rest() if outbox is not None else ()
        _attach(error, _report([*results, *rest], started))
        raise
    return _report(results, started)


class _Callback:
    """The caller's ``on_result``: one that fails does not stop the batch."""

    def __init__(self, on_result: OnResult | None) -> None:
        self._on_result = on_result
        self._error: Exception | None = None

    async def __call__(self, result: CallResult) -> None:
        if self._on_result is None:
            return
        try:
            answer = self._on_result(result)
            if inspect.isawaitable(answer):
                await answer
        except Exception as error:  # noqa: BLE001 - the caller's own, raised when all is done
            self._error = self._error or error

    def raise_if_failed(self) -> None:
        if self._error is not None:
            raise self._error


def _report(results: list[CallResult], started: float) -> BatchReport:
    ordered = sorted(results, key=lambda result: result.index)
    return BatchReport(tuple(ordered), elapsed=asyncio.get_running_loop().time() - started)


def _attach(error: BaseException, report: BatchReport) -> None:
    with contextlib.suppress(AttributeError):  # exceptions with slots have no room for it
        error.report = report  # type: ignore[attr-defined]
