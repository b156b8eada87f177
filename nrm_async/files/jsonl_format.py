"""Read and write JSON Lines: a line of metadata, then one object per row.

The keys are Python field names. Dates and times are ISO 8601 text; all other values have a JSON
type. Non-ASCII characters are escaped. Files without metadata, such as the output of
``nrm-async anis --json``, are also accepted.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime
from itertools import chain, islice
from typing import Any, BinaryIO, Final

from nrm_async._arrow import json_text
from nrm_async._columns import ColumnSpec, ColumnType, to_columns
from nrm_async.errors import FileFormatError
from nrm_async.files.common import (
    PHONE_COLUMNS,
    Chunk,
    Content,
    Metadata,
    decode_column,
    decode_phone,
    parse_metadata,
)

_CHUNK_ROWS: Final = 5_000
_ISO_TYPES: Final = (ColumnType.DATE, ColumnType.DATETIME)


class JsonlWriter:
    """Row writer for JSON Lines.

    Args:
        file: The open file, which is not closed.
        columns: The columns to write.
        metadata: The metadata, written as the first line.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[ColumnSpec], metadata: Metadata) -> None:
        self._file = file
        self._columns = columns
        self._names = [column.name for column in columns]
        file.write(f"{metadata.to_json()}\n".encode())

    def write_rows(self, rows: Sequence[object]) -> None:
        """Encode rows and write them."""
        cells = to_columns(self._columns, rows)
        for index, column in enumerate(self._columns):
            if column.type in _ISO_TYPES:
                cells[index] = tuple(v.isoformat() if v else None for v in cells[index])
        lines = [
            json_text(dict(zip(self._names, row, strict=True))) for row in zip(*cells, strict=True)
        ]
        self._file.write("".join(f"{line}\n" for line in lines).encode())

    def close(self) -> None:
        """Flush the file, without closing it."""
        self._file.flush()


def read_jsonl(
    file: BinaryIO, columns: Sequence[ColumnSpec], content: Content
) -> tuple[Metadata | None, Iterator[Chunk]]:
    """Return the metadata, if present, and an iterator over the rows.

    Raises:
        FileFormatError: A line is not a JSON object, or contains a value of the wrong type.
    """
    first = file.readline()
    metadata = parse_metadata(first, content)
    lines = enumerate(file, start=2) if metadata else enumerate(chain((first,), file), start=1)
    return metadata, _chunks(lines, columns)


def _chunks(lines: Iterator[tuple[int, bytes]], columns: Sequence[ColumnSpec]) -> Iterator[Chunk]:
    while portion := list(islice(lines, _CHUNK_ROWS)):
        numbered = [(number, line) for number, line in portion if not line.isspace() and line]
        rows = [_parse_row(number, line) for number, line in numbered]
        locations = [f"line {number}" for number, _line in numbered]
        cells = [
            decode_column(
                column,
                [row.get(column.title) for row in rows],
                decode_phone if column.name in PHONE_COLUMNS else _DECODE[column.type],
                locations,
            )
            for column in columns
        ]
        yield Chunk(cells, locations)


def _parse_row(number: int, line: bytes) -> Mapping[str | None, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise FileFormatError(f"line {number}: not JSON: {error}") from None
    if not isinstance(row, dict):
        raise FileFormatError(f"line {number}: must be an object, not {type(row).__name__}")
    return row


def _exactly(*types: type) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if type(value) not in types:  # bool is a subclass of int
            raise ValueError(value)
        return value

    return decode


def _iso(parse: Callable[[str], Any]) -> Callable[[Any], Any]:
    def decode(value: Any) -> Any:
        if not isinstance(value, str):
            raise ValueError(value)  # noqa: TRY004 - all decoders raise ValueError
        return parse(value)

    return decode


_DECODE: Final[Mapping[ColumnType, Callable[[Any], Any]]] = {
    ColumnType.ID: _exactly(int, str),
    ColumnType.TEXT: _exactly(str),
    ColumnType.NUMBER: _exactly(int, float),
    ColumnType.INTEGER: _exactly(int),
    ColumnType.BOOLEAN: _exactly(bool),
    ColumnType.DATE: _iso(date.fromisoformat),
    ColumnType.DATETIME: _iso(datetime.fromisoformat),
    ColumnType.JSON: _exactly(dict),
}
