"""Action results: one frozen result per input, and a report on a batch.

::

    result  the result of one action: Succeeded or Failed
    report  the results of a batch
    record  conversion of results to flat rows and errors to plain data, and back

Files, data frames and the command-line tool use ``record``. It is not imported with the package.
"""

from nrm_async.results.report import BatchReport
from nrm_async.results.result import (
    CallResult,
    Failed,
    Outcome,
    Succeeded,
    make_result,
    outcome_of,
)

__all__ = [
    "BatchReport",
    "CallResult",
    "Failed",
    "Outcome",
    "Succeeded",
    "make_result",
    "outcome_of",
]
