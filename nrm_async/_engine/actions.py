"""Execute one action: lock its number, send it, resolve a lost response, create the result.

No other action on the same number starts until the first is decided, so a lost response can be
resolved by reading the number back.
"""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, TypeAlias

from nrm_async._context import CallContext
from nrm_async._engine.instrumentation import Instrumentation
from nrm_async._engine.pipeline import RequestPipeline
from nrm_async._engine.reconciler import ReadBack, can_confirm, confirm
from nrm_async._engine.runtime import Runtime, before_deadline
from nrm_async._wire import action_request, read_receipt
from nrm_async.actions import Action, Activate, Remediate, shows_in_status
from nrm_async.config import OnUnknown
from nrm_async.errors import ClientStateError, NRMError, OutcomeUnknownError, RejectedError
from nrm_async.models import Ani, Receipt
from nrm_async.results import CallResult, Outcome, make_result, outcome_of

LookUp: TypeAlias = Callable[[str, Callable[[], CallContext]], Awaitable[Ani | None]]
"""Reads one number; the second argument creates the context of each request."""


class ActionExecutor:
    """Executor that sends actions through the pipeline.

    Attributes:
        started: Number of actions started so far.
    """

    def __init__(
        self,
        runtime: Runtime,
        pipeline: RequestPipeline,
        instrumentation: Instrumentation,
        look_up: LookUp,
    ) -> None:
        self._runtime = runtime
        self._pipeline = pipeline
        self._instrumentation = instrumentation
        self._look_up = look_up
        self._states = StateCache()
        self.started = 0

    async def execute(
        self, index: int, item: object, action: Action, context: CallContext, on_unknown: OnUnknown
    ) -> CallResult:
        """Execute one action and return its result; raise only if cancelled."""
        self.started += 1
        runtime = self._runtime
        span = None
        if runtime.events.is_wanted:
            span = self._instrumentation.start_action(action.path, context, index)
        elapsed = 0.0
        value: Receipt | NRMError
        try:
            runtime.open()
        except ClientStateError as error:
            value = error.with_traceback(None)
        else:
            started = runtime.loop.time()
            try:
                value = await self._locked(item, action, context, on_unknown)
            except (Exception, asyncio.CancelledError) as error:
                self._instrumentation.action_cancelled(span, context, error)
                raise
            elapsed = runtime.loop.time() - started
        if isinstance(value, NRMError):
            value.at("POST", action.path, context.attempts, elapsed)
        result = make_result(index, item, action, value, context.attempts, elapsed)
        if span is not None or context.batch is None:  # a batch counts its own items
            self._instrumentation.finish_action(span, context, result)
        return result

    async def _locked(
        self, item: object, action: Action, context: CallContext, on_unknown: OnUnknown
    ) -> Receipt | NRMError:
        """Send the action while no other action on its number is in progress or unresolved."""
        locks = self._runtime.number_locks
        if not locks.try_acquire(action.ani):
            error = await before_deadline(context.deadline, locks.acquire(action.ani))
            if error is not None:
                return error
        try:
            read = partial(read_receipt, action=action)
            value = await self._pipeline.send(action_request(action), read, context)
            if isinstance(value, NRMError):
                value = await self._resolve_ambiguous(value, item, action, context, on_unknown)
        except asyncio.CancelledError:
            if context.maybe_applied:
                self._states.record(action, OutcomeUnknownError("cancelled"))
            raise
        else:
            self._states.record(action, value)
            return value
        finally:
            locks.release(action.ani)

    async def _resolve_ambiguous(
        self,
        error: NRMError,
        item: object,
        action: Action,
        context: CallContext,
        on_unknown: OnUnknown,
    ) -> Receipt | NRMError:
        """Return the error if the outcome is certain; otherwise read the number back."""
        ambiguous = _as_ambiguous(error, context)
        if ambiguous is None:
            return error
        context.earlier_maybe_applied = True
        if on_unknown == "report" or not can_confirm(action, ambiguous):
            return ambiguous
        refusal = error if isinstance(error, RejectedError) else None
        read_back = ReadBack(
            find=partial(self._read_back, context),
            resend=partial(self._resend, action, context),
            wait=partial(self._wait, context),
            policy=self._runtime.settings.confirm,
            was_active=self._states.was_active(action, item),
        )
        return await confirm(action, ambiguous, refusal, read_back)

    async def _resend(self, action: Action, context: CallContext) -> Receipt | NRMError:
        # This is the last attempt, so a 408, 421 or 425 is not retried.
        request = action_request(action, is_final_attempt=True)
        return await self._pipeline.send(request, partial(read_receipt, action=action), context)

    async def _read_back(self, context: CallContext, ani: str) -> Ani | None:
        confirming = self._runtime.confirming
        error = await before_deadline(context.deadline, confirming.acquire())
        if error is not None:
            raise error

        def make_context() -> CallContext:
            # Internal reads are not retried, because another read follows a failed one anyway.
            return CallContext(
                context.deadline, context.is_bulk, is_internal=True, call=context.call
            )

        try:
            return await self._look_up(ani, make_context)
        finally:
            confirming.release()

    async def _wait(self, context: CallContext, seconds: float) -> bool:
        deadline = context.deadline
        if deadline is not None and self._runtime.loop.time() + seconds >= deadline:
            return False
        return await self._runtime.sleep(seconds)


def _as_ambiguous(error: NRMError, context: CallContext) -> OutcomeUnknownError | None:
    """Return an ``OutcomeUnknownError``, or ``None`` if the outcome is certain."""
    if isinstance(error, OutcomeUnknownError):
        return error
    if outcome_of(error) is Outcome.UNKNOWN:
        message = f"{error.message}; the action may have been applied"
    elif context.earlier_maybe_applied:
        message = f"an earlier attempt may have been applied; then {error.message}"
    else:
        return None
    ambiguous = OutcomeUnknownError(
        message, getattr(error, "status", None), getattr(error, "request_id", None)
    )
    ambiguous.seen = getattr(error, "seen", None)
    return ambiguous


# Large enough for the repeated actions on a number that occur in practice. The cache is bounded,
# because a client may act on a million numbers.
_REMEMBERED: Final = 16_384


class StateCache:
    """Cache of the last state of each number, as implied by the client's own actions."""

    def __init__(self) -> None:
        # Whether the number is active; ``None`` if its last action is ambiguous. The cache has two
        # halves, and the older one is dropped as a whole, because maintaining an LRU order would
        # cost 5 % of the time of a call.
        self._recent: dict[str, bool | None] = {}
        self._older: dict[str, bool | None] = {}

    def record(self, action: Action, value: Receipt | NRMError) -> None:
        """Record the effect of an action, or mark it as ambiguous if it may still take effect."""
        if isinstance(action, Remediate):
            return
        if isinstance(value, NRMError) and not value.maybe_applied:
            return
        # An action with a future date takes effect later, so the state of the number is unknown.
        is_known = isinstance(value, Receipt) and shows_in_status(action)
        if len(self._recent) >= _REMEMBERED // 2:
            self._older, self._recent = self._recent, {}
        self._recent[action.ani] = isinstance(action, Activate) if is_known else None

    def was_active(self, action: Action, item: object) -> bool | None:
        """Return whether the number was active before the action; ``None`` if unknown.

        The client's own last action takes precedence over the row passed by the caller. After an
        ambiguous action, assume that the number is already in the requested state.
        """
        for half in (self._recent, self._older):
            if action.ani in half:
                known = half[action.ani]
                return isinstance(action, Activate) if known is None else known
        if isinstance(item, Ani) and item.status is not None:
            return item.is_active
        return None
