"""Why no further item is sent, once there is a reason."""

import asyncio
from typing import Final

from nrm_async.batch.options import BatchOptions
from nrm_async.errors import (
    AuthenticationError,
    BatchStoppedError,
    ConfigurationError,
    NotSentError,
    NRMError,
    OutcomeUnknownError,
    RateLimitError,
)
from nrm_async.results import CallResult, Outcome

# A share says nothing before there are some answers to take it of.
_FEWEST_ANSWERS: Final = 20


class Brake:
    """Why no further item is sent, once there is a reason."""

    def __init__(self, options: BatchOptions) -> None:
        self._max_refused = options.max_refused
        self._longest_wait = options.longest_wait
        self._answered = self._refused = 0
        self._cause: NRMError | None = None
        self.deadline: float | None = None
        if options.deadline is not None:
            self.deadline = asyncio.get_running_loop().time() + options.deadline

    def halted(self) -> NRMError | None:
        """The error for an item that may not be sent any more, or ``None``."""
        if self.deadline is not None and asyncio.get_running_loop().time() >= self.deadline:
            self.pull(NotSentError("the deadline of the batch had passed"))
        return None if self._cause is None else BatchStoppedError(self._cause)

    def pull(self, cause: NRMError) -> None:
        """Stop the batch; the first cause stands."""
        self._cause = self._cause or cause

    def look_at(self, result: CallResult) -> None:
        """Stop after what would befall every further item alike."""
        if not result.ok and self._is_fatal(result.error):
            self.pull(result.error)
        if self._max_refused is None:
            return
        self._refused += result.outcome is Outcome.REJECTED
        self._answered += result.outcome in (Outcome.REJECTED, Outcome.APPLIED, Outcome.CONFIRMED)
        if self._answered >= _FEWEST_ANSWERS and self._refused > self._max_refused * self._answered:
            self.pull(NRMError(f"{self._refused} of {self._answered} items were refused"))

    def _is_fatal(self, error: NRMError) -> bool:
        if isinstance(error, OutcomeUnknownError):
            return error.status in (302, 303)
        if isinstance(error, NotSentError):
            return error.permanent
        if isinstance(error, RateLimitError):  # it is not asked once more for every item
            return (error.retry_after or 0.0) > self._longest_wait
        return isinstance(error, AuthenticationError | ConfigurationError)
