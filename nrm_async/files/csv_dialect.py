"""Read CSV in common dialects, detecting the encoding, delimiter, comments and header."""

import codecs
import csv
import io
import re
from collections.abc import Callable, Generator
from itertools import chain
from typing import BinaryIO, Final, cast

import attrs

_DELIMITERS: Final = ",;\t|"
_SEPARATOR_LINE: Final = re.compile(r'(?i:"sep=([^"\r\n])"|sep=([^"\r\n]))\s*')  # for Excel
_QUOTED: Final = re.compile(r'"[^"]*(?:"|\Z)')
_BLANKS: Final = f' "\ufeff\r\n{_DELIMITERS}'
_BEFORE_REMARK: Final = ' "\ufeff\t'


@attrs.frozen
class CsvRecord:
    """A CSV record, which may span multiple lines.

    Attributes:
        first_line: The number of the first line, counted from 1.
        last_line: The number of the last line.
        cells: The cells; empty if the record is malformed.
        problem: The reason why the record is malformed, or ``None``.
    """

    first_line: int
    last_line: int
    cells: list[str]
    problem: str | None = None


def read_records(
    file: BinaryIO,
    errors: str = "strict",
    *,
    is_header: Callable[[list[str]], bool] = lambda _cells: False,
) -> Generator[CsvRecord, None, None]:
    """Read the records of a CSV file, skip blank lines, and close the file at the end.

    The encoding is UTF-8, with or without a byte order mark, or UTF-16 with one. Before the first
    record, comments (``#``), rows of empty cells and Excel's ``sep=;`` line are skipped. The
    delimiter is the one in the ``sep=`` line, or else the most frequent of comma, semicolon, tab
    and vertical bar in the first record, which is the header.

    Args:
        file: The binary file.
        errors: How to handle bytes that are not valid text, as in ``open``.
        is_header: Returns whether cells that begin with ``#`` are a header, not a comment.
    """
    with _open_text(file, errors) as text:
        skipped, delimiter = 0, None
        for first in text:
            if found := _SEPARATOR_LINE.fullmatch(first):
                delimiter = found[1] or found[2]
            elif first.strip(_BLANKS) and not _is_remark(first, delimiter, is_header):
                break
            skipped += 1
        else:
            return
        delimiter = delimiter or _delimiter_of(first)
        reader = csv.reader(chain((first,), text), delimiter=delimiter, strict=True)
        while True:
            begin, problem = skipped + reader.line_num + 1, None
            try:
                cells = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                cells, problem = [], str(error)
            if cells or problem:
                yield CsvRecord(begin, skipped + reader.line_num, cells, problem)


def _is_remark(line: str, delimiter: str | None, is_header: Callable[[list[str]], bool]) -> bool:
    if not line.lstrip(_BEFORE_REMARK).startswith("#"):
        return False
    try:
        cells = next(csv.reader((line,), delimiter=delimiter or _delimiter_of(line)), [])
    except csv.Error:  # a cell exceeds the size limit
        return True
    return not is_header(cells)


def _delimiter_of(line: str) -> str:
    """Return the delimiter that occurs most often outside quotes."""
    unquoted = _QUOTED.sub("", line)
    return max(_DELIMITERS, key=unquoted.count)


def _open_text(file: BinaryIO, errors: str) -> io.TextIOWrapper:
    if isinstance(file, io.BufferedReader):  # a second buffer would wait until it is full
        buffered = file
    else:
        buffered = io.BufferedReader(cast("io.RawIOBase", file))  # works with any binary file
    is_utf_16 = buffered.peek(4)[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding = "utf-16" if is_utf_16 else "utf-8-sig"
    return io.TextIOWrapper(buffered, encoding, errors, newline="")
