"""Typed client events, for observers and for logging.

Progress displays, counters and tracing consume these events. Events are frozen values. They
contain no API key, no request or response body, and no object of the HTTP library.

::

    CallStarted, CallFinished                   an action, or a page request
    RetryScheduled                              a request will be sent again
    Throttled, LimitsChanged                    the server throttles the client; limits adapt
    BreakerOpened, BreakerClosed                the API is down; the API has recovered
    BatchStarted, ItemFinished, BatchFinished   a batch, and each of its inputs
    PageRead                                    a page of a listing, in page order

An observer is a plain function. It is called in the event loop, in the task of the call that
caused the event, so it must return quickly and leave slow work to another task. An exception
raised by an observer is logged and never changes an outcome. Several clients may share an
observer.

Each event is also logged as one record of the logger ``nrm_async``. For structured logging, the
record has the attribute ``nrm_event``, which is the event name, and one attribute per field, named
``nrm_`` followed by the field name. Call, item and page events are logged at level DEBUG, client
and batch events at INFO, and the beginning and end of an outage at WARNING.
"""

import asyncio
import contextlib
import inspect
import logging
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, TypeAlias

import attrs

from nrm_async._values import Value
from nrm_async.errors import ConfigurationError, NRMError
from nrm_async.results import CallResult, Outcome

__all__ = [
    "BatchFinished",
    "BatchStarted",
    "BreakerClosed",
    "BreakerOpened",
    "CallFinished",
    "CallStarted",
    "Event",
    "ItemFinished",
    "LimitsChanged",
    "Observer",
    "PageRead",
    "RetryScheduled",
    "Throttled",
]

