"""CSV (RFC 4180): a header, then a record for each row; exact, and safe to open in a spreadsheet.

An empty cell is no value. Text is guarded, see ``guard``; numbers are written as Python does, so
3 and 3.0 stay apart; days and times are ISO 8601; objects are JSON. There is no place for how an
inventory was read, so one that is loaded from CSV never says that it is complete.
"""

import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from functools import cache
from itertools import islice
from typing import Any, BinaryIO, Final

from nrm_async._tables import Column, Kind, transposed
from nrm_async._tables.arrow import WHOLE, json_text
from nrm_async.errors import FileFormatError, InvalidRequestError
from nrm_async.files.chunks import Chunk, decoded
from nrm_async.files.guard import DAMAGED, guarded, guarded_fully, unguarded
from nrm_async.files.text import Record, records

_ROWS_AT_ONCE: Final = 5_000

# Names, places and days come again and again; of these kinds, what is equal is written equally.
_OFTEN_THE_SAME: Final = (Kind.TEXT, Kind.DAY)


class CsvSink:
    """Rows to CSV.

    Args:
        file: Where to write; it stays open.
        columns: The columns.
        for_spreadsheet: Whether to guard everything that a spreadsheet would show in its own
            way, phone numbers too, and to begin with a byte order mark, without which Excel
            takes UTF-8 for something else.
    """

    def __init__(
        self, file: BinaryIO, columns: Sequence[Column], *, for_spreadsheet: bool = False
    ) -> None:
        self._columns = columns
        self._encode = _encoders(guarded_fully if for_spreadsheet else guarded)
        encoding = "utf-8-sig" if for_spreadsheet else "utf-8"
        self._text = io.TextIOWrapper(file, encoding, newline="", write_through=True)
        self._writer = csv.writer(self._text)
        self._writer.writerow([column.name for column in columns])

    def add(self, rows: Sequence[object]) -> None:
        """Write more rows."""
        cells = [
            self._written(column, values)
            for column, values in zip(self._columns, transposed(self._columns, rows), strict=True)
        ]
        self._writer.writerows(zip(*cells, strict=True))

    def _written(self, column: Column, values: Sequence[Any]) -> list[str]:
        encode = self._encode[column.kind]
        if column.kind in _OFTEN_THE_SAME:
            encode = cache(encode)
        cells = ["" if value is None else encode(value) for value in values]
        if max(map(len, cells), default=0) > csv.field_size_limit():
            raise InvalidRequestError(
                f"{column.name} is longer than readers of CSV take "
                f"({csv.field_size_limit():,} characters): use JSON Lines or Parquet"
            )
        return cells

    def close(self) -> None:
        """Write what is left; the file stays open."""
        self._text.flush()
        self._text.detach()  # the file is the caller's to close


def _encoders(guard: Callable[[str], str]) -> Mapping[Kind, Callable[[Any], str]]:
    return {
        Kind.IDENT: lambda value: str(value) if type(value) is int else guarded_fully(value),
        Kind.TEXT: guard,
        Kind.NUMBER: repr,
        Kind.COUNT: str,
        Kind.FLAG: lambda value: "true" if value else "false",
        Kind.DAY: lambda value: guard(value.isoformat()),
        Kind.MOMENT: datetime.isoformat,
        Kind.JSON: lambda value: json_text(value) if value else "",
    }


def read_csv(file: BinaryIO, columns: Sequence[Column]) -> Iterator[Chunk]:
    """The rows of CSV with these columns, in any order; others are passed over.

    Raises:
        FileFormatError: The header lacks a column that must be there, a record is broken, or a
            cell does not hold what its column does.
    """
    with closing(records(file)) as source:
        titles = _titles(next(source, None), columns)
        while portion := list(islice(source, _ROWS_AT_ONCE)):
            yield _chunk(columns, titles, portion)


def _titles(header: Record | None, columns: Sequence[Column]) -> list[str]:
    if header is None:
        raise FileFormatError("it is empty")
    titles = [title.strip() for title in header.cells]
    for column in columns:
        if column.is_required and column.name not in titles:
            raise FileFormatError(f"line {header.first}: there is no column {column.name!r}")
        if titles.count(column.name) > 1:
            raise FileFormatError(f"line {header.first}: two columns are called {column.name!r}")
    return titles


def _chunk(columns: Sequence[Column], titles: list[str], portion: list[Record]) -> Chunk:
    for record in portion:
        if record.problem or len(record.cells) != len(titles):
            problem = record.problem or f"{len(record.cells)} cells, the header has {len(titles)}"
            raise FileFormatError(f"line {record.first}: {problem}")
    table = dict(zip(titles, zip(*(record.cells for record in portion), strict=True), strict=True))
    places = [f"line {record.first}" for record in portion]
    blanks = ("",) * len(portion)
    cells = []
    for column in columns:
        texts = [cell or None for cell in table.get(column.name, blanks)]
        decode = _phone if column.name in _PHONES else _DECODE[column.kind]
        if column.kind is not Kind.JSON:  # each row has an object of its own
            decode = cache(decode)
        cells.append(decoded(column, texts, decode, places))
    return Chunk(cells, places)


_PHONES: Final = ("phone", "ani")


def _phone(cell: str) -> str:
    if DAMAGED.fullmatch(cell.strip()):
        raise FileFormatError(damage(cell))
    return unguarded(cell)


def damage(cell: str) -> str:
    """Words about a number that a spreadsheet has damaged."""
    return (
        f"{cell.strip()[:40]} is a number that a spreadsheet has cut: its last digits are lost; "
        "take it from the original, in a column that is formatted as text"
    )


def _ident(cell: str) -> int | str:
    return int(cell) if WHOLE.fullmatch(cell) else unguarded(cell)


def _number(cell: str) -> int | float:
    if "_" in cell:  # Python takes it for a separator
        raise ValueError(cell)
    return int(cell) if WHOLE.fullmatch(cell) else float(cell)


def _flag(cell: str) -> bool:
    if cell.lower() not in ("true", "false"):
        raise ValueError(cell)
    return cell.lower() == "true"


def _object(cell: str) -> dict[str, object]:
    value = json.loads(cell)
    if not isinstance(value, dict):
        raise ValueError(cell)  # noqa: TRY004 - a cell's problems are of one kind
    return value


_DECODE: Final[Mapping[Kind, Callable[[str], Any]]] = {
    Kind.IDENT: _ident,
    Kind.TEXT: unguarded,
    Kind.NUMBER: _number,
    Kind.COUNT: int,
    Kind.FLAG: _flag,
    Kind.DAY: lambda cell: date.fromisoformat(unguarded(cell)),
    Kind.MOMENT: datetime.fromisoformat,
    Kind.JSON: _object,
}
