"""JSON Lines: a description, then an object on each line, under the fields' Python names.

JSON's own types hold everything but days and times, which are text in ISO 8601. Everything
beyond ASCII is escaped. A file without a description, such as the output of
``nrm-async anis --json``, can be read too.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import chain, islice
from typing import Any, BinaryIO, Final

from nrm_async._tables import Column, Kind, transposed
from nrm_async._tables.arrow import json_text
from nrm_async.errors import FileFormatError
from nrm_async.files.chunks import Chunk, Content, Description, decoded, read_description

_ROWS_AT_ONCE: Final = 5_000
_DATED: Final = (Kind.DAY, Kind.MOMENT)


class JsonlSink:
    """Rows to JSON Lines.

    Args:
        file: Where to write; it stays open.
        columns: The columns.
        description: The first line.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[Column], description: Description) -> None:
        self._file = file
        self._columns = columns
        self._names = [column.name for column in columns]
        file.write(f"{description.to_json()}\n".encode())

    def add(self, rows: Sequence[object]) -> None:
        """Write more rows."""
        cells = transposed(self._columns, rows)
        for index, column in enumerate(self._columns):
            if column.kind in _DATED:
                cells[index] = tuple(v.isoformat() if v else None for v in cells[index])
        lines = [
            json_text(dict(zip(self._names, row, strict=True))) for row in zip(*cells, strict=True)
        ]
        self._file.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        """Write what is left; the file stays open."""
        self._file.flush()


def read_jsonl(
    file: BinaryIO, columns: Sequence[Column], content: Content
) -> tuple[Description | None, Iterator[Chunk]]:
    """The description, if there is one, and the rows.

    Raises:
        FileFormatError: A line is no object, or has a value that its column cannot hold.
    """
    first = file.readline()
    description = read_description(first, content)
    lines = enumerate(file, start=2) if description else enumerate(chain((first,), file), start=1)
    return description, _chunks(lines, columns)


def _chunks(lines: Iterator[tuple[int, bytes]], columns: Sequence[Column]) -> Iterator[Chunk]:
    while portion := list(islice(lines, _ROWS_AT_ONCE)):
        numbered = [(number, line) for number, line in portion if not line.isspace() and line]
        rows = [_row(number, line) for number, line in numbered]
        places = [f"line {number}" for number, _line in numbered]
        yield Chunk([_values(column, rows, places) for column in columns], places)


def _row(number: int, line: bytes) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"line {number}: no JSON: {error}") from None
    if not isinstance(row, dict):
        raise FileFormatError(f"line {number}: must be an object, not {type(row).__name__}")
    return row


def _values(column: Column, rows: Iterable[Mapping[str, Any]], places: Sequence[str]) -> list[Any]:
    cells = [row.get(column.name) for row in rows]
    return decoded(column, cells, _DECODE[column.kind], places)


def _strict(*kinds: type) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if type(value) not in kinds:
            raise ValueError(value)
        return value

    return decode


def _dated(read: Callable[[str], Any]) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004 - a cell's problems are of one kind
        return read(value)

    return decode


_DECODE: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.IDENT: _strict(int, str),
    Kind.TEXT: _strict(str),
    Kind.NUMBER: _strict(int, float),
    Kind.COUNT: _strict(int),
    Kind.FLAG: _strict(bool),
    Kind.DAY: _dated(date.fromisoformat),
    Kind.MOMENT: _dated(datetime.fromisoformat),
    Kind.JSON: _strict(dict),
}