logger: Final = logging.getLogger("nrm_async")
logger.addHandler(logging.NullHandler())  # the application decides what to show


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Event(Value):
    """Base class of all events.

    Attributes:
        level: Level of the log record.
    """

    level: ClassVar[int] = logging.DEBUG

    def fields(self) -> Mapping[str, object]:
        """Return the fields as a flat mapping, suitable for a log or a table."""
        return attrs.asdict(self, recurse=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CallStarted(Event):
    """A call has started; it may have to wait before its request is sent.

    Attributes:
        call: Call number, unique in this process.
        method: HTTP method.
        path: Path relative to the base URL, such as ``/pause``.
        batch: Number of the batch that contains the call, or ``None``.
        index: Position of the input in the batch, or ``None``.
    """

    call: int
    method: str
    path: str
    batch: int | None = None
    index: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CallFinished(Event):
    """A call has finished; emitted once for each ``CallStarted``, in the same task.

    Attributes:
        call: Call number, as in ``CallStarted``.
        method: HTTP method.
        path: Path relative to the base URL.
        outcome: Outcome of an action, even if it was cancelled; ``None`` for a read.
        error: The error raised; ``None`` if the call succeeded or was cancelled. Errors in
            decoding a page are reported by ``PageRead`` instead.
        attempts: Requests passed to the network, excluding reads that confirm an action.
        elapsed: Seconds since ``CallStarted``, including waiting and confirming.
        is_cancelled: Whether the call was cancelled.
    """

    call: int
    method: str
    path: str
    outcome: Outcome | None = None
    error: Exception | None = None
    attempts: int
    elapsed: float
    is_cancelled: bool = False


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RetryScheduled(Event):
    """A request failed and will be sent again.

    Attributes:
        call: Call number, as in ``CallStarted``.
        attempt: Number of the failed attempt, from 1; restarts at 1 after a read has shown that
            an action was not applied.
        delay: Seconds until the next attempt requests admission.
        error: The error of the failed attempt.
    """

    call: int
    attempt: int
    delay: float
    error: NRMError


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Throttled(Event):
    """The server throttled the client; emitted once for all such responses in a round trip.

    Attributes:
        status: 429, 503 with a ``Retry-After``, or a 403 page of a firewall.
        retry_after: Seconds to wait as requested by the server, or ``None``.
    """

    level: ClassVar[int] = logging.INFO

    status: int
    retry_after: float | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LimitsChanged(Event):
    """The limits were adapted after refusals; growth emits no event.

    Attributes:
        limit: Current limit on requests in flight.
        rate: Current limit on requests per second; ``None`` for no limit.
    """

    level: ClassVar[int] = logging.INFO

    limit: int
    rate: float | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BreakerOpened(Event):
    """The API has stopped responding: batches wait, and reads probe for its recovery.

    Attributes:
        failures: Number of consecutive failures.
        error: The last error, if known.
    """

    level: ClassVar[int] = logging.WARNING

    failures: int
    error: NRMError | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BreakerClosed(Event):
    """The API is responding again.

    Attributes:
        elapsed: Seconds since ``BreakerOpened``.
    """

    level: ClassVar[int] = logging.WARNING

    elapsed: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BatchStarted(Event):
    """A batch has started.

    Attributes:
        batch: Batch number, unique in this process.
        total: Number of inputs; ``None`` if unknown.
    """

    level: ClassVar[int] = logging.INFO

    batch: int
    total: int | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ItemFinished(Event):
    """A batch item has finished; also emitted for invalid inputs and failures.

    Attributes:
        batch: Batch number, as in ``BatchStarted``.
        result: The result of the item.
    """

    batch: int
    result: CallResult

    def fields(self) -> Mapping[str, object]:
        """Return the batch number and the main fields of the result as a flat mapping."""
        result = self.result
        return {
            "batch": self.batch,
            "index": result.index,
            "ani": result.ani,
            "outcome": result.outcome,
            "attempts": result.attempts,
            "elapsed": result.elapsed,
            "error": None if result.ok else result.error,
        }


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BatchFinished(Event):
    """A batch has finished: every input has a result, or the caller stopped early.

    Attributes:
        batch: Batch number, as in ``BatchStarted``.
        counts: Number of results per outcome; every outcome is a key.
        elapsed: Seconds since ``BatchStarted``.
    """

    level: ClassVar[int] = logging.INFO

    batch: int
    counts: Mapping[Outcome, int]
    elapsed: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PageRead(Event):
    """A page was decoded or failed to decode; emitted in page order within a listing.

    Attributes:
        call: Number of the call that fetched the page.
        page: Page number, from 1.
        rows: Rows on the page, including malformed ones; 0 if there is an ``error``.
        total_anis: Rows in the inventory, as reported by the server.
        error: The decoding error, or ``None``.
    """

    call: int
    page: int
    rows: int = 0
    total_anis: int | None = None
    error: NRMError | None = None


Observer: TypeAlias = Callable[[Event], object]


class Events:
    """Event dispatcher for the log and an optional observer."""

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer

    @property
    def is_wanted(self) -> bool:
        """Whether call events have a recipient; millions are not created needlessly."""
        return self._observer is not None or logger.isEnabledFor(logging.DEBUG)

    def emit(self, event: Event) -> None:
        """Log an event and pass it to the observer, suppressing exceptions from both."""
        if logger.isEnabledFor(event.level):
            with contextlib.suppress(Exception):  # raised by a log handler or filter
                _log(event)
        if self._observer is not None:
            _notify(self._observer, event)


def check_observer(on_event: Observer | None) -> Observer | None:
    """Return the observer after checking that it is callable and not async.

    Raises:
        ConfigurationError: The observer is not callable, or is an async function.
    """
    if on_event is None:
        return None
    if not callable(on_event):
        raise ConfigurationError(f"on_event must be callable, not {type(on_event).__name__}")
    call = getattr(on_event, "__call__", None)  # noqa: B004 - ``__call__`` may be async
    if inspect.iscoroutinefunction(on_event) or inspect.iscoroutinefunction(call):
        raise ConfigurationError(
            "on_event must be a plain function, because an async function would not be awaited; "
            "to process events asynchronously, put them into a queue"
        )
    return on_event


def _notify(observer: Observer, event: Event) -> None:
    try:
        returned = observer(event)
    # Nothing is awaited here, so a ``CancelledError`` does not mean that the task was cancelled.
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - raised by application code, and logged
        _log_misuse("on_event raised an exception, which is ignored", event, exc_info=True)
        return
    if inspect.iscoroutine(returned):
        returned.close()
        _log_misuse("on_event returned a coroutine, which is not awaited", event, exc_info=False)


def _log_misuse(message: str, event: Event, *, exc_info: bool) -> None:
    with contextlib.suppress(Exception):
        logger.error(message, exc_info=exc_info, extra={"nrm_event": type(event).__name__})


def _log(event: Event) -> None:
    name = type(event).__name__
    fields = {key: _loggable(value) for key, value in event.fields().items()}
    text = " ".join(f"{key}={value}" for key, value in fields.items())
    extra = {f"nrm_{key}": value for key, value in fields.items()}
    logger.log(event.level, "%s %s", name, text, extra={"nrm_event": name} | extra)


def _loggable(value: object) -> object:
    """Return numbers and mappings unchanged, and anything else as text."""
    if isinstance(value, Mapping):
        return {str(key): _loggable(part) for key, part in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
