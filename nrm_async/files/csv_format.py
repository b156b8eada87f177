"""Read and write lossless CSV (RFC 4180) that is safe to open in a spreadsheet.

The first record is a header; each other record is a row. ``None`` is written as an empty cell.
Text is escaped (see ``csv_text``). Numbers are written as Python literals, so that 3 and 3.0 remain
distinct. Dates and times are in ISO 8601, and objects are JSON. CSV has no metadata, so an
inventory loaded from CSV is never ``complete``.
"""

import csv
import io
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime
from functools import cache, partial
from itertools import islice
from typing import Any, BinaryIO, Final

from nrm_async._arrow import WHOLE, json_text
from nrm_async._columns import ColumnSpec, ColumnType, to_columns
from nrm_async.actions import whole_digits
from nrm_async.errors import FileFormatError, InvalidRequestError
from nrm_async.files.common import PHONE_COLUMNS, Chunk, decode_column
from nrm_async.files.csv_dialect import CsvRecord, read_records
from nrm_async.files.csv_text import (
    TRUNCATED_NUMBER,
    escape,
    escape_for_spreadsheet,
    truncated_number_error,
    unescape,
)

_CHUNK_ROWS: Final = 5_000

# Types with many repeated values (names, places, dates), in which equal values have equal text.
_CACHED_TYPES: Final = (ColumnType.TEXT, ColumnType.DATE)


class CsvWriter:
    """Row writer for CSV.

    Args:
        file: The open file, which is not closed.
        columns: The columns to write.
        for_spreadsheet: Whether to also escape all text that a spreadsheet would reformat, such
            as phone numbers, and to write a byte order mark, which Excel requires to recognise
            UTF-8.
    """

    def __init__(
        self, file: BinaryIO, columns: Sequence[ColumnSpec], *, for_spreadsheet: bool = False
    ) -> None:
        self._columns = columns
        self._escape = escape_for_spreadsheet if for_spreadsheet else escape
        self._encoders = _make_encoders(self._escape)
        encoding = "utf-8-sig" if for_spreadsheet else "utf-8"
        self._text = io.TextIOWrapper(file, encoding, newline="", write_through=True)
        self._writer = csv.writer(self._text)
        self._writer.writerow([column.name for column in columns])

    def write_rows(self, rows: Sequence[object]) -> None:
        """Encode rows and write them."""
        cells = [
            self._encode(column, values)
            for column, values in zip(self._columns, to_columns(self._columns, rows), strict=True)
        ]
        self._writer.writerows(zip(*cells, strict=True))

    def _encode(self, column: ColumnSpec, values: Sequence[Any]) -> list[str]:
        encode = self._encoders[column.type]
        if column.name in PHONE_COLUMNS:
            encode = partial(_escape_phone, escape_text=self._escape)
        if column.type in _CACHED_TYPES:
            encode = cache(encode)
        cells = ["" if value is None else encode(value) for value in values]
        if max(map(len, cells), default=0) > csv.field_size_limit():
            raise InvalidRequestError(
                f"{column.name} is longer than the limit of CSV readers "
                f"({csv.field_size_limit():,} characters): use JSON Lines or Parquet"
            )
        return cells

    def close(self) -> None:
        """Flush buffered text, without closing the file."""
        self._text.flush()
        self._text.detach()


def _make_encoders(
    escape_text: Callable[[str], str],
) -> Mapping[ColumnType, Callable[[Any], str]]:
    return {
        ColumnType.ID: lambda value: (
            str(value) if type(value) is int else escape_for_spreadsheet(value)
        ),
        ColumnType.TEXT: escape_text,
        ColumnType.NUMBER: repr,
        ColumnType.INTEGER: str,
        ColumnType.BOOLEAN: lambda value: "true" if value else "false",
        ColumnType.DATE: lambda value: escape_text(value.isoformat()),
        ColumnType.DATETIME: datetime.isoformat,
        ColumnType.JSON: lambda value: json_text(value) if value else "",
    }


