"""What a client does, told while it happens: typed events for an observer and for the log.

Whatever shows progress, counts or traces is a consumer of these events. They are frozen values;
they carry no key, no body and no object of the HTTP library.

::

    CallStarted, CallFinished                   a page that is read, an action that is carried out
    RetryScheduled                              a request will be sent again
    Throttled, LimitsChanged                    the server asks for fewer, and what came of it
    BreakerOpened, BreakerClosed                the API is down, and back
    BatchStarted, ItemFinished, BatchFinished   a batch, and each of its inputs
    PageRead                                    a page of a listing, in page order

An observer is a plain function, called in the event loop, in the task of the call that the event
is about: it must be quick, and hand on what takes time. What it raises is logged and otherwise
ignored: it never changes an outcome. One observer may serve many clients.

In the log, under the name ``nrm_async``, each event is one record. Its attributes ``nrm_event``
and ``nrm_`` with the name of each field are there for structured logging. What happens to single
calls is told at level DEBUG, what happens to the client and to batches at INFO, that the API is
down, and that it is back, at WARNING.
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
logger.addHandler(logging.NullHandler())  # what is shown is for the application to decide


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Event(Value):
    """Something a client did or learnt.

    Attributes:
        level: How much it matters, as a level of ``logging``.
    """

    level: ClassVar[int] = logging.DEBUG

    def fields(self) -> Mapping[str, object]:
        """What it tells, flat, as a log or a table wants it."""
        return attrs.asdict(self, recurse=False)


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CallStarted(Event):
    """A call begins; it may have to wait before anything is sent.

    Attributes:
        call: Number of the call; no other in this process has it.
        method: HTTP method.
        path: Path below the base URL, such as ``/pause``.
        batch: Number of the batch that it is an item of, or ``None``.
        index: Position of the item in its batch, or ``None``.
    """

    call: int
    method: str
    path: str
    batch: int | None = None
    index: int | None = None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CallFinished(Event):
    """A call is over; each ``CallStarted`` is followed by one, in the same task.

    Attributes:
        call: The number that ``CallStarted`` gave.
        method: HTTP method.
        path: Path below the base URL.
        outcome: What became of an action, of one that was cancelled too; ``None`` for a read.
        error: What it ended in; ``None`` if all went well, or if it was cancelled. Of a page
            that was answered, ``PageRead`` tells whether it can be read.
        attempts: How often the request was handed to the network; without the reads that
            confirm an action.
        elapsed: Seconds since ``CallStarted``, waiting and confirming included.
        is_cancelled: Whether its caller did not wait for the end.
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
    """A request failed in a way that allows for sending it again.

    Attributes:
        call: Number of the call.
        attempt: Which attempt failed, from 1; from 1 again where an action is resent because
            reading back showed that it was not applied.
        delay: Seconds until it waits for a place again.
        error: What the attempt ended in.
    """

    call: int
    attempt: int
    delay: float
    error: NRMError


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Throttled(Event):
    """The server asked for fewer requests; told once for the answers of one round trip.

    Attributes:
        status: 429, or 503 with a ``Retry-After``.
        retry_after: Seconds that it asked to wait, or ``None``.
    """

    level: ClassVar[int] = logging.INFO

    status: int
    retry_after: float | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LimitsChanged(Event):
    """How much is sent was adapted to refusals; growth is not told.

    Attributes:
        limit: Requests that may be in flight now.
        rate: Requests per second that may start now; ``None`` where they are not spaced.
    """

    level: ClassVar[int] = logging.INFO

    limit: int
    rate: float | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BreakerOpened(Event):
    """The API does not answer any more: actions wait, and a read asks whether it is back.

    Attributes:
        failures: Failures in a row.
        error: The last of them, if it is known.
    """

    level: ClassVar[int] = logging.WARNING

    failures: int
    error: NRMError | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BreakerClosed(Event):
    """The API is back.

    Attributes:
        elapsed: Seconds that it was down for, as seen from here.
    """

    level: ClassVar[int] = logging.WARNING

    elapsed: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BatchStarted(Event):
    """A batch begins.

    Attributes:
        batch: Number of the batch; no other in this process has it.
        total: How many inputs it has; ``None`` where they do not tell.
    """

    level: ClassVar[int] = logging.INFO

    batch: int
    total: int | None


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ItemFinished(Event):
    """An input of a batch is decided: every one of them is, whatever becomes of it.

    Attributes:
        batch: The number that ``BatchStarted`` gave.
        result: What became of it.
    """

    batch: int
    result: CallResult

    def fields(self) -> Mapping[str, object]:
        """What it tells, flat, as a log or a table wants it."""
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
    """A batch is over: all inputs are decided, or it was left early.

    Attributes:
        batch: The number that ``BatchStarted`` gave.
        counts: How many results there are of each outcome; every outcome is a key.
        elapsed: Seconds since ``BatchStarted``.
    """

    level: ClassVar[int] = logging.INFO

    batch: int
    counts: Mapping[Outcome, int]
    elapsed: float


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PageRead(Event):
    """A page was decoded; those of one listing are told in page order.

    Attributes:
        call: Number of the call that fetched it.
        page: Which page, from 1.
        rows: Rows on it, malformed ones too.
        total_anis: Rows in the inventory, says the server.
        error: Why it cannot be read, if that is so; then it has no rows.
    """

    call: int
    page: int
    rows: int = 0
    total_anis: int | None = None
    error: NRMError | None = None


