"""Emit call events and count outcomes, at almost no cost without an observer."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import attrs

from nrm_async._context import CallContext
from nrm_async._engine.runtime import Runtime
from nrm_async.errors import NRMError
from nrm_async.events import CallFinished, CallStarted, PageRead
from nrm_async.models import AniPage
from nrm_async.results import CallResult, Outcome

T = TypeVar("T")


@attrs.frozen(eq=False, repr=False)
class Span:
    """A call in progress, from its ``CallStarted`` to its ``CallFinished``."""

    event: CallStarted
    started: float


class Instrumentation:
    """Emitter of call events, which also counts outcomes."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._events = runtime.events

    async def trace_read(self, work: Coroutine[Any, Any, T], path: str, context: CallContext) -> T:
        """Run a read and emit its start and finish events, unless the read is internal."""
        if context.is_internal:
            return await work
        span = self._start("GET", path, context, None)
        try:
            value = await work
        except (Exception, asyncio.CancelledError) as error:
            self._finish(span, context, None, error)
            raise
        self._finish(span, context, None, None)
        return value

    def page_read(self, page_number: int, page: AniPage | NRMError, context: CallContext) -> None:
        """Emit ``PageRead``, unless the page was fetched to read a number back."""
        if context.is_internal or not self._events.is_wanted:
            return
        if isinstance(page, NRMError):
            event = PageRead(call=context.call, page=page_number, error=page)
        else:
            rows = len(page.data) + len(page.malformed)
            event = PageRead(
                call=context.call, page=page_number, rows=rows, total_anis=page.total_anis
            )
        self._events.emit(event)

    def start_action(self, path: str, context: CallContext, index: int) -> Span | None:
        """Emit ``CallStarted``, and return the span to finish."""
        return self._start("POST", path, context, None if context.batch is None else index)

    def finish_action(self, span: Span | None, context: CallContext, result: CallResult) -> None:
        """Count the outcome and emit ``CallFinished``."""
        self._finish(span, context, result.outcome, None if result.ok else result.error)

    def action_cancelled(
        self, span: Span | None, context: CallContext, error: BaseException
    ) -> None:
        """Count the outcome of a cancelled action and emit ``CallFinished``."""
        outcome = Outcome.UNKNOWN if context.maybe_applied else Outcome.NOT_APPLIED
        self._finish(span, context, outcome, error)

    def _start(
        self, method: str, path: str, context: CallContext, index: int | None
    ) -> Span | None:
        if not self._events.is_wanted:
            return None
        context.call = self._runtime.next_call()
        event = CallStarted(
            call=context.call, method=method, path=path, batch=context.batch, index=index
        )
        self._events.emit(event)
        return Span(event, asyncio.get_running_loop().time())

    def _finish(
        self,
        span: Span | None,
        context: CallContext,
        outcome: Outcome | None,
        error: BaseException | None,
    ) -> None:
        if outcome is not None and context.batch is None:  # a batch counts its own items
            self._runtime.counters.outcomes[outcome] += 1
        if span is None:
            return
        self._events.emit(
            CallFinished(
                call=span.event.call,
                method=span.event.method,
                path=span.event.path,
                outcome=outcome,
                error=error if isinstance(error, Exception) else None,
                attempts=context.attempts,
                elapsed=asyncio.get_running_loop().time() - span.started,
                is_cancelled=isinstance(error, asyncio.CancelledError),
            )
        )
