"""What became of each call: one frozen result per input, and a report over many.

::

    result   the outcome of one call: Succeeded or Failed
    report   the results of a batch
    record   a result as one flat row, for files and data frames, and back
    failure  errors as plain data, and back

The last two serve files and data frames; they are loaded when one of their names is asked for.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

from nrm_async.results.report import BatchReport
from nrm_async.results.result import (
    CallResult,
    Failed,
    Outcome,
    Succeeded,
    conclude,
    outcome_of,
)

if TYPE_CHECKING:
    from nrm_async.results.failure import error_from_plain, plain_error
    from nrm_async.results.record import ResultRecord, record_of, result_of

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

_LATER: Final = {
    "ResultRecord": "record",
    "error_from_plain": "failure",
    "plain_error": "failure",
    "record_of": "record",
    "result_of": "record",
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_LATER[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LATER})
