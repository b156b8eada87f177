"""Fan-out: workers on one lazily read input, one result for each of its items.

Inputs come in from an iterable or async iterable; each becomes an action, the action goes to a
``call`` that raises nothing but cancellation, and its result goes to an ``Outbox``, from which
the caller takes results in input order or as they complete. At most ``concurrency`` tasks are
alive, and at most ``READ_AHEAD`` inputs are read ahead of the results taken.

Every input that was taken gets exactly one result: bad ones, those that come after the batch
was stopped, and those that cancellation cuts off in the middle.
"""

import asyncio
import contextlib
import inspect
import sys
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Final, Protocol, Self, TypeAlias, TypedDict

import anyio
import attrs

from nrm_async._flight import Flight
from nrm_async.actions import Action
from nrm_async.config import OnUnknown
from nrm_async.errors import (
    AuthenticationError,
    BatchStoppedError,
    ConfigurationError,
    InvalidRequestError,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
)
from nrm_async.results import BatchReport, CallResult, Failed, Outcome, outcome_of

__all__ = [
    "BatchKeywords",
    "BatchOptions",
    "Inputs",
    "OnResult",
    "Outbox",
    "Prepare",
    "Recorder",
    "run",
    "stream",
]

Inputs: TypeAlias = Iterable[object] | AsyncIterable[object]
Prepare: TypeAlias = Callable[[object], Action]
Call: TypeAlias = Callable[[int, object, Action, Flight], Awaitable[CallResult]]
OnResult: TypeAlias = Callable[[CallResult], object]

# Memory stays flat whatever the length of the input and the speed of the consumer.
READ_AHEAD: Final = 1_000


class Recorder(Protocol):
    """Is told of each item before it is sent and after it is decided; both are awaited.

    The place for a durable journal. If it raises, no further item is sent, and its error is
    raised at the end of the batch.
    """

    async def intent(self, index: int, action: Action) -> None:
        """The action is about to be sent; no byte of it has left."""

    async def outcome(self, result: CallResult) -> None:
        """The item is decided."""


class BatchKeywords(TypedDict, total=False):
    """What else a batch may be told, by keyword.

    Attributes:
        on_unknown: As for single calls: ``"confirm"`` lost answers or ``"report"`` them.
        deadline: Seconds for the whole batch. After that no item is begun any more, and no call
            goes on for longer than the attempt in flight.
        max_refused: The share of refusals, from 0 to 1, above which the batch is stopped; it is
            looked at from 20 answers on. Off if left out.
        recorder: A ``Recorder``: is told of each item before it is sent and after.
    """

    on_unknown: OnUnknown | None
    deadline: float | None
    max_refused: float | None
    recorder: Recorder | None


def check_keywords(given: BatchKeywords) -> None:
    """Refuse keywords and numbers that a batch does not take.

    Raises:
        TypeError: There is no such keyword.
        InvalidRequestError: A number breaks its rule.
    """
    if unknown := given.keys() - BatchKeywords.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    _check_number("deadline", given.get("deadline"), most=sys.float_info.max)
    _check_number("max_refused", given.get("max_refused"), most=1)


def _check_number(name: str, value: object, *, most: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and 0 <= value <= most):  # type: ignore[operator]
        raise InvalidRequestError(f"{name} must be a number from 0 to {most:g}, not {value!r}")


@attrs.frozen
class BatchOptions:
    """How a batch is run.

    Attributes:
        concurrency: Most tasks at once.
        ordered: Give results out in input order instead of as they complete.
        deadline: Seconds after which no item is begun any more.
        max_refused: The share of refusals, from 0 to 1, above which the batch is stopped.
        recorder: Is told of each item before and after.
    """

    concurrency: int
    ordered: bool = False
    deadline: float | None = None
    max_refused: float | None = None
    recorder: Recorder | None = None


