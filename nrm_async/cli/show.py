"""Text and tables on standard output, and one line at a time on standard error.

Words that come from the API may hold markup and control characters: here both are only shown.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Final, TypeAlias

import attrs
from rich.console import Console
from rich.table import Table
from rich.text import Text

Cell: TypeAlias = str | int | float | None

# Nobody looks at a pipe: lines there are as long as what they say.
_WIDTH_OF_A_PIPE: Final = 2_000

# Tables of any length in little memory: this many rows are measured and drawn at a time.
_ROWS_AT_ONCE: Final = 1_000


@attrs.frozen
class Column:
    """One column of a table; cells longer than ``width`` widen it."""

    title: str
    width: int = 0
    is_number: bool = False


class _Console(Console):
    """A console that leaves it to the command what a closed pipe means."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        raise BrokenPipeError


def console(*, quiet: bool = False) -> Console:
    """Standard output: in a pipe without colours, bars and line ends of its own."""
    is_terminal = sys.stdout.isatty()
    return _Console(
        # Said outright, because variables of the environment would force colours into a pipe.
        force_terminal=is_terminal,
        width=None if is_terminal else _WIDTH_OF_A_PIPE,
        quiet=quiet,
        highlight=False,
        markup=False,
        emoji=False,
    )


def side_screen() -> Console:
    """Standard error, for what moves while data goes to standard output."""
    return _Console(
        stderr=True,
        force_terminal=sys.stderr.isatty(),
        highlight=False,
        markup=False,
        emoji=False,
    )


def clean(value: object) -> str:
    r"""A value as text of one line, its control characters made visible; ``None`` is a dash.

    Example:
        >>> print(clean("a\x1b[2Jb"))
        a\x1b[2Jb
    """
    text = "-" if value is None else str(value)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def line(screen: Console, text: str) -> None:
    """One line, which no terminal's width breaks."""
    screen.print(Text(clean(text)), soft_wrap=True)


def counted(count: int) -> str:
    """So many numbers, in words that fit."""
    return f"{count:,} number{'' if count == 1 else 's'}"


def complain(message: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"nrm-async: {clean(message)}\n")


def json_line(value: object) -> None:
    """One JSON value on one line; everything beyond ASCII is escaped."""
    sys.stdout.write(json.dumps(value) + "\n")


def table(screen: Console, columns: Sequence[Column], rows: Iterable[Sequence[Cell]]) -> int:
    """One table over all rows, drawn in portions; says how many rows there were."""
    return TableWriter(screen, columns).add(rows)


@attrs.define
class TableWriter:
    """A table that grows: its titles come once, before the first row."""

    screen: Console
    columns: Sequence[Column]
    _is_begun: bool = attrs.field(default=False, init=False)

    def add(self, rows: Iterable[Sequence[Cell]]) -> int:
        """Draw more rows; says how many."""
        iterator, count = iter(rows), 0
        while portion := list(islice(iterator, _ROWS_AT_ONCE)):
            self._draw(portion)
            count += len(portion)
        return count

    def _draw(self, rows: list[Sequence[Cell]]) -> None:
        part = Table(box=None, pad_edge=False, show_header=not self._is_begun)
        self._is_begun = True
        for column in self.columns:
            part.add_column(
                column.title,
                min_width=max(column.width, len(column.title)),
                justify="right" if column.is_number else "left",
                overflow="fold",
            )
        for row in rows:
            part.add_row(*(Text(_shown(cell)) for cell in row))
        self._print(part)

    def _print(self, part: Table) -> None:
        if self.screen.is_terminal:
            self.screen.print(part)
            return
        # In a pipe, one long cell must not pad all lines to its length.
        with self.screen.capture() as drawn:
            self.screen.print(part)
        rows = "\n".join(row.rstrip() for row in drawn.get().rstrip("\n").split("\n"))
        self.screen.print(Text(rows), soft_wrap=True)


def _shown(cell: Cell) -> str:
    return f"{cell:,}" if isinstance(cell, int | float) else clean(cell)


@contextmanager
def waiting(what: str) -> Iterator[None]:
    """Say on a terminal that something takes its time."""
    screen = side_screen()
    if not screen.is_terminal or screen.is_dumb_terminal:
        yield
        return
    with screen.status(Text(clean(what))):
        yield
