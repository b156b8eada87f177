"""What became of each number: a table for people, or lines for programs."""

import sys
from collections.abc import AsyncIterator
from typing import Any, Final

import attrs
from rich.console import Console

from nrm_async import BatchReport, CallResult, Failed, Succeeded
from nrm_async.cli.inputs import ActionName, words
from nrm_async.cli.queue import Input, Queue
from nrm_async.cli.show import Cell, Column, counted, json_line, line, table

_OPTIONS: Final = ("carrier", "note", "date")  # what --retry needs to send it as it was
_COLUMNS: Final = (Column("ANI", 10), Column("Outcome", 11), Column("Status or error"))


@attrs.define
class Output:
    """Where results go; when its reader has gone, no further number is begun."""

    is_closed: bool = attrs.field(default=False, init=False)

    async def until_closed(self, queue: Queue) -> AsyncIterator[Input]:
        """The inputs, as long as somebody reads."""
        async for item in queue:
            if self.is_closed:
                queue.give_back(item)
                return
            yield item


@attrs.define
class Shown(Output):
    """Results for people: a table in the order of the input, and the sum of it."""

    screen: Console = attrs.field()

    def take(self, result: CallResult) -> None:
        """Nothing yet: a table is drawn at the end."""

    def end(self, report: BatchReport) -> None:
        """Draw it."""
        table(self.screen, _COLUMNS, (_cells(result) for result in report))
        line(self.screen, summary(report))


@attrs.define
class Lines(Output):
    """Results for programs: a line for each as it comes, so an interruption loses none."""

    name: ActionName = attrs.field()
    _written: set[int] = attrs.field(factory=set, init=False)

    def take(self, result: CallResult) -> None:
        """Write its line."""
        try:
            json_line(_plain(result, self.name))
            sys.stdout.flush()
        except OSError:
            self.is_closed = True
            raise
        self._written.add(result.index)

    def end(self, report: BatchReport) -> None:
        """Write the lines that are not written yet, if somebody reads them."""
        for result in report:
            if result.index not in self._written and not self.is_closed:
                self.take(result)


def summary(report: BatchReport) -> str:
    """The sum of a report, in one line."""
    counts = ", ".join(
        f"{count:,} {words(outcome)}" for outcome, count in report.counts.items() if count
    )
    return f"{counted(len(report))} in {report.elapsed:.2f} s: {counts or 'nothing to do'}"


def _cells(result: CallResult) -> tuple[Cell, ...]:
    said = result.receipt.status if result.ok else result.error.message
    return result.ani, words(result.outcome), said


def _plain(result: CallResult, name: ActionName) -> dict[str, Any]:
    return {
        "index": result.index,
        "ani": result.ani,
        "action": name,
        **{option: getattr(result.action, option, None) for option in _OPTIONS},
        "outcome": result.outcome.value,
        "ok": result.ok,
        "attempts": result.attempts,
        "elapsed": round(result.elapsed, 4),
        **(_success(result) if result.ok else _failure(result)),
    }


def _success(result: Succeeded) -> dict[str, Any]:
    return {
        "status": result.receipt.status,
        "error": None,
        "error_type": None,
        "request_id": result.receipt.request_id,
    }


def _failure(result: Failed) -> dict[str, Any]:
    return {
        "status": None,
        "error": result.error.message,
        "error_type": type(result.error).__name__,
        "request_id": getattr(result.error, "request_id", None),
    }