class _Source:
    """The inputs, numbered, taken one at a time by many workers.

    An input that fails ends the reading like one that is through: the workers finish what they
    have, and ``error`` tells at the end of the batch.
    """

    def __init__(self, inputs: Inputs) -> None:
        self.error: Exception | None = None
        self._is_over = False
        self._taken = 0
        self._next = self._next_of(inputs)

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
            self._is_over, self.error = True, self.error or error
            return None
        self._taken += 1
        return self._taken - 1, item

    def _next_of(self, inputs: Inputs) -> Callable[[], Awaitable[object]]:
        if isinstance(inputs, AsyncIterable):
            return self._next_of_async(aiter(inputs))
        iterator = iter(inputs)

        async def take() -> object:
            for item in iterator:
                return item
            raise StopAsyncIteration

        return take

    def _next_of_async(self, iterator: AsyncIterator[object]) -> Callable[[], Awaitable[object]]:
        lock = asyncio.Lock()  # an async generator cannot be asked twice at once

        async def take() -> object:
            async with lock:
                if self._is_over:  # it came to its end, or failed, while this one waited
                    raise StopAsyncIteration
                return await self._guarded(iterator)

        return take

    async def _guarded(self, iterator: AsyncIterator[object]) -> object:
        try:
            return await anext(iterator)
        except BaseException:
            self._is_over = True  # before the next in line asks
            raise


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

    def close(self) -> None:
        """Let what waits for predecessors go: there will be none."""
        self._ready.extend(self._early[index] for index in sorted(self._early))
        self._early.clear()

    def rest(self) -> tuple[CallResult, ...]:
        """The results that nobody has taken yet."""
        return tuple(self._ready)

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


# A share says nothing before there are some answers to take it of.
_FEWEST_ANSWERS: Final = 20


class _Brake:
    """Why no further item is sent, once there is a reason."""

    def __init__(self, options: BatchOptions) -> None:
        self._max_refused = options.max_refused
        self._answered = self._refused = 0
        self._cause: NRMError | None = None
        self.deadline: float | None = None
        if options.deadline is not None:
            self.deadline = asyncio.get_running_loop().time() + options.deadline

    def halted(self) -> NRMError | None:
        """The error for an item that may not be sent any more, or ``None``."""
        if self.deadline is not None and asyncio.get_running_loop().time() >= self.deadline:
            self.pull(NotSentError("the deadline of the batch had passed"))
        return None if self._cause is None else BatchStoppedError(self._cause)

    def pull(self, cause: NRMError) -> None:
        """Stop the batch; the first cause stands."""
        self._cause = self._cause or cause

    def look_at(self, result: CallResult) -> None:
        """Stop after what would befall every further item alike."""
        if not result.ok and _is_fatal(result.error):
            self.pull(result.error)
        if self._max_refused is None:
            return
        self._refused += result.outcome is Outcome.REJECTED
        self._answered += result.outcome in (Outcome.REJECTED, Outcome.APPLIED, Outcome.CONFIRMED)
        if self._answered >= _FEWEST_ANSWERS and self._refused > self._max_refused * self._answered:
            self.pull(NRMError(f"{self._refused} of {self._answered} items were refused"))


def _is_fatal(error: NRMError) -> bool:
    if isinstance(error, OutcomeUnknownError):
        return error.status in (302, 303)
    if isinstance(error, NotSentError):
        return error.permanent
    return isinstance(error, AuthenticationError | ConfigurationError)


