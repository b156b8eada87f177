"""What became of each call: one frozen result per input, and a report over many.

::

    result   the outcome of one call: Succeeded or Failed
    report   the results of a batch
    record   a result as one flat row, for files and data frames, and back
    failure  errors as plain data, and back
"""

from nrm_async.results.failure import error_from_plain, plain_error
from nrm_async.results.record import ResultRecord, record_of, result_of
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
    "ResultRecord",
    "Succeeded",
    "conclude",
    "error_from_plain",
    "outcome_of",
    "plain_error",
    "record_of",
    "result_of",
]
