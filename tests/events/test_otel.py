"""The OpenTelemetry observer: spans and their parents, metrics, and no private data."""

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry import baggage, context, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from nrm_async import NRMError, Pause, RejectedError, Remediate
from nrm_async._wire import Request
from nrm_async.otel import OpenTelemetryObserver
from tests.events.conftest import ANI, OTHER
from tests.fakes import (
    FakeAPI,
    Fate,
    first,
    forever,
    numbers,
    on_virtual_time,
    open_client,
    settled,
)


class Telemetry:
    """Providers that keep spans and metrics in memory."""

    def __init__(self) -> None:
        self._exporter, self._reader = InMemorySpanExporter(), InMemoryMetricReader()
        self.tracers = TracerProvider()
        self.tracers.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.meters = MeterProvider([self._reader])
        self.tracer = self.tracers.get_tracer("test")
        self.observer = OpenTelemetryObserver(self.tracers, self.meters)

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Spans that have ended."""
        return self._exporter.get_finished_spans()

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def points(self) -> dict[str, list[Any]]:
        data = self._reader.get_metrics_data()
        assert data is not None
        return {
            metric.name: list(metric.data.data_points)
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        }

    def counted(self, name: str) -> dict[frozenset[tuple[str, Any]], int]:
        return {frozenset(point.attributes.items()): point.value for point in self.points()[name]}


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    telemetry = Telemetry()
    yield telemetry
    telemetry.meters.shutdown()
    telemetry.tracers.shutdown()


def is_child(span: ReadableSpan, parent: ReadableSpan) -> bool:
    return span.parent is not None and span.parent.span_id == parent.context.span_id


async def test_a_call_is_a_span(api: FakeAPI, telemetry: Telemetry) -> None:
    """It is internal, and a child of the caller's span, which is current again afterwards."""
    async with open_client(api, on_event=telemetry.observer) as nrm:
        with telemetry.tracer.start_as_current_span("caller") as caller:
            await nrm.pause(ANI)
            assert trace.get_current_span() is caller
    (span,), (parent,) = telemetry.named("nrm pause"), telemetry.named("caller")
    assert is_child(span, parent)
    assert span.kind is SpanKind.INTERNAL
    assert span.status.status_code is StatusCode.UNSET
    assert span.attributes == {
        "nrm.operation": "pause",
        "nrm.attempts": 1,
        "nrm.outcome": "applied",
    }


async def test_the_span_of_a_call_is_current_while_it_runs(
    api: FakeAPI, telemetry: Telemetry
) -> None:
    """Spans of an HTTP instrumentation are its children, and baggage is kept."""

    async def exchange() -> None:
        assert baggage.get_baggage("tenant") == "blue"
        with telemetry.tracer.start_as_current_span("POST"):
            await asyncio.sleep(0)

    api.wait = exchange
    token = context.attach(baggage.set_baggage("tenant", "blue"))
    async with open_client(api, on_event=telemetry.observer) as nrm:
        await nrm.pause_many([ANI])
    context.detach(token)
    (span,) = telemetry.named("nrm pause")
    assert len(telemetry.named("POST")) == 3
    assert all(is_child(inner, span) for inner in telemetry.named("POST"))


async def test_concurrent_calls(telemetry: Telemetry) -> None:
    """Each of fifty callers' spans has its own call as a child, with that call's requests."""
    anis = numbers(50)
    api = FakeAPI(active=dict.fromkeys(anis, True), fate=first(*[Fate.NOT_SENT] * 20))

    async def exchange() -> None:
        with telemetry.tracer.start_as_current_span("POST"):
            await asyncio.sleep(0)

    api.wait = exchange
    async with open_client(api, on_event=telemetry.observer, max_concurrency=50) as nrm:

        async def call(ani: str) -> None:
            with telemetry.tracer.start_as_current_span(ani) as own:
                await nrm.pause(ani)
                assert trace.get_current_span() is own

        await asyncio.gather(*map(call, anis))
    for ani in anis:
        (caller,) = telemetry.named(ani)
        (span,) = [span for span in telemetry.named("nrm pause") if is_child(span, caller)]
        inner = [post for post in telemetry.named("POST") if is_child(post, span)]
        retries = [event for event in span.events if event.name == "nrm.retry"]
        assert len(inner) == 3 + len(retries)
        assert span.attributes is not None
        assert span.attributes["nrm.attempts"] == 1 + len(retries)
    assert sum(len(span.events) for span in telemetry.named("nrm pause")) == 20


