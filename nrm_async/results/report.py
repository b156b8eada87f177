"""Batch report: the results of a batch as one value."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import attrs

from nrm_async._values import FrozenMapping, Value
from nrm_async.errors import BatchError, InvalidRequestError
from nrm_async.results.result import CallResult, Failed, Outcome, Succeeded


@attrs.frozen(eq=False, repr=False)
class BatchReport(Value, Sequence[CallResult]):
    """The results of a batch, one per input, in input order.

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
        """Number of results per outcome; every outcome is a key."""
        counter = Counter(result.outcome for result in self.results)
        return FrozenMapping({outcome: counter[outcome] for outcome in Outcome})

    @property
    def ok(self) -> bool:
        """Whether every action was applied."""
        return all(result.ok for result in self.results)

    @property
    def succeeded(self) -> tuple[Succeeded, ...]:
        """Results of the actions that were applied."""
        return tuple(result for result in self.results if result.ok)

    @property
    def failed(self) -> tuple[Failed, ...]:
        """Results of all other inputs."""
        return tuple(result for result in self.results if not result.ok)

    def by_outcome(self, outcome: Outcome) -> tuple[CallResult, ...]:
        """Return the results with this outcome, in input order."""
        return tuple(result for result in self.results if result.outcome is outcome)

    @property
    def retryable(self) -> tuple[Failed, ...]:
        """Failed results that are safe to pass to ``run_batch`` again.

        These are the ``NOT_APPLIED`` results, except for invalid inputs, which would fail again.
        """
        return tuple(
            result
            for result in self.failed
            if result.outcome is Outcome.NOT_APPLIED
            and not isinstance(result.error, InvalidRequestError)
        )

    def raise_if_failed(self) -> None:
        """Raise ``BatchError`` with all failed results, if there are any."""
        if failed := self.failed:
            raise BatchError(
                f"{len(failed)} of {len(self)} actions did not succeed; "
                f"the first: {failed[0].ani}: {failed[0].error}",
                failed,
            )

    def to_arrow(self) -> Any:
        """Return the results as a ``pyarrow.Table``, which polars and pandas can load.

        The table has one row per result and one column per field of ``ResultRecord``. The column
        ``details`` contains JSON.

        Raises:
            ConfigurationError: The extra ``parquet`` is not installed.

        Example:
            >>> BatchReport(()).to_arrow().column_names[:3]
            ['index', 'ani', 'action']
        """
        from nrm_async._arrow import to_table  # noqa: PLC0415 - saves 1 ms of import time
        from nrm_async.results.record import ResultRecord, to_record  # noqa: PLC0415 - likewise

        return to_table(ResultRecord, map(to_record, self.results))
