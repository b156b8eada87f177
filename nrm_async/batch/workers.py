"""Read inputs, process them concurrently, and record exactly one result per input."""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterable
from itertools import count
from typing import Any, Final

import anyio

from nrm_async._context import CallContext
from nrm_async.actions import Action
from nrm_async.batch.options import BatchOptions, Call, Inputs, Recorder, ToAction
from nrm_async.batch.result_queue import ResultQueue
from nrm_async.errors import (
    AuthenticationError,
    BatchStoppedError,
    ConfigurationError,
    InvalidRequestError,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
)
from nrm_async.results import BatchReport, CallResult, Failed, Outcome, outcome_of

# With fewer responses, the share of refusals is not representative of the batch.
_MIN_ANSWERS: Final = 20

# Seconds allowed for the cleanup of an async generator when its batch ends early.
_CLOSE_TIMEOUT: Final = 5.0

# Only trust ``len()`` on exactly these types: other types and subclasses may report a wrong length.
_VIEWS: Final[tuple[type, ...]] = (type({}.keys()), type({}.values()))
_SIZED: Final = (list, tuple, set, frozenset, deque, range, *_VIEWS, BatchReport)


class InputReader:
    """Reader that distributes the numbered inputs of one iterable to many workers.

    Attributes:
        is_sync: Whether to use ``next_nowait``, which is faster, instead of ``next``.
    """

    def __init__(self, inputs: Inputs) -> None:
        self._iterator: Any
        self._inputs = inputs
        if isinstance(inputs, AsyncIterable):
            self.is_sync, self._iterator = False, aiter(inputs)
        else:
            self.is_sync, self._iterator = True, iter(inputs)
        self._indexes = count()
        self._is_exhausted = False
        self._lock = asyncio.Lock()  # async generators do not allow concurrent reads

    def next_nowait(self) -> tuple[int, object] | None:
        """Return the next input of a sync iterable with its index, or ``None`` after the last.

        An exception raised by the iterable is raised once and ends the input.
        """
        if self._is_exhausted:
            return None
        try:
            return next(self._indexes), next(self._iterator)
        except StopIteration:
            self._is_exhausted = True
            return None
        except BaseException:
            self._is_exhausted = True
            raise

    async def next(self) -> tuple[int, object] | None:
        """Return the next input of an async iterable; see ``next_nowait``."""
        async with self._lock:
            if self._is_exhausted:
                return None
            self._is_exhausted = True  # reset below, because cancellation ends a generator too
            try:
                item = await anext(self._iterator)
            except StopAsyncIteration:
                return None
            self._is_exhausted = False
            return next(self._indexes), item

    async def aclose(self) -> None:
        """Close the iterator if it is an async generator or was created by this reader.

        Errors are passed to the event loop's exception handler, as asyncio does, so that they do
        not replace the results. A generator that does not end in time is abandoned.
        """
        is_ours = isinstance(self._iterator, AsyncGenerator) or self._iterator is not self._inputs
        if self.is_sync or not is_ours or not hasattr(self._iterator, "aclose"):
            return
        closing = asyncio.ensure_future(self._close_iterator())
        try:
            await asyncio.wait([closing], timeout=_CLOSE_TIMEOUT)
        finally:  # cancelled or too slow
            closing.cancel()

    async def _close_iterator(self) -> None:
        try:
            await self._iterator.aclose()
        except Exception as error:  # noqa: BLE001 - user code
            asyncio.get_running_loop().call_exception_handler(
                {"message": "closing the inputs of a batch failed", "exception": error}
            )


