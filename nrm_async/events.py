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

An observer is called in the event loop, in the task of the call that the event is about, so it
must be quick. What it raises is logged and otherwise ignored: it never changes an outcome.
"""

import logging
from collections.abc import Callable, Mapping
from typing import ClassVar, Final, TypeAlias

import attrs

from nrm_async.errors import NRMError
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
    "PageRead",
    "RetryScheduled",
    "Throttled",
]

logger: Final = logging.getLogger("nrm_async")
logger.addHandler(logging.NullHandler())  # what is shown is for the application to decide


@attrs.frozen(kw_only=True)
class Event:
    """Something a client did or learnt.

    Attributes:
        level: How much it matters, as a level of ``logging``.
    """

    level: ClassVar[int] = logging.DEBUG


@attrs.frozen(kw_only=True)
class CallStarted(Event):
    """A call begins; it may have to wait before anything is sent.

    Attributes:
        call: Number of the call, from 1, for this client.
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


@attrs.frozen(kw_only=True)
class CallFinished(Event):
    """A call is over.

    Attributes:
        call: The number that ``CallStarted`` gave.
        method: HTTP method.
        path: Path below the base URL.
        outcome: What became of an action; ``None`` for a read.
        error: What it ended in; ``None`` if all went well, or if it was cancelled.
        attempts: How often a request was handed to the network.
        elapsed: Seconds from the beginning, waiting and confirming included.
        is_cancelled: Whether its caller did not wait for the end.
    """

    call: int
    method: str
    path: str
    outcome: Outcome | None = None
    error: NRMError | None = None
    attempts: int
    elapsed: float
    is_cancelled: bool = False


@attrs.frozen(kw_only=True)
class RetryScheduled(Event):
    """A request failed in a way that allows for sending it again.

    Attributes:
        call: Number of the call; 0 for a request that no call asked for.
        attempt: Which attempt failed, from 1.
        delay: Seconds until it waits for a place again.
        error: What the attempt ended in.
    """

    call: int
    attempt: int
    delay: float
    error: NRMError


@attrs.frozen(kw_only=True)
class Throttled(Event):
    """The server asked for fewer requests; told once for the answers of one round trip.

    Attributes:
        status: 429, or 503 with a ``Retry-After``.
        retry_after: Seconds that it asked to wait, or ``None``.
    """

    level: ClassVar[int] = logging.INFO

    status: int
    retry_after: float | None


@attrs.frozen(kw_only=True)
class LimitsChanged(Event):
    """How much is sent was adapted to refusals.

    Attributes:
        limit: Requests that may be in flight now.
        rate: Requests per second that may start now; ``None`` where they are not spaced.
    """

    level: ClassVar[int] = logging.INFO

    limit: int
    rate: float | None


@attrs.frozen(kw_only=True)
class BreakerOpened(Event):
    """The API does not answer any more: actions wait, and a read asks whether it is back.

    Attributes:
        failures: Failures in a row.
        error: The last of them, if it is known.
    """

    level: ClassVar[int] = logging.WARNING

    failures: int
    error: NRMError | None


@attrs.frozen(kw_only=True)
class BreakerClosed(Event):
    """The API is back.

    Attributes:
        elapsed: Seconds that it was down for, as seen from here.
    """

    level: ClassVar[int] = logging.WARNING

    elapsed: float


@attrs.frozen(kw_only=True)
class BatchStarted(Event):
    """A batch begins.

    Attributes:
        batch: Number of the batch, from 1, for this client.
        total: How many inputs it has; ``None`` where they do not tell.
    """

    level: ClassVar[int] = logging.INFO

    batch: int
    total: int | None


@attrs.frozen(kw_only=True)
class ItemFinished(Event):
    """An input of a batch is decided: every one of them is, whatever becomes of it.

    Attributes:
        batch: The number that ``BatchStarted`` gave.
        result: What became of it.
    """

    batch: int
    result: CallResult


@attrs.frozen(kw_only=True)
class BatchFinished(Event):
    """A batch is over: all inputs are decided, or it ended early.

    Attributes:
        batch: The number that ``BatchStarted`` gave.
        counts: How many results there are of each outcome; every outcome is a key.
        elapsed: Seconds from the beginning.
    """

    level: ClassVar[int] = logging.INFO

    batch: int
    counts: Mapping[Outcome, int]
    elapsed: float


@attrs.frozen(kw_only=True)
class PageRead(Event):
    """A page of a listing was decoded and is given out.

    Attributes:
        page: Which page, from 1.
        rows: Rows on it.
        total_anis: Rows in the inventory, says the server.
    """

    page: int
    rows: int
    total_anis: int | None


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
        """Log it, and tell the observer."""
        if logger.isEnabledFor(event.level):
            _log(event)
        if self._observer is None:
            return
        try:
            self._observer(event)
        except Exception:
            logger.exception("on_event raised; the call goes on", extra={"nrm_event": _name(event)})


def _name(event: Event) -> str:
    return type(event).__name__


def _log(event: Event) -> None:
    """One record, its fields as ``extra`` under names of their own."""
    fields = attrs.asdict(event, recurse=False)
    extra = {f"nrm_{name}": _loggable(value) for name, value in fields.items()}
    words = " ".join(f"{name}={_loggable(value)}" for name, value in fields.items())
    logger.log(event.level, "%s %s", _name(event), words, extra={"nrm_event": _name(event)} | extra)


def _loggable(value: object) -> object:
    """What a structured log can take: numbers and texts stay, the rest is put into words."""
    if isinstance(value, Mapping):
        return {str(key): count for key, count in value.items() if count}
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)
