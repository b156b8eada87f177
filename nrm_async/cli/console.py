"""Standard output and standard error: text, tables, JSON lines and progress bars.

Text from the API may contain markup and control characters: markup is printed literally, and
control characters are escaped.
"""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import islice
from types import TracebackType
from typing import Final, Self, TypeAlias

import attrs
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from nrm_async._validation import printable
from nrm_async.events import BatchFinished, BatchStarted, Event, ItemFinished, PageRead

Cell: TypeAlias = str | int | float | None

# A pipe has no width: this value prevents wrapping.
_PIPE_WIDTH: Final = 2_000

# Rows laid out together, which limits the memory that a long table needs.
_ROWS_PER_CHUNK: Final = 1_000


@attrs.frozen
class Column:
    """A table column with a minimum width."""

    title: str
    width: int = 0
    is_number: bool = False


class _Console(Console):
    """A console that raises ``BrokenPipeError`` on a closed pipe, instead of exiting with 1."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


def stdout_console(*, quiet: bool = False) -> Console:
    """Return a console for standard output; in a pipe, it neither colours nor wraps text."""
    is_terminal = sys.stdout.isatty()
    return _Console(
        # Set explicitly: otherwise FORCE_COLOR would colour the output in a pipe.
        force_terminal=is_terminal,
        width=None if is_terminal else _PIPE_WIDTH,
        quiet=quiet,
        highlight=False,
        markup=False,
        emoji=False,
    )


def stderr_console() -> Console:
    """Return a console for progress on standard error."""
    return _Console(
        stderr=True,
        force_terminal=sys.stderr.isatty(),
        highlight=False,
        markup=False,
        emoji=False,
    )


def print_line(console: Console, text: str) -> None:
    """Print one line without wrapping it to the terminal width."""
    console.print(Text(_printable(text)), soft_wrap=True)


def print_json(value: object) -> None:
    """Print a value as one line of ASCII JSON."""
    sys.stdout.write(json.dumps(value) + "\n")


def warn(message: str) -> None:
    """Write one line to standard error, ignoring the error if the terminal is closed."""
    with suppress(OSError):
        sys.stderr.write(f"nrm-async: {_printable(message)}\n")


class WarningHandler(logging.Handler):
    """A logging handler that writes each record as one line on standard error."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the message of a record."""
        warn(record.getMessage())


def pluralize(count: int | float, noun: str = "number") -> str:
    """Return the count followed by the noun, in the plural unless the count is 1.

    Example:
        >>> pluralize(1), pluralize(1200, "row")
        ('1 number', '1,200 rows')
    """
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _printable(text: str) -> str:
    return printable(text, len(text))


def print_table(
    console: Console, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]
) -> None:
    """Print a table."""
    TableWriter(console, columns).add(rows)


@attrs.define
class TableWriter:
    """A table printed in chunks, with column titles before the first chunk only."""

    console: Console
    columns: Sequence[Column]
    _has_titles: bool = attrs.field(default=False, init=False)

    def add(self, rows: Iterable[Sequence[Cell]]) -> None:
        """Print more rows."""
        iterator = iter(rows)
        while chunk := list(islice(iterator, _ROWS_PER_CHUNK)):
            self._print(self._table(chunk))

    def _table(self, rows: list[Sequence[Cell]]) -> Table:
        table = Table(box=None, pad_edge=False, show_header=not self._has_titles)
        self._has_titles = True
        for column in self.columns:
            table.add_column(
                column.title,
                min_width=max(column.width, len(column.title)),
                justify="right" if column.is_number else "left",
                overflow="fold",
            )
        for row in rows:
            table.add_row(*(Text(_cell_text(cell)) for cell in row))
        return table

    def _print(self, table: Table) -> None:
        if self.console.is_terminal:
            self.console.print(table)
            return
        # In a pipe, strip trailing spaces: one long cell would pad every other line to its length.
        with self.console.capture() as captured:
            self.console.print(table)
        lines = captured.get().rstrip("\n").split("\n")
        self.console.print(Text("\n".join(line.rstrip() for line in lines)), soft_wrap=True)


def _cell_text(cell: Cell) -> str:
    if cell is None:
        return "-"
    return f"{cell:,}" if isinstance(cell, int | float) else _printable(cell)


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """Show a spinner on the terminal, if there is one, while the block runs."""
    console = stderr_console()
    if not console.is_terminal or console.is_dumb_terminal:
        yield
        return
    with console.status(Text(_printable(text))):
        yield


def progress(console: Console) -> Progress:
    """Return progress bars that are only drawn on a terminal."""
    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal or console.is_dumb_terminal,
    )


class ProgressBars:
    """Event observer that draws a bar for the current listing and for each running batch."""

    def __init__(self, console: Console) -> None:
        self._progress = progress(console)
        self._batches: dict[int, TaskID] = {}
        self._listing: TaskID | None = None
        self._rows = 0

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Update the bars; pass the instance as ``on_event`` to call this for each event."""
        match event:
            case PageRead():
                self._advance_listing(event)
            case BatchStarted():
                bar = self._progress.add_task("Acting", total=event.total)
                self._batches[event.batch] = bar
            case ItemFinished():
                self._progress.advance(self._batches[event.batch])
            case BatchFinished():
                self._progress.remove_task(self._batches.pop(event.batch))

    def _advance_listing(self, event: PageRead) -> None:
        if event.page == 1:
            self._remove_listing()
            self._listing = self._progress.add_task("Listing", total=event.total_anis)
            self._rows = 0
        if self._listing is None:
            return
        self._progress.update(self._listing, total=event.total_anis, advance=event.rows)
        self._rows += event.rows
        if event.total_anis is not None and self._rows >= event.total_anis:
            self._remove_listing()

    def _remove_listing(self) -> None:
        if self._listing is not None:
            self._progress.remove_task(self._listing)
            self._listing = None