class StopCondition:
    """Condition that stops a batch, after which no further item is sent.

    Attributes:
        deadline: Event loop time at which the batch stops; ``None`` for no limit.
    """

    def __init__(self, options: BatchOptions) -> None:
        self._clock = asyncio.get_running_loop().time
        self.deadline = None if options.deadline is None else self._clock() + options.deadline
        self._max_refused = options.max_refused
        self._retry = options.retry
        self._answered = self._refused = 0
        self._cause: NRMError | None = None

    def stop_error(self) -> NRMError | None:
        """Return the error for the next item, or ``None`` if the batch is not stopped."""
        if self.deadline is not None and self._clock() >= self.deadline:
            self.trip(NotSentError("the deadline of the batch had passed"))
        return None if self._cause is None else BatchStoppedError(self._cause)

    def trip(self, cause: NRMError) -> None:
        """Stop the batch, unless it was stopped before for another cause."""
        if self._cause is None:
            self._cause = cause

    def observe(self, result: CallResult) -> None:
        """Stop after an error that would affect all remaining items, or too many refusals."""
        if not result.ok and self._is_fatal(result.error):
            self.trip(result.error)
        if self._max_refused is None:
            return
        self._refused += result.outcome is Outcome.REJECTED
        self._answered += result.outcome in (Outcome.REJECTED, Outcome.APPLIED, Outcome.CONFIRMED)
        if self._answered >= _MIN_ANSWERS and self._refused > self._max_refused * self._answered:
            self.trip(NRMError(f"{self._refused} of {self._answered} items were refused"))

    def _is_fatal(self, error: NRMError) -> bool:
        if isinstance(error, OutcomeUnknownError):
            return error.status in (302, 303)
        if isinstance(error, NotSentError):
            return error.permanent
        if isinstance(error, RateLimitError):  # avoid repeating it for every item
            return self._retry.is_too_long(error.retry_after or 0.0)
        return isinstance(error, AuthenticationError | ConfigurationError)


