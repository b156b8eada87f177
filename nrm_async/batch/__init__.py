"""Run many actions concurrently, with exactly one result per input.

The inputs are an iterable or async iterable, which is read lazily by several workers. Each input
is converted to an action and executed by a ``Call``, which raises only cancellation. The result is
added to a ``ResultQueue``, which the caller iterates in input order or in completion order. At
most ``concurrency`` tasks run, and at most ``READ_AHEAD`` inputs are read ahead of the consumer.

Every input that is read has exactly one result, including invalid inputs, inputs read after the
batch was stopped, and inputs in flight when the batch is cancelled.

::

    options       types of inputs and callbacks, batch options, progress
    result_queue  queue of results between the workers and the caller
    workers       reading and processing of inputs, and the stop condition
    run           entry points: a stream of results, or a report
"""

from nrm_async.batch.options import (
    READ_AHEAD,
    BatchKeywords,
    BatchOptions,
    BatchProgress,
    Call,
    Inputs,
    OnResult,
    Recorder,
    ToAction,
)
from nrm_async.batch.result_queue import ResultQueue
from nrm_async.batch.run import run, stream

__all__ = [
    "READ_AHEAD",
    "BatchKeywords",
    "BatchOptions",
    "BatchProgress",
    "Call",
    "Inputs",
    "OnResult",
    "Recorder",
    "ResultQueue",
    "ToAction",
    "run",
    "stream",
]