Observer: TypeAlias = Callable[[Event], object]


class Events:
    """Where events go: to the log, and to the observer if there is one."""

    def __init__(self, observer: Observer | None = None) -> None:
        self._observer = observer

    @property
    def is_wanted(self) -> bool:
        """Whether anybody looks at the events of single calls, of which there may be millions."""
        return self._observer is not None or logger.isEnabledFor(logging.DEBUG)

    def emit(self, event: Event) -> None:
        """Log it, and tell the observer. Nothing that either raises gets out."""
        if logger.isEnabledFor(event.level):
            with contextlib.suppress(Exception):  # a handler or a filter of the caller's
                _log(event)
        if self._observer is not None:
            _tell(self._observer, event)


def check_observer(on_event: Observer | None) -> Observer | None:
    """Refuse what cannot be called, or would have to be awaited.

    Raises:
        ConfigurationError: It is no plain function.
    """
    if on_event is None:
        return None
    if not callable(on_event):
        raise ConfigurationError(f"on_event must be callable, not {type(on_event).__name__}")
    call = getattr(on_event, "__call__", None)  # noqa: B004 - an object may have an async one
    if inspect.iscoroutinefunction(on_event) or inspect.iscoroutinefunction(call):
        raise ConfigurationError(
            "on_event must be a plain function, not an async one: nobody would await it; "
            "let it put events into a queue"
        )
    return on_event


def _tell(observer: Observer, event: Event) -> None:
    try:
        answer = observer(event)
    # No task is cancelled here, where nothing is awaited: it would pass for the caller's wish.
    except (Exception, asyncio.CancelledError):  # noqa: BLE001 - a stranger's code; it is logged
        _complain("on_event raised; the call goes on", event, exc_info=True)
        return
    if inspect.iscoroutine(answer):
        answer.close()
        _complain("on_event returned a coroutine, which nobody awaits", event, exc_info=False)


def _complain(words: str, event: Event, *, exc_info: bool) -> None:
    with contextlib.suppress(Exception):
        logger.error(words, exc_info=exc_info, extra={"nrm_event": type(event).__name__})


def _log(event: Event) -> None:
    """One record, its fields as ``extra`` under names of their own."""
    name = type(event).__name__
    fields = {key: _loggable(value) for key, value in event.fields().items()}
    words = " ".join(f"{key}={value}" for key, value in fields.items())
    extra = {f"nrm_{key}": value for key, value in fields.items()}
    logger.log(event.level, "%s %s", name, words, extra={"nrm_event": name} | extra)


def _loggable(value: object) -> object:
    """What a structured log can take: numbers and texts stay, the rest is put into words."""
    if isinstance(value, Mapping):
        return {str(key): _loggable(part) for key, part in value.items()}
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