class _Crew:
    """The workers of one batch, and what they share."""

    def __init__(self, inputs: Inputs, prepare: Prepare, call: Call, options: BatchOptions) -> None:
        self._prepare = prepare
        self._call = call
        self._recorder = options.recorder
        self._source = _Source(inputs)
        self._brake = _Brake(options)
        self.outbox = Outbox(self._source, ordered=options.ordered)

    async def work(self) -> None:
        """Take inputs and hand in results until there are no more."""
        while True:
            await self.outbox.reserve()
            taken = await self._source.take()
            if taken is None:
                return
            flight = Flight(self._brake.deadline, is_patient=True, halted=self._brake.halted)
            await self._handle(*taken, flight)
            if not flight.attempts:
                await asyncio.sleep(0)  # a million bad inputs must not hold up the event loop

    async def _handle(self, index: int, item: object, flight: Flight) -> None:
        """Exactly one result is handed in, however this ends."""
        try:
            action = self._prepare(item)
        except Exception as error:  # noqa: BLE001 - an item never ends a batch, whatever it is
            await self._hand_in(_failed_input(index, item, error))
            return
        try:
            result = await self._carry_out(index, item, action, flight)
        except asyncio.CancelledError:
            await self._hand_in(_failed(index, item, action, flight, _cut_off(flight)))
            raise
        self._brake.look_at(result)
        await self._hand_in(result)

    async def _carry_out(
        self, index: int, item: object, action: Action, flight: Flight
    ) -> CallResult:
        problem = self._brake.halted() or await self._intend(index, action)
        if problem is not None:
            return _failed(index, item, action, flight, problem)
        return await self._call(index, item, action, flight)

    async def _intend(self, index: int, action: Action) -> NRMError | None:
        if self._recorder is None:
            return None
        try:
            await self._recorder.intent(index, action)
        except Exception as error:  # noqa: BLE001 - what is not recorded is not sent
            self._recorder_failed(error)
            return self._brake.halted()
        return None

    async def _hand_in(self, result: CallResult) -> None:
        try:
            if self._recorder is not None:
                await self._recorder.outcome(result)
        except Exception as error:  # noqa: BLE001 - raised at the end; the result stands
            self._recorder_failed(error)
        finally:
            self.outbox.put(result)

    def _recorder_failed(self, error: Exception) -> None:
        self._source.error = self._source.error or error
        self._brake.pull(NRMError(f"the recorder failed: {type(error).__name__}: {error}"))


def _failed_input(index: int, item: object, error: Exception) -> Failed:
    if not isinstance(error, InvalidRequestError):
        error = InvalidRequestError(f"the input cannot be read: {type(error).__name__}: {error}")
    return Failed(index=index, input=item, action=None, outcome=Outcome.NOT_APPLIED, error=error)


def _failed(index: int, item: object, action: Action, flight: Flight, error: NRMError) -> Failed:
    error.at("POST", action.path, flight.attempts, 0.0)
    return Failed(
        index=index,
        input=item,
        action=action,
        outcome=outcome_of(error),
        attempts=flight.attempts,
        error=error,
    )


def _cut_off(flight: Flight) -> NRMError:
    if flight.may_be_applied:
        return OutcomeUnknownError("cancelled after it was sent; the action may have been applied")
    return NotSentError("cancelled before anything was sent")


@asynccontextmanager
async def stream(
    inputs: Inputs, prepare: Prepare, call: Call, options: BatchOptions
) -> AsyncIterator[Outbox]:
    """Run the workers while the caller takes results; stop them when the caller leaves.

    What is in flight then is cancelled and decided; the results stay in the ``Outbox``.
    """
    crew = _Crew(inputs, prepare, call, options)
    workers = [asyncio.create_task(crew.work()) for _ in range(options.concurrency)]
    for worker in workers:
        crew.outbox.expect(worker)
    try:
        yield crew.outbox
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        crew.outbox.close()


async def run(
    inputs: Inputs,
    prepare: Prepare,
    call: Call,
    options: BatchOptions,
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
        async with stream(inputs, prepare, call, options) as outbox:
            async for result in outbox:
                results.append(result)
                await callback(result)
        callback.raise_if_failed()
    except BaseException as error:
        callback.mention(error)
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

    def mention(self, error: BaseException) -> None:
        """Do not let it go under where something else ended the batch."""
        if self._error is not None and self._error is not error:
            error.add_note(f"on_result had failed too: {self._error!r}")


def _report(results: list[CallResult], started: float) -> BatchReport:
    ordered = sorted(results, key=lambda result: result.index)
    return BatchReport(tuple(ordered), elapsed=asyncio.get_running_loop().time() - started)


def _attach(error: BaseException, report: BatchReport) -> None:
    with contextlib.suppress(AttributeError):  # exceptions with slots have no room for it
        error.report = report  # type: ignore[attr-defined]
