"""Types of a batch: inputs, callbacks, options and progress."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeAlias, TypedDict

import attrs

from nrm_async._context import CallContext
from nrm_async._validation import check_number
from nrm_async._values import FrozenMapping
from nrm_async.actions import Action
from nrm_async.config import OnUnknown, RetryPolicy
from nrm_async.events import BatchFinished, BatchStarted, Events, ItemFinished
from nrm_async.results import CallResult, Outcome

Inputs: TypeAlias = Iterable[object] | AsyncIterable[object]
ToAction: TypeAlias = Callable[[object], Action]
Call: TypeAlias = Callable[[int, object, Action, CallContext], Awaitable[CallResult]]
OnResult: TypeAlias = Callable[[CallResult], object]

# Bounds memory use, regardless of the input length and the consumer's speed.
READ_AHEAD: Final = 1_000


class Recorder(Protocol):
    """Protocol for recording each batch item, before it is sent and after it is decided.

    Implement it to keep a durable journal. Both methods are awaited. If one of them raises, no
    further item is sent, and the error is raised at the end of the batch.
    """

    async def intent(self, index: int, action: Action) -> None:
        """Record that the action is about to be sent; nothing has been sent yet."""

    async def outcome(self, result: CallResult) -> None:
        """Record the result of an item. The outcome of an intent without a result is unknown."""


class BatchKeywords(TypedDict, total=False):
    """Optional keywords of the batch methods.

    Attributes:
        on_unknown: What to do if a response is lost, as in single calls: ``"confirm"`` or
            ``"report"``.
        deadline: Seconds for the whole batch. After the deadline, no item starts, and each call
            ends with its attempt in flight. A recorder is still awaited.
        max_refused: Share of refusals, from 0 to 1, above which the batch stops; checked from
            the 20th response on. ``None`` disables the check.
        recorder: A ``Recorder`` to call before each item is sent and after its outcome is
            decided.
    """

    on_unknown: OnUnknown | None
    deadline: float | None
    max_refused: float | None
    recorder: Recorder | None


class BatchProgress:
    """Counter of the results of one batch, which also emits the batch events.

    Args:
        number: Batch number.
        events: Emitter of the events.
        overall: Outcome counts of all batches, which are updated too.
    """

    def __init__(
        self,
        number: int = 0,
        events: Events | None = None,
        overall: Counter[Outcome] | None = None,
    ) -> None:
        self.number = number
        self._events = events or Events()
        self._overall = Counter[Outcome]() if overall is None else overall
        self._outcomes: Counter[Outcome] = Counter()
        self._started_at = 0.0

    def start(self, inputs: object) -> None:
        """Emit ``BatchStarted``."""
        self._started_at = asyncio.get_running_loop().time()
        try:
            total = len(inputs)  # type: ignore[arg-type]
        except Exception:  # noqa: BLE001 - untrusted code; the length is optional
            total = None
        self._events.emit(BatchStarted(batch=self.number, total=total))

    def add(self, result: CallResult) -> None:
        """Count a result and emit ``ItemFinished``."""
        self._outcomes[result.outcome] += 1
        self._overall[result.outcome] += 1
        if self._events.is_wanted:
            self._events.emit(ItemFinished(batch=self.number, result=result))

    def finish(self) -> None:
        """Emit ``BatchFinished``."""
        counts = {outcome: self._outcomes[outcome] for outcome in Outcome}
        elapsed = asyncio.get_running_loop().time() - self._started_at
        self._events.emit(
            BatchFinished(batch=self.number, counts=FrozenMapping(counts), elapsed=elapsed)
        )


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BatchOptions:
    """Options of one batch.

    Attributes:
        concurrency: Maximum number of items in progress.
        ordered: Return results in input order instead of as they complete.
        deadline: Seconds after which no item starts.
        max_refused: Share of refusals, from 0 to 1, above which the batch stops.
        recorder: Called before each item is sent and after its outcome is decided.
        retry: Retry policy of the client; a longer ``Retry-After`` than it allows stops the
            batch.
        progress: Counter of the results, which also emits the batch events.

    Raises:
        InvalidRequestError: ``deadline`` or ``max_refused`` is out of range.
    """

    concurrency: int
    ordered: bool = False
    deadline: float | None = None
    max_refused: float | None = None
    recorder: Recorder | None = None
    retry: RetryPolicy = attrs.field(factory=RetryPolicy)
    progress: BatchProgress = attrs.field(factory=BatchProgress)

    def __attrs_post_init__(self) -> None:
        if self.deadline is not None:
            check_number("deadline", self.deadline, least=0)
        if self.max_refused is not None:
            check_number("max_refused", self.max_refused, least=0, most=1)
