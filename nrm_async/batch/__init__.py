"""Fan-out: workers on one lazily read input, one result for each of its items.

Inputs come in from an iterable or async iterable; each becomes an action, the action goes to a
``call`` that raises nothing but cancellation, and its result goes to an ``Outbox``, from which
the caller takes results in input order or as they complete. At most ``concurrency`` tasks are
alive, and at most ``READ_AHEAD`` inputs are read ahead of the results taken.

Every input that was taken gets exactly one result: bad ones, those that come after the batch
was stopped, and those that cancellation cuts off in the middle.

::

    watch     tells of the batch while it runs
    options   what a batch is told: inputs, recorder, deadline
    source    the inputs, numbered, taken one at a time
    outbox    results on their way to the caller
    brake     why no further item is sent, once there is a reason
    crew      the workers, from an input to its result
    run       a batch from beginning to end
"""

from nrm_async.batch.options import (
    READ_AHEAD,
    BatchKeywords,
    BatchOptions,
    Call,
    Inputs,
    OnResult,
    Prepare,
    Recorder,
    check_keywords,
)
from nrm_async.batch.outbox import Outbox
from nrm_async.batch.run import run, stream
from nrm_async.batch.watch import Watch

__all__ = [
    "READ_AHEAD",
    "BatchKeywords",
    "BatchOptions",
    "Call",
    "Inputs",
    "OnResult",
    "Outbox",
    "Prepare",
    "Recorder",
    "Watch",
    "check_keywords",
    "run",
    "stream",
]
