"""What became of each call: one frozen result per input, and a report over many.

::

    result   the outcome of one call: Succeeded or Failed
    report   the results of a batch
    record   a result as one flat row, for files and data frames, and back
    failure  errors as plain data, and back

The last two serve files and data frames, and are imported by those alone.
"""

from nrm_async.results.report import BatchReport
from nrm_async.results.result import (
    CallResult,
    Failed,
    Outcome,
    Succeeded,
    conclude,
    outcome_of,
)

__all__ = [
    "BatchReport",
    "CallResult",
    "Failed",
    "Outcome",
    "Succeeded",
    "conclude",
    "outcome_of",
]
