"""What a batch that was cut off did not begin: results that say so, and how to go on."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import attrs

from nrm_async import (
    BatchReport,
    BatchStoppedError,
    Failed,
    NRMError,
    Outcome,
)
from nrm_async.cli.queue import Input, Queue
from nrm_async.cli.show import complain, counted
from nrm_async.files import BadInput

# Seconds: a program that pipes a list has it written by then, and nobody waits long after Ctrl-C.
_PATIENCE: Final = 2.0


@attrs.define
class Leftover:
    """The inputs that were not begun, each as a result that is safe to run again.

    Attributes:
        reason: What cut the batch off, where nobody knows of it otherwise.
        results: A result for each input, in order.
        is_whole: Whether these are all of them for certain; standard input may be open still, or
            what writes it have been interrupted too.
    """

    reason: str | None
    results: list[Failed] = attrs.field(factory=list)
    is_whole: bool = False

    async def take(self, queue: Queue, first: int) -> None:
        """Take all that is left in the queue; ``first`` is the index of the next input."""
        left: list[Input] = []
        try:
            is_whole = await queue.drain(left, _PATIENCE)
        finally:  # what is known is kept, even if somebody has no patience at all
            with undisturbed():
                self.results = [self._result(at, item) for at, item in enumerate(left, first)]
        self.is_whole = is_whole

    def after(self, report: BatchReport) -> BatchReport:
        """The report with these results behind its own."""
        return BatchReport((*report, *self.results), report.elapsed)

    def tell(self, report: BatchReport) -> None:
        """Say how many there are, and whether there may be more than the whole report has."""
        complain(f"{self.reason}: {counted(len(self.results))} not begun; the report has them")
        if not self.is_whole:
            complain(
                f"the end of the input was not seen for certain: the report has "
                f"{counted(len(report))}, and no further ones"
            )

    def _result(self, index: int, item: Input) -> Failed:
        action = None if isinstance(item, BadInput) else item
        return Failed(
            index=index,
            input=item,
            action=action,
            outcome=Outcome.NOT_APPLIED,
            error=self._error(item),
        )

    def _error(self, item: Input) -> NRMError:
        if isinstance(item, BadInput):
            return item.error
        return BatchStoppedError(NRMError(self.reason or "")).at("POST", item.path, 0, 0.0)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A second Ctrl-C must not take away the report that makes the first one harmless."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