async def test_a_batch_is_the_parent_of_its_calls(api: FakeAPI, telemetry: Telemetry) -> None:
    """Its span is not made current; bad inputs are counted, but have no spans."""
    async with open_client(api, on_event=telemetry.observer) as nrm:
        with telemetry.tracer.start_as_current_span("caller") as caller:
            async with nrm.stream_batch([Pause(ANI), Remediate(OTHER), "bad"]) as results:  # type: ignore[list-item]
                assert trace.get_current_span() is caller
                assert len([result async for result in results]) == 3
    (batch,), (parent,) = telemetry.named("nrm batch"), telemetry.named("caller")
    assert is_child(batch, parent)
    calls = telemetry.named("nrm pause") + telemetry.named("nrm remediate")
    assert len(calls) == 2
    assert all(is_child(call, batch) for call in calls)
    assert {(call.attributes or {})["nrm.batch.index"] for call in calls} == {0, 1}
    assert batch.attributes is not None
    assert batch.attributes["nrm.batch.total"] == 3
    assert batch.attributes["nrm.batch.applied"] == 2
    assert batch.attributes["nrm.batch.not_applied"] == 1


async def test_concurrent_batches(telemetry: Telemetry) -> None:
    """Batches of two clients with one observer each are the parents of their own calls."""
    anis = numbers(20)
    api = FakeAPI(active=dict.fromkeys(anis, True))
    async with (
        open_client(api, on_event=telemetry.observer) as one,
        open_client(api, on_event=telemetry.observer) as two,
    ):
        await asyncio.gather(one.pause_many(anis[:5]), two.pause_many(anis[5:]))
    sizes = [
        sum(is_child(call, batch) for call in telemetry.named("nrm pause"))
        for batch in telemetry.named("nrm batch")
    ]
    assert sorted(sizes) == [5, 15]


async def test_a_batch_left_early_ends_its_spans(api: FakeAPI, telemetry: Telemetry) -> None:
    """Its calls are cancelled, which is no error."""
    api.wait = forever
    async with open_client(api, on_event=telemetry.observer) as nrm:
        async with nrm.stream_batch([Pause(ANI), Pause(OTHER)]):
            await settled()
            assert not telemetry.named("nrm pause")
            assert not telemetry.named("nrm batch")
    assert [span.name for span in telemetry.spans] == ["nrm pause", "nrm pause", "nrm batch"]
    for span in telemetry.named("nrm pause"):
        assert (span.attributes or {})["nrm.cancelled"] is True
        assert span.status.status_code is StatusCode.UNSET


async def test_a_cancelled_call_ends_its_span(api: FakeAPI, telemetry: Telemetry) -> None:
    """The span has the outcome, and both span and metric are marked as cancelled."""
    api.wait = forever
    async with open_client(api, on_event=telemetry.observer) as nrm:
        task = asyncio.create_task(nrm.pause(ANI))
        await settled()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    span = telemetry.named("nrm pause")[0]
    assert telemetry.spans == (span,)
    known = {"nrm.operation": "pause", "nrm.outcome": "not_applied", "nrm.cancelled": True}
    assert span.attributes == {**known, "nrm.attempts": 1}
    assert telemetry.counted("nrm.client.calls") == {frozenset(known.items()): 1}


async def test_errors_have_a_type_and_no_message(api: FakeAPI, telemetry: Telemetry) -> None:
    """The status is an error; neither number, nor note, nor the API's message is exported."""
    async with open_client(api, on_event=telemetry.observer) as nrm:
        await nrm.pause(ANI, note="a private note")
        with pytest.raises(RejectedError):
            await nrm.pause(ANI, note="a private note")
        await nrm.pause_many([ANI, "nonsense 5551234"], note="a private note")
    refused = telemetry.named("nrm pause")[1]
    assert refused.status.status_code is StatusCode.ERROR
    assert refused.status.description is None
    assert refused.attributes is not None
    assert refused.attributes["error.type"] == "nrm_async.errors.RejectedError"
    assert refused.attributes["http.response.status_code"] == 200
    exported = [span.to_json() for span in telemetry.spans] + [repr(telemetry.points())]
    for text in exported:
        for private in (ANI, "5551234", "a private note", "not in that state"):
            assert private not in text


