"""OpenTelemetry spans and metrics for clients; requires the extra ``otel``.

::

    span           covers                                  parent
    nrm pause …    a call, including waiting and retries   its batch, else the caller's span
    nrm batch      a batch, from its start to its end      the caller's span

A call span is the current span while the call runs, so request spans created by an aiohttp
instrumentation become its children, and their attributes are not repeated here. Retries,
throttling, limit changes and outages are recorded as events of the call span in which they were
detected.

::

    metric                      kind       unit          attributes
    nrm.client.calls            counter    {call}        nrm.operation, nrm.outcome, error.type
    nrm.client.call.duration    histogram  s             the same
    nrm.client.retries          counter    {retry}       error.type
    nrm.client.throttlings      counter    {throttling}  http.response.status_code
    nrm.client.pages            counter    {page}        error.type
    nrm.client.batch.items      counter    {item}        nrm.outcome, error.type

``nrm.operation`` is ``pause``, ``activate``, ``remediate`` or ``anis``. A cancelled call has the
attribute ``nrm.cancelled`` and is not recorded as an error. Spans and metrics do not contain phone
numbers, notes or API messages.

Source: the OpenTelemetry semantic conventions, "Recording errors" and "Metrics", for names,
units and ``error.type``.
"""

from collections.abc import Mapping
from contextvars import Token
from typing import Final, TypeAlias

import attrs

try:
    from opentelemetry import context, metrics, trace
    from opentelemetry.context import Context
    from opentelemetry.metrics import MeterProvider
    from opentelemetry.trace import Span, StatusCode, TracerProvider
except ImportError as error:
    raise ImportError(
        "nrm_async.otel needs OpenTelemetry, the extra 'otel': pip install 'nrm-async[otel]'"
    ) from error

from nrm_async._version import __version__
from nrm_async.events import (
    BatchFinished,
    BatchStarted,
    BreakerClosed,
    BreakerOpened,
    CallFinished,
    CallStarted,
    Event,
    ItemFinished,
    LimitsChanged,
    PageRead,
    RetryScheduled,
    Throttled,
)

__all__ = ["OpenTelemetryObserver"]

_Attributes: TypeAlias = dict[str, str | bool | int | float]
_SpanEvent: TypeAlias = RetryScheduled | Throttled | LimitsChanged | BreakerOpened | BreakerClosed

_NAME: Final = "nrm_async"
_CALL: Final = context.create_key("nrm-call")  # the span of the current call

# Bucket boundaries: those recommended by the conventions for HTTP, and longer ones, because a call
# includes waiting for admission and retries.
_SECONDS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 30.0, 60.0, 300.0),
)


class OpenTelemetryObserver:
    """Observer that records spans and metrics; several clients may share it.

    Args:
        tracer_provider: The tracer provider; ``None`` for the global one.
        meter_provider: The meter provider; ``None`` for the global one.

    Example:
        >>> from nrm_async import NRMClient
        >>> from nrm_async.otel import OpenTelemetryObserver
        >>> NRMClient("key", on_event=OpenTelemetryObserver()).state.value
        'unopened'
    """

    def __init__(
        self,
        tracer_provider: TracerProvider | None = None,
        meter_provider: MeterProvider | None = None,
    ) -> None:
        self._spans = _Spans(tracer_provider)
        self._metrics = _Metrics(meter_provider)

    def __call__(self, event: Event) -> None:
        """Record an event."""
        try:
            self._metrics.record(event)  # first, so that exemplars refer to the call span
        finally:
            self._spans.record(event)


@attrs.frozen
class _Call:
    """A call in progress.

    Attributes:
        span: The call span.
        token: Token that restores the context from before the call.
    """

    span: Span
    token: Token[Context]