def read_csv(file: BinaryIO, columns: Sequence[ColumnSpec]) -> Iterator[Chunk]:
    """Read the rows of a CSV file with these columns in any order, ignoring other columns.

    Raises:
        FileFormatError: A required column is missing, a record is malformed, or a cell has a
            value of the wrong type.
    """
    required = {column.title for column in columns if column.is_required}
    records = read_records(file, is_header=lambda cells: required <= {*map(str.strip, cells)})
    with closing(records) as source:
        titles = _read_titles(next(source, None), columns)
        while portion := list(islice(source, _CHUNK_ROWS)):
            yield _decode_chunk(columns, titles, portion)


def _read_titles(header: CsvRecord | None, columns: Sequence[ColumnSpec]) -> list[str]:
    if header is None:
        raise FileFormatError("it is empty")
    titles = [title.strip() for title in header.cells]
    for column in columns:
        is_chosen = column.title not in (column.name, None)
        if column.title not in titles and (column.is_required or is_chosen):
            raise FileFormatError(f"line {header.first_line}: there is no column {column.title!r}")
        if column.title is not None and titles.count(column.title) > 1:
            raise FileFormatError(
                f"line {header.first_line}: two columns are called {column.title!r}"
            )
    return titles


def _decode_chunk(
    columns: Sequence[ColumnSpec], titles: list[str], portion: list[CsvRecord]
) -> Chunk:
    for record in portion:
        if record.problem or len(record.cells) != len(titles):
            problem = record.problem or f"{len(record.cells)} cells, the header has {len(titles)}"
            raise FileFormatError(f"line {record.first_line}: {problem}")
    by_column = zip(*(record.cells for record in portion), strict=True)
    table: dict[str | None, tuple[str, ...]] = dict(zip(titles, by_column, strict=True))
    locations = [f"line {record.first_line}" for record in portion]
    blanks = ("",) * len(portion)
    cells = []
    for column in columns:
        texts = [cell or None for cell in table.get(column.title, blanks)]
        decode = _decode_phone if column.name in PHONE_COLUMNS else _DECODE[column.type]
        if column.type is not ColumnType.JSON:  # a separate object for each row
            decode = cache(decode)
        cells.append(decode_column(column, texts, decode, locations))
    return Chunk(cells, locations)


_DECIMAL_PHONE: Final = re.compile(r"\s*[0-9]+[.,][0-9]+\s*")


def _escape_phone(text: str, escape_text: Callable[[str], str]) -> str:
    """Escape text. Phones with a decimal point are always escaped, or would be read as decimals."""
    return (escape_for_spreadsheet if _DECIMAL_PHONE.fullmatch(text) else escape_text)(text)


def _decode_phone(cell: str) -> str:
    if TRUNCATED_NUMBER.fullmatch(cell.strip()):
        raise FileFormatError(truncated_number_error(cell))
    if _DECIMAL_PHONE.fullmatch(cell):
        try:
            return whole_digits("it", cell.strip())
        except InvalidRequestError as error:
            raise FileFormatError(error.message) from None
    return unescape(cell)


def _decode_number(cell: str) -> int | float:
    if "_" in cell:  # Python would accept it as a digit separator
        raise ValueError(cell)
    return int(cell) if WHOLE.fullmatch(cell) else float(cell)


def _decode_boolean(cell: str) -> bool:
    if cell.lower() not in ("true", "false"):
        raise ValueError(cell)
    return cell.lower() == "true"


def _decode_object(cell: str) -> dict[str, object]:
    value = json.loads(cell)
    if not isinstance(value, dict):
        raise ValueError(cell)  # noqa: TRY004 - all decoders raise ValueError
    return value


_DECODE: Final[Mapping[ColumnType, Callable[[str], Any]]] = {
    ColumnType.ID: lambda cell: int(cell) if WHOLE.fullmatch(cell) else unescape(cell),
    ColumnType.TEXT: unescape,
    ColumnType.NUMBER: _decode_number,
    ColumnType.INTEGER: int,
    ColumnType.BOOLEAN: _decode_boolean,
    ColumnType.DATE: lambda cell: date.fromisoformat(unescape(cell)),
    ColumnType.DATETIME: datetime.fromisoformat,
    ColumnType.JSON: _decode_object,
}