class WorkerPool:
    """Workers of one batch, and their shared state.

    Attributes:
        results: Queue with one result per input read.
    """

    def __init__(
        self, inputs: Inputs, to_action: ToAction, call: Call, options: BatchOptions
    ) -> None:
        self._size = options.concurrency
        given: Any = inputs
        if type(given) in _SIZED and len(given) < self._size:
            # Copy the inputs, because the caller may change the container during the batch. Start
            # at least one worker, so that an empty batch yields to the event loop too.
            inputs = tuple(given)
            self._size = max(1, len(inputs))
        self.results = ResultQueue(ordered=options.ordered)
        self._reader = InputReader(inputs)
        self._stop = StopCondition(options)
        self._to_action = to_action
        self._call = call
        self._recorder = options.recorder
        self._progress = options.progress
        self._clock = asyncio.get_running_loop().time
        self._tasks: list[asyncio.Task[None]] = []
        self._is_closing = False

    def start(self) -> None:
        """Start the workers."""
        for _ in range(self._size):
            self.results.add_producer()
            task = asyncio.create_task(self._worker())
            task.add_done_callback(self._worker_done)
            self._tasks.append(task)

    async def aclose(self) -> None:
        """Cancel the workers, wait until each has recorded its result, and close the inputs.

        If this method is cancelled, it cancels the workers again, to interrupt a recorder for
        example, and raises the cancellation after each worker has recorded its result.
        """
        self._is_closing = True
        cancelled: asyncio.CancelledError | None = None
        pending: set[asyncio.Task[None]] = {task for task in self._tasks if not task.done()}
        while pending:
            for task in pending:
                task.cancel()
            try:
                _done, pending = await asyncio.wait(pending)
            except asyncio.CancelledError as error:
                cancelled = error
                pending = {task for task in pending if not task.done()}
        self.results.flush()
        if cancelled is not None:
            raise cancelled
        await self._reader.aclose()

    def _worker_done(self, task: asyncio.Task[None]) -> None:
        crash: BaseException | None = None
        if not task.cancelled():
            crash = task.exception()
        elif not self._is_closing:
            crash = RuntimeError(
                "the batch was cut short: its inputs or its recorder raised CancelledError"
            )
        self.results.producer_finished(crash)

    async def _worker(self) -> None:
        """Read and process inputs until there are no more."""
        reader, slots, clock = self._reader, self.results.slots, self._clock
        is_sync, next_nowait = reader.is_sync, reader.next_nowait
        deadline, stop_check = self._stop.deadline, self._stop.stop_error
        batch = self._progress.number
        while True:
            try:
                slots.acquire_nowait()  # ten times faster than awaiting
            except anyio.WouldBlock:
                await slots.acquire()
            try:
                numbered = next_nowait() if is_sync else await reader.next()
            except Exception as error:  # noqa: BLE001 - user code; raised after the results
                self.results.fail(error)
                return
            if numbered is None:
                return
            context = CallContext(
                deadline, is_bulk=True, stop_check=stop_check, batch=batch, started=clock()
            )
            await self._process(*numbered, context)
            if not context.attempts:
                await asyncio.sleep(0)  # a million invalid inputs must not block the event loop

    async def _process(self, index: int, item: object, context: CallContext) -> None:
        """Process one item and record exactly one result, even if cancelled."""
        try:
            action = self._to_action(item)
        except Exception as error:  # noqa: BLE001 - every invalid input has a result
            invalid = _invalid_input(error)
            await self._record_result(self._failed(index, item, None, context, invalid))
            return
        try:
            stopped = self._stop.stop_error()
            if stopped is None and self._recorder is not None:
                stopped = await self._record_intent(self._recorder, index, action)
            if stopped is None:
                result = await self._call(index, item, action, context)
            else:
                result = self._failed(index, item, action, context, stopped)
        except (Exception, asyncio.CancelledError) as error:
            # Besides cancellation, only a mistake in a custom transport gets here.
            interrupted = _interrupted(error, context)
            await self._record_result(self._failed(index, item, action, context, interrupted))
            raise
        await self._record_result(result)

    async def _record_intent(
        self, recorder: Recorder, index: int, action: Action
    ) -> NRMError | None:
        """Record the intent, or return the error if that fails; the item is then not sent."""
        try:
            await recorder.intent(index, action)
        except Exception as error:  # noqa: BLE001 - user code; raised after the results
            self._recorder_failed(error)
            return self._stop.stop_error()
        return None

    async def _record_result(self, result: CallResult) -> None:
        """Record the result and add it to the queue, even if the recorder fails or is cancelled."""
        self._stop.observe(result)
        try:
            if self._recorder is not None:
                await self._recorder.outcome(result)
        except Exception as error:  # noqa: BLE001 - user code; raised after the results
            self._recorder_failed(error)
        finally:
            self.results.put(result)
            self._progress.add(result)

    def _recorder_failed(self, error: Exception) -> None:
        self.results.fail(error)
        self._stop.trip(NRMError(f"the recorder failed: {type(error).__name__}: {error}"))

    def _failed(
        self,
        index: int,
        item: object,
        action: Action | None,
        context: CallContext,
        error: NRMError,
    ) -> Failed:
        elapsed = 0.0
        if action is not None:
            elapsed = self._clock() - context.started
            error.at("POST", action.path, context.attempts, elapsed)
        return Failed(
            index=index,
            input=item,
            action=action,
            outcome=outcome_of(error),
            attempts=context.attempts,
            elapsed=elapsed,
            error=error,
        )


def _invalid_input(error: Exception) -> InvalidRequestError:
    if not isinstance(error, InvalidRequestError):
        error = InvalidRequestError(f"the input cannot be read: {type(error).__name__}: {error}")
    return error.with_traceback(None)  # results must not keep frames alive


def _interrupted(error: BaseException, context: CallContext) -> NRMError:
    by_error = f"interrupted by {type(error).__name__}"
    cause = "cancelled" if isinstance(error, asyncio.CancelledError) else by_error
    if context.maybe_applied:
        return OutcomeUnknownError(f"{cause} after it was sent; the action may have been applied")
    return NotSentError(f"{cause} before anything was sent")