async def test_metrics_add_up(api: FakeAPI, telemetry: Telemetry) -> None:
    """Calls and durations by operation and outcome, retries, items and pages agree."""
    api.fate = first(Fate.NOT_SENT)
    async with open_client(api, on_event=telemetry.observer) as nrm:
        await nrm.pause(ANI)
        await nrm.pause_many([OTHER, "nonsense"])
        await nrm.list_anis(number=ANI)
        with pytest.raises(NRMError):
            await nrm.pause(ANI)
    pause, kind = ("nrm.operation", "pause"), "error.type"
    rejected = "nrm_async.errors.RejectedError"
    expected = {
        frozenset({pause, ("nrm.outcome", "applied")}): 2,
        frozenset({pause, ("nrm.outcome", "rejected"), (kind, rejected)}): 1,
        frozenset({("nrm.operation", "anis")}): 1,
    }
    assert telemetry.counted("nrm.client.calls") == expected
    durations = telemetry.points()["nrm.client.call.duration"]
    assert {frozenset(point.attributes.items()): point.count for point in durations} == expected
    assert telemetry.counted("nrm.client.retries") == {
        frozenset({(kind, "nrm_async.errors.NotSentError")}): 1
    }
    assert telemetry.counted("nrm.client.pages") == {frozenset(): 1}
    assert telemetry.counted("nrm.client.batch.items") == {
        frozenset({("nrm.outcome", "applied")}): 1,
        frozenset(
            {("nrm.outcome", "not_applied"), (kind, "nrm_async.errors.InvalidRequestError")}
        ): 1,
    }


def test_throttling_and_outages_are_span_events(telemetry: Telemetry) -> None:
    """They are events of the calls that noticed them; throttlings are counted."""
    anis = numbers(120)

    def fate(request: Request) -> Fate:
        now = asyncio.get_running_loop().time()
        if 0.05 < now < 0.1:
            return Fate.THROTTLED
        return Fate.NOT_SENT if 1 < now < 60 else Fate.NORMAL

    async def run() -> None:
        api = FakeAPI(active=dict.fromkeys(anis, True), fate=fate, wait=lambda: asyncio.sleep(0.02))
        async with open_client(api, on_event=telemetry.observer) as nrm:
            assert (await nrm.pause_many(anis)).ok

    on_virtual_time(run())
    events = [event for span in telemetry.named("nrm pause") for event in span.events]
    by_name: dict[str, list[Any]] = {}
    for event in events:
        by_name.setdefault(event.name, []).append(event)
    assert {"nrm.retry", "nrm.throttled", "nrm.breaker_opened", "nrm.breaker_closed"} <= set(
        by_name
    )
    assert by_name["nrm.throttled"][0].attributes == {"nrm.status": 429}
    assert len(by_name["nrm.breaker_opened"]) == len(by_name["nrm.breaker_closed"]) == 1
    assert by_name["nrm.breaker_opened"][0].attributes.keys() == {"nrm.failures", "error.type"}
    assert telemetry.counted("nrm.client.throttlings") == {
        frozenset({("http.response.status_code", 429)}): len(by_name["nrm.throttled"])
    }


async def test_nothing_is_left_behind(api: FakeAPI, telemetry: Telemetry) -> None:
    """Spans that have ended are not kept, and the context is restored."""
    before = context.get_current()
    async with open_client(api, on_event=telemetry.observer) as nrm:
        await nrm.inventory(number=ANI)
        await nrm.pause_many([ANI, ANI])
    spans = telemetry.observer._spans
    assert (spans._calls, spans._batches) == ({}, {})
    assert context.get_current() == before


async def test_global_providers(api: FakeAPI) -> None:
    """They are the default, and do nothing if not set up."""
    async with open_client(api, on_event=OpenTelemetryObserver()) as nrm:
        assert (await nrm.pause_many([ANI, OTHER])).ok


def test_import_without_opentelemetry() -> None:
    """The error names the extra to install."""
    code = "import sys; sys.modules['opentelemetry'] = None; import nrm_async.otel"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "ImportError: nrm_async.otel needs OpenTelemetry, the extra 'otel'" in done.stderr
