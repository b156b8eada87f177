"""What became of each call: one frozen result per input, and a report over many.

A result never says more than is known: whether an action was applied is an ``Outcome``, and
``UNKNOWN`` is one of them.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final, Literal, TypeAlias, overload

import attrs

from nrm_async.actions import Action
from nrm_async.errors import (
    AuthenticationError,
    BatchError,
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

__all__ = ["BatchReport", "CallResult", "Failed", "Outcome", "Succeeded", "outcome_of"]


class Outcome(StrEnum):
    """What became of an action."""

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


@attrs.frozen(kw_only=True)
class _Result:
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


@attrs.frozen(kw_only=True)
class Succeeded(_Result):
    """The action was applied: ``APPLIED`` or ``CONFIRMED``.

    Attributes:
        receipt: What the API said.
    """

    ok: ClassVar[Literal[True]] = True
    receipt: Receipt


@attrs.frozen(kw_only=True)
class Failed(_Result):
    """The action was ``REJECTED``, ``NOT_APPLIED``, or its outcome is ``UNKNOWN``.

    Attributes:
        error: Why, with everything that was seen.
    """

    ok: ClassVar[Literal[False]] = False
    error: NRMError


CallResult: TypeAlias = Succeeded | Failed


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
        return Succeeded(
            index=index,
            input=item,
            action=action,
            outcome=Outcome.CONFIRMED if value.confirmed else Outcome.APPLIED,
            attempts=attempts,
            elapsed=elapsed,
            receipt=value,
        )
    return Failed(
        index=index,
        input=item,
        action=action,
        outcome=outcome_of(value),
        attempts=attempts,
        elapsed=elapsed,
        error=value,
    )


@attrs.frozen
class BatchReport(Sequence[CallResult]):
    """The results of a batch, one for each input, in input order.

    Attributes:
        results: The results.
        elapsed: Seconds from the first input to the last result.

    Example:
        >>> report = BatchReport(())
        >>> len(report), report.counts[Outcome.APPLIED]
        (0, 0)
    """

    results: tuple[CallResult, ...]
    elapsed: float = 0.0

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {outcome}" for outcome, count in self.counts.items() if count)
        return f"<BatchReport of {len(self)}: {counts or 'nothing'}>"

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[CallResult]:
        return iter(self.results)

    @overload
    def __getitem__(self, index: int) -> CallResult: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[CallResult, ...]: ...
    def __getitem__(self, index: int | slice) -> CallResult | tuple[CallResult, ...]:
        return self.results[index]

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many results there are of each outcome; every outcome is a key."""
        tally = Counter(result.outcome for result in self.results)
        return MappingProxyType({outcome: tally[outcome] for outcome in Outcome})

    @property
    def ok(self) -> bool:
        """Whether every action was applied."""
        return all(result.ok for result in self.results)

    @property
    def succeeded(self) -> tuple[Succeeded, ...]:
        """The results of the actions that were applied."""
        return tuple(result for result in self.results if result.ok)

    @property
    def failed(self) -> tuple[Failed, ...]:
        """All other results."""
        return tuple(result for result in self.results if not result.ok)

    def by_outcome(self, outcome: Outcome) -> tuple[CallResult, ...]:
        """The results with this outcome, in input order."""
        return tuple(result for result in self.results if result.outcome is outcome)

    @property
    def retryable(self) -> tuple[Failed, ...]:
        """Results whose actions are safe and worth running again: give them to ``run_batch``.

        These are the ``NOT_APPLIED`` ones, without the inputs that break a rule: those would
        break it again.
        """
        return tuple(result for result in self.failed if _is_retryable(result))

    def raise_if_failed(self) -> None:
        """Raise a ``BatchError`` with all failed results, if there are any."""
        if failed := self.failed:
            raise BatchError(
                f"{len(failed)} of {len(self)} actions did not succeed; "
                f"the first: {failed[0].ani}: {failed[0].error}",
                failed,
            )


def _is_retryable(result: Failed) -> bool:
    return result.outcome is Outcome.NOT_APPLIED and not isinstance(
        result.error, InvalidRequestError
    )
