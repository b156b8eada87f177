"""Tells of a batch while it runs: its beginning, each of its items, and its end."""

import asyncio
from collections import Counter
from types import MappingProxyType

from nrm_async.events import BatchFinished, BatchStarted, Events, ItemFinished
from nrm_async.results import CallResult, Outcome


class Watch:
    """Counts what becomes of the items of one batch, and tells the observer.

    Args:
        number: Number of the batch.
        events: Where its events go.
        overall: Counts over all batches.
    """

    def __init__(
        self,
        number: int = 0,
        events: Events | None = None,
        overall: Counter[Outcome] | None = None,
    ) -> None:
        self.number = number
        self._events = events or Events()
        self._overall = Counter[Outcome]() if overall is None else overall
        self._outcomes: Counter[Outcome] = Counter()
        self._began_at = 0.0

    def begin(self, inputs: object) -> None:
        """The batch begins."""
        self._began_at = asyncio.get_running_loop().time()
        self._events.emit(BatchStarted(batch=self.number, total=_size_of(inputs)))

    def item(self, result: CallResult) -> None:
        """An input is decided."""
        self._outcomes[result.outcome] += 1
        self._overall[result.outcome] += 1
        if self._events.is_wanted:
            self._events.emit(ItemFinished(batch=self.number, result=result))

    def end(self) -> None:
        """The batch is over."""
        counts = {outcome: self._outcomes[outcome] for outcome in Outcome}
        elapsed = asyncio.get_running_loop().time() - self._began_at
        self._events.emit(
            BatchFinished(batch=self.number, counts=MappingProxyType(counts), elapsed=elapsed)
        )


def _size_of(inputs: object) -> int | None:
    try:
        return len(inputs)  # type: ignore[arg-type]
    except Exception:  # noqa: BLE001 - the inputs are a stranger's, and need not have a length
        return None
