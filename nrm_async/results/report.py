"""The results of a batch, as one value."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, overload

import attrs

from nrm_async._values import Value
from nrm_async.errors import BatchError, InvalidRequestError
from nrm_async.results.result import CallResult, Failed, Outcome, Succeeded


@attrs.frozen(eq=False, repr=False)
class BatchReport(Value, Sequence[CallResult]):
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

    def to_arrow(self) -> Any:
        """The results as a ``pyarrow.Table``, for polars, pandas and the like.

        A row for each result, with the columns of ``ResultRecord``: what was asked for, the
        outcome, the error's class and words, attempts and seconds. Its details are JSON.

        Raises:
            ConfigurationError: The extra ``parquet`` is not installed.

        Example:
            >>> BatchReport(()).to_arrow().column_names[:3]
            ['index', 'ani', 'action']
        """
        from nrm_async._tables.arrow import table  # noqa: PLC0415 - a ms of the import
        from nrm_async.results.record import ResultRecord, record_of  # noqa: PLC0415 - and this

        return table(ResultRecord, map(record_of, self.results))


def _is_retryable(result: Failed) -> bool:
    return result.outcome is Outcome.NOT_APPLIED and not isinstance(
        result.error, InvalidRequestError
    )
