"""What became of one call: one frozen result per input.

A result never says more than is known: whether an action was applied is an ``Outcome``, and
``UNKNOWN`` is one of them.
"""

from enum import StrEnum
from typing import ClassVar, Final, Literal, TypeAlias

import attrs

from nrm_async._values import Value, settable
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
    """What became of an action."""

    # An enum's own hash is that of the member's name, so that a dict by outcomes could not be
    # asked by their text, though the two are equal; and it is Python, for each result.
    __hash__ = str.__hash__

    APPLIED = "applied"
    """The API said so: 2xx, JSON, the status of this action, this number."""

    CONFIRMED = "confirmed"
    """The answer was lost; reading the number back shows the state asked for."""

    REJECTED = "rejected"
    """The API refused it."""

    NOT_APPLIED = "not_applied"
    """Provably nothing happened: never sent, throttled to the end, or never started."""

    UNKNOWN = "unknown"
    """It may have been applied; the error says what was seen."""


# Errors that prove that nothing happened; no other error does.
_PROOFS: Final = (
    AuthenticationError,
    BatchStoppedError,
    ClientStateError,
    ConfigurationError,
    InvalidRequestError,
    NotSentError,
    RateLimitError,
)


def outcome_of(error: NRMError) -> Outcome:
    """The outcome of an action that ended in this error."""
    if error.maybe_applied:
        return Outcome.UNKNOWN
    if isinstance(error, RejectedError):
        return Outcome.REJECTED
    return Outcome.NOT_APPLIED if isinstance(error, _PROOFS) else Outcome.UNKNOWN


@attrs.frozen(kw_only=True, eq=False, repr=False)
class _Result(Value):
    """What every result carries.

    Attributes:
        index: Position of the input in its batch, from 0.
        input: What the caller gave, untouched.
        action: The checked action, or ``None`` where the input could not become one.
        outcome: What became of it.
        attempts: How many times it was sent or tried; 0 if never.
        elapsed: Seconds over all attempts and the waits between them.
    """

    index: int
    input: object = attrs.field(repr=False)
    action: Action | None
    outcome: Outcome
    attempts: int = 0
    elapsed: float = 0.0

    @property
    def ani(self) -> str:
        """The number: normalised, or as it was given where it is no valid number."""
        if self.action is not None:
            return self.action.ani
        try:
            return str(getattr(self.input, "phone", self.input))
        except Exception:  # noqa: BLE001 - inputs are a stranger's, and this goes into messages
            return f"<{type(self.input).__name__}>"


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Succeeded(_Result):
    """The action was applied: ``APPLIED`` or ``CONFIRMED``.

    Attributes:
        receipt: What the API said.
    """

    ok: ClassVar[Literal[True]] = True
    receipt: Receipt


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Failed(_Result):
    """The action was ``REJECTED``, ``NOT_APPLIED``, or its outcome is ``UNKNOWN``.

    Attributes:
        error: Why, with everything that was seen.
    """

    ok: ClassVar[Literal[False]] = False
    error: NRMError


CallResult: TypeAlias = Succeeded | Failed

_Settable: Final = settable(Succeeded)


def conclude(
    index: int,
    item: object,
    action: Action,
    value: Receipt | NRMError,
    attempts: int,
    elapsed: float,
) -> CallResult:
    """The result of an action that was answered with this receipt, or ended in this error."""
    if isinstance(value, Receipt):
        made = object.__new__(_Settable)
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
