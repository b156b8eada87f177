"""CSV as it comes from anywhere: its encoding, its separator, and one record at a time."""

import codecs
import csv
import io
from collections.abc import Generator, Iterator
from itertools import chain
from typing import Any, BinaryIO, Final, cast

import attrs

_SEPARATORS: Final = ",;\t|"


@attrs.frozen
class Record:
    """One record, which may span lines.

    Attributes:
        first: The line it begins on, from 1.
        last: The line it ends on.
        cells: Its cells, empty where it is broken.
        problem: How it is broken.
    """

    first: int
    last: int
    cells: list[str]
    problem: str | None = None


def records(file: BinaryIO, errors: str = "strict") -> Generator[Record, None, None]:
    """The records of CSV in any usual spelling, blank lines left out.

    UTF-8 with or without a byte order mark, and UTF-16 with one. The separator is the one of
    comma, semicolon, tab and bar that the first line has most of. The file is closed at the end.

    Args:
        file: The bytes.
        errors: What becomes of bytes that are no text, as ``open`` has it.
    """
    with _decoded(file, errors) as text:
        first = text.readline()
        separator = max(_SEPARATORS, key=first.count)
        yield from _parsed(csv.reader(chain((first,), text), delimiter=separator, strict=True))


def _decoded(file: BinaryIO, errors: str) -> io.TextIOWrapper:
    buffered = io.BufferedReader(cast("io.RawIOBase", file))  # any binary file will do
    start = buffered.peek(4)[:2]
    is_wide = start in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
    encoding = "utf-16" if is_wide else "utf-8-sig"
    return io.TextIOWrapper(buffered, encoding, errors, newline="")


def _parsed(reader: Any) -> Iterator[Record]:
    while True:
        begin = reader.line_num + 1
        try:
            cells, problem = next(reader), None
        except StopIteration:
            return
        except csv.Error as error:
            cells, problem = [], str(error)
        if cells or problem:
            yield Record(begin, reader.line_num, cells, problem)
