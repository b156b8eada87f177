"""Print results and dry runs as tables or as JSON Lines."""

import sys
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from typing import Any, Final

import attrs
from rich.console import Console

from nrm_async import Activate, BatchReport, CallResult, Pause, Remediate
from nrm_async.cli.console import (
    Cell,
    Column,
    pluralize,
    print_json,
    print_line,
    print_table,
    stdout_console,
)
from nrm_async.cli.exit_codes import FAILED, OK
from nrm_async.cli.inputs import ActionName, Input, InputQueue, Inputs, outcome_text
from nrm_async.files import BadInput

_COLUMNS: Final = (Column("ANI", 10), Column("Outcome", 11), Column("Status or error"))

# Limits of a dry run printed as text; --json prints everything.
_MAX_ACTIONS: Final = 5
_MAX_BAD_INPUTS: Final = 20
_DRY_RUN_COLUMNS: Final = (Column("ANI", 10), Column("Carrier"), Column("Date"), Column("Note"))


@attrs.define
class Output(ABC):
    """An output for results; after its reader closes it, no further action is started."""

    is_closed: bool = attrs.field(default=False, init=False)

    @abstractmethod
    def write(self, result: CallResult) -> None:
        """Process a result when its action completes."""

    @abstractmethod
    def finish(self, report: BatchReport) -> None:
        """Print everything that is not yet printed."""

    async def inputs_until_closed(self, queue: InputQueue) -> AsyncIterator[Input]:
        """Yield inputs until the output is closed."""
        async for item in queue:
            if self.is_closed:
                queue.put_back(item)
                return
            yield item


@attrs.define
class TableOutput(Output):
    """An output that prints a table in input order and a line of totals at the end."""

    console: Console = attrs.field()

    def write(self, result: CallResult) -> None:
        """Do nothing: the table is printed at the end."""

    def finish(self, report: BatchReport) -> None:
        """Print the table and the totals."""
        print_table(self.console, _COLUMNS, map(_cells, report))
        print_line(self.console, totals(report))


@attrs.define
class JsonLinesOutput(Output):
    """An output that prints each result as one line when its action completes."""

    name: ActionName = attrs.field()
    _written: set[int] = attrs.field(factory=set, init=False)

    def write(self, result: CallResult) -> None:
        """Print the result as one line."""
        try:
            print_json(_json_fields(result, self.name))
            sys.stdout.flush()
        except OSError:
            self.is_closed = True
            raise
        self._written.add(result.index)

    def finish(self, report: BatchReport) -> None:
        """Print the results that are not yet printed, unless the output is closed."""
        for result in report:
            if result.index not in self._written and not self.is_closed:
                self.write(result)


def totals(report: BatchReport) -> str:
    """Return one line with the number of results and the count for each outcome."""
    counts = ", ".join(
        f"{count:,} {outcome_text(outcome)}" for outcome, count in report.counts.items() if count
    )
    return f"{pluralize(len(report))} in {report.elapsed:.2f} s: {counts or 'nothing to do'}"


def _cells(result: CallResult) -> tuple[Cell, ...]:
    text = result.receipt.status if result.ok else result.error.message
    return result.ani, outcome_text(result.outcome), text


def _json_fields(result: CallResult, name: ActionName) -> dict[str, Any]:
    """Return a result as one flat object.

    Unlike ``ResultRecord`` (used for files), this omits the encoded error details, which makes it
    about twice as fast.
    """
    error = None if result.ok else result.error
    source = result.receipt if result.ok else result.error
    return {
        "index": result.index,
        **_action_fields(result.action, result.ani, name),
        "outcome": result.outcome.value,
        "ok": result.ok,
        "attempts": result.attempts,
        "elapsed": round(result.elapsed, 4),
        "status": result.receipt.status if result.ok else None,
        "error": None if error is None else error.message,
        "error_type": None if error is None else type(error).__name__,
        "request_id": getattr(source, "request_id", None),
    }


def _action_fields(action: object, ani: str, name: ActionName) -> dict[str, Any]:
    """Return the fields that ``--retry`` requires to repeat an action."""
    options = {option: getattr(action, option, None) for option in ("carrier", "note", "date")}
    return {"ani": ani, "action": name, **options}


async def show_dry_run(inputs: Inputs, *, as_json: bool) -> int:
    """Read and check all inputs, print a preview, and return ``FAILED`` if any input is bad."""
    if not as_json:
        preview = _DryRun()
        async for item in inputs.open():
            preview.add(item)
        preview.show(stdout_console(), inputs.name)
        return FAILED if preview.bad_count else OK
    index, code = 0, OK
    async for item in inputs.open():
        ani, error = (
            (item.text, item.error.message) if isinstance(item, BadInput) else (item.ani, None)
        )
        fields = _action_fields(item, ani, inputs.name)
        print_json({"index": index, **fields, "ok": error is None, "error": error})
        index += 1
        code = code if error is None else FAILED
    return code


@attrs.define
class _DryRun:
    """The number of inputs, and a preview of the first ones."""

    count: int = 0
    bad_count: int = 0
    actions: list[Pause | Activate | Remediate] = attrs.field(factory=list)
    bad_inputs: list[BadInput] = attrs.field(factory=list)

    def add(self, item: Input) -> None:
        if isinstance(item, BadInput):
            self.bad_count += 1
            if self.bad_count <= _MAX_BAD_INPUTS:
                self.bad_inputs.append(item)
        else:
            self.count += 1
            if self.count <= _MAX_ACTIONS:
                self.actions.append(item)

    def show(self, console: Console, name: ActionName) -> None:
        rows = ((a.ani, a.carrier, getattr(a, "date", None), a.note) for a in self.actions)
        print_table(console, _DRY_RUN_COLUMNS, rows)
        if more := self.count - len(self.actions):
            print_line(console, f"... and {more:,} more")
        for item in self.bad_inputs:
            print_line(console, f"bad: {item.text}: {item.error.message}")
        if more := self.bad_count - len(self.bad_inputs):
            print_line(console, f"... and {pluralize(more, 'more bad input')}")
        bad = f"; {pluralize(self.bad_count, 'bad input')} left out" if self.bad_count else ""
        print_line(console, f"Would {name} {pluralize(self.count)}{bad}. Nothing was sent.")
