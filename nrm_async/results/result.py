"""Result of one action: a frozen value for each input.

A result never claims more than is known: its ``Outcome`` states whether the action was applied,
and may be ``UNKNOWN``.
"""

from enum import StrEnum
from typing import ClassVar, Final, Literal, TypeAlias

import attrs

from nrm_async._values import Value, mutable_twin
from nrm_async.actions import Action
from nrm_async.errors import (
    AuthenticationError,
    BatchStoppedError,
    ClientStateError,
    ConfigurationError,
    InvalidRequestError,
    NotSentError,
    NRMError,
    RateLimitError,
    RejectedError,
)
from nrm_async.models import Receipt


class Outcome(StrEnum):
    """Whether an action was applied, as far as the client knows."""

    # Enum hashes a member by its name, so a dict keyed by outcomes could not be indexed with their
    # values, although the two compare equal. That hash is also a Python function, and would run
    # for each result.
    __hash__ = str.__hash__

    APPLIED = "applied"
    """The API confirmed it: a 2xx JSON response with the expected status and number."""

    CONFIRMED = "confirmed"
    """The response was lost, but reading the number back shows the requested state, and the client
    knows of no earlier cause."""

    REJECTED = "rejected"
    """The API refused it."""

    NOT_APPLIED = "not_applied"
    """Provably not applied: never sent, throttled on every attempt, or never started."""

    UNKNOWN = "unknown"
    """It may have been applied; the error contains the evidence."""


# The only errors that prove that an action was not applied.
_NOT_APPLIED: Final = (
    AuthenticationError,
    BatchStoppedError,
    ClientStateError,
    ConfigurationError,
    InvalidRequestError,
    NotSentError,
    RateLimitError,
)


def outcome_of(error: NRMError) -> Outcome:
    """Return the outcome of an action that failed with this error."""
    if error.maybe_applied:
        return Outcome.UNKNOWN
    if isinstance(error, RejectedError):
        return Outcome.REJECTED
    return Outcome.NOT_APPLIED if isinstance(error, _NOT_APPLIED) else Outcome.UNKNOWN


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Result(Value):
    """Fields common to all results.

    Attributes:
        index: Position of the input in its batch, from 0.
        input: The input as passed by the caller.
        action: The validated action; ``None`` if the input was invalid.
        outcome: Whether the action was applied.
        attempts: Number of attempts; 0 if none was made.
        elapsed: Seconds for all attempts and the waits between them.
    """

    index: int
    input: object = attrs.field(repr=False)
    action: Action | None
    outcome: Outcome
    attempts: int = 0
    elapsed: float = 0.0

    @property
    def ani(self) -> str:
        """The normalised number, or the original text if it is invalid."""
        if self.action is not None:
            return self.action.ani
        try:
            return str(getattr(self.input, "phone", self.input))
        except Exception:  # noqa: BLE001 - an input may be any object
            return f"<{type(self.input).__name__}>"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Succeeded(_Result):
    """Result of an action with the outcome ``APPLIED`` or ``CONFIRMED``.

    Attributes:
        receipt: The receipt for the action.
    """

    ok: ClassVar[Literal[True]] = True
    receipt: Receipt


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Failed(_Result):
    """Result of an action with the outcome ``REJECTED``, ``NOT_APPLIED`` or ``UNKNOWN``.

    Attributes:
        error: The error, including all evidence.
    """

    ok: ClassVar[Literal[False]] = False
    error: NRMError


CallResult: TypeAlias = Succeeded | Failed

_MutableSucceeded: Final = mutable_twin(Succeeded)


def make_result(
    index: int,
    item: object,
    action: Action,
    value: Receipt | NRMError,
    attempts: int,
    elapsed: float,
) -> CallResult:
    """Create the result of an action from its receipt or error."""
    if isinstance(value, Receipt):
        made = object.__new__(_MutableSucceeded)
        made.index = index
        made.input = item
        made.action = action
        made.outcome = Outcome.CONFIRMED if value.confirmed else Outcome.APPLIED
        made.attempts = attempts
        made.elapsed = elapsed
        made.receipt = value
        made.__class__ = Succeeded
        succeeded: Succeeded = made
        return succeeded
    return Failed(
        index=index,
        input=item,
        action=action,
        outcome=outcome_of(value),
        attempts=attempts,
        elapsed=elapsed,
        error=value,
    )