class _Spans:
    """Spans for calls and batches in progress."""

    def __init__(self, provider: TracerProvider | None) -> None:
        self._tracer = trace.get_tracer(_NAME, __version__, provider)
        self._calls: dict[int, _Call] = {}
        self._batches: dict[int, Span] = {}

    def record(self, event: Event) -> None:
        match event:
            case CallStarted():
                self._begin_call(event)
            case CallFinished():
                self._end_call(event)
            case BatchStarted():
                self._begin_batch(event)
            case BatchFinished():
                self._end_batch(event)
            case (
                RetryScheduled() | Throttled() | LimitsChanged() | BreakerOpened() | BreakerClosed()
            ):
                _add_span_event(event)

    def _begin_call(self, event: CallStarted) -> None:
        batch = None if event.batch is None else self._batches.get(event.batch)
        parent = context.get_current() if batch is None else trace.set_span_in_context(batch)
        attributes: _Attributes = {"nrm.operation": _operation(event)}
        if event.index is not None:
            attributes["nrm.batch.index"] = event.index
        span = self._tracer.start_span(
            f"nrm {_operation(event)}", context=parent, attributes=attributes
        )
        # Replace only the span in the caller's context, so that baggage is preserved. The token is
        # still valid at ``CallFinished``, which is emitted in the same task.
        current = context.set_value(_CALL, span, trace.set_span_in_context(span))
        self._calls[event.call] = _Call(span, context.attach(current))

    def _end_call(self, event: CallFinished) -> None:
        call = self._calls.pop(event.call, None)
        if call is None:  # it started before the observer was attached
            return
        context.detach(call.token)
        call.span.set_attributes({"nrm.attempts": event.attempts, **_result(event)})
        if event.error is not None:
            call.span.set_status(StatusCode.ERROR)  # no description: it may contain a phone number
            status = getattr(event.error, "status", None)
            if status is not None:
                call.span.set_attribute("http.response.status_code", status)
        call.span.end()

    def _begin_batch(self, event: BatchStarted) -> None:
        attributes = {} if event.total is None else {"nrm.batch.total": event.total}
        self._batches[event.batch] = self._tracer.start_span("nrm batch", attributes=attributes)

    def _end_batch(self, event: BatchFinished) -> None:
        span = self._batches.pop(event.batch, None)
        if span is None:
            return
        for outcome, count in event.counts.items():
            span.set_attribute(f"nrm.batch.{outcome}", count)
        span.end()


def _add_span_event(event: _SpanEvent) -> None:
    """Add an event to the current call span, if there is one."""
    span = context.get_value(_CALL)
    if isinstance(span, Span) and span.is_recording():
        span.add_event(_SPAN_EVENTS[type(event)], _attributes(event.fields()))


_SPAN_EVENTS: Final[Mapping[type[_SpanEvent], str]] = {
    RetryScheduled: "nrm.retry",
    Throttled: "nrm.throttled",
    LimitsChanged: "nrm.limits_changed",
    BreakerOpened: "nrm.breaker_opened",
    BreakerClosed: "nrm.breaker_closed",
}


class _Metrics:
    """Counters, and a histogram of call durations."""

    def __init__(self, provider: MeterProvider | None) -> None:
        meter = metrics.get_meter(_NAME, __version__, provider)
        self._calls = meter.create_counter("nrm.client.calls", "{call}", "Finished calls.")
        self._duration = meter.create_histogram(
            "nrm.client.call.duration",
            "s",
            "Duration of calls, including waiting and retries.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._retries = meter.create_counter(
            "nrm.client.retries", "{retry}", "Scheduled retries of failed requests."
        )
        self._throttlings = meter.create_counter(
            "nrm.client.throttlings",
            "{throttling}",
            "Throttling by the API, counted once per round trip.",
        )
        self._pages = meter.create_counter("nrm.client.pages", "{page}", "Pages fetched.")
        self._items = meter.create_counter(
            "nrm.client.batch.items", "{item}", "Finished batch items."
        )

    def record(self, event: Event) -> None:
        match event:
            case CallFinished():
                attributes = {"nrm.operation": _operation(event), **_result(event)}
                self._calls.add(1, attributes)
                self._duration.record(event.elapsed, attributes)
            case RetryScheduled() | PageRead():
                counter = self._pages if isinstance(event, PageRead) else self._retries
                counter.add(1, _error(event.error))
            case Throttled():
                self._throttlings.add(1, {"http.response.status_code": event.status})
            case ItemFinished():
                error = None if event.result.ok else event.result.error
                self._items.add(1, {"nrm.outcome": str(event.result.outcome), **_error(error)})


def _operation(event: CallStarted | CallFinished) -> str:
    return event.path.strip("/")


def _result(event: CallFinished) -> _Attributes:
    attributes: _Attributes = _error(event.error)
    if event.outcome is not None:
        attributes["nrm.outcome"] = str(event.outcome)
    if event.is_cancelled:
        attributes["nrm.cancelled"] = True
    return attributes


def _error(error: Exception | None) -> _Attributes:
    if error is None:
        return {}
    kind = type(error)
    return {"error.type": f"{kind.__module__}.{kind.__qualname__}"}


def _attributes(fields: Mapping[str, object]) -> _Attributes:
    """Return the numeric fields and the error type; the span already identifies the call."""
    attributes: _Attributes = {}
    for name, value in fields.items():
        if isinstance(value, Exception):
            attributes |= _error(value)
        elif isinstance(value, int | float) and name != "call":
            attributes[f"nrm.{name}"] = value
    return attributes
