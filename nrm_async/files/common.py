"""Code shared by all formats: suffixes, compression, file metadata and column decoding.

The metadata is stored in the first line of a JSON Lines file, or in the schema metadata of a
Parquet file. CSV files have no metadata::

    {"nrm_async": "inventory", "version": 1, "rows": 500, "about": {"complete": true, …}}
"""

import gzip
import io
import json
import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import Any, BinaryIO, Final, Literal, Protocol, TypeAlias, cast, get_args

import attrs

from nrm_async._arrow import pyarrow
from nrm_async._columns import ColumnSpec
from nrm_async.actions import normalize_ani
from nrm_async.errors import FileFormatError, InvalidRequestError

# Detecting formats and compression

Format: TypeAlias = Literal["csv", "jsonl", "parquet"]
FilePath: TypeAlias = str | PathLike[str]

_BY_SUFFIX: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_GZIP: Final = ".gz"

SUFFIXES: Final = ".csv, .jsonl, .ndjson (.gz may follow these), .parquet or .pq"
"""The supported suffixes, for error messages."""


def format_of(path: FilePath, given: Format | None = None) -> Format:
    """Return the given format, or the format for the file's suffix.

    Raises:
        InvalidRequestError: The format or the suffix is unknown.

    Example:
        >>> format_of("numbers.csv.gz")
        'csv'
    """
    if given is not None:
        if given not in get_args(Format):
            raise InvalidRequestError(f"format must be csv, jsonl or parquet, not {given!r}")
        return given
    name = fspath(path).lower().removesuffix(_GZIP)
    if (found := _BY_SUFFIX.get(Path(name).suffix)) is None:
        raise InvalidRequestError(
            f"format must be given, because the name of {fspath(path)!r} does not end in {SUFFIXES}"
        )
    return found


def check_target(path: FilePath, given: Format | None = None) -> None:
    """Check that a file can be written, before starting the work that produces its content.

    Raises:
        InvalidRequestError: The format is unknown, the path is not a file, or its folder is not
            writable.
        ConfigurationError: The extra ``parquet`` is required but not installed.
    """
    file_format, target = format_of(path, given), Path(path).absolute()
    if target.exists() and not target.is_file():
        raise InvalidRequestError(f"{target} cannot be written: it is not a file")
    if not os.access(target.parent, os.W_OK):
        raise InvalidRequestError(f"{target} cannot be written: {target.parent} is not writable")
    if file_format == "parquet":
        pyarrow("parquet")


def is_gzipped(path: FilePath, file_format: Format) -> bool:
    """Return whether the file is compressed with gzip. Parquet has its own compression."""
    return file_format != "parquet" and fspath(path).lower().endswith(_GZIP)


@contextmanager
def open_for_reading(path: FilePath, file_format: Format) -> Iterator[BinaryIO]:
    """Open a file for reading, decompressing it if its name ends in ``.gz``.

    Raises:
        FileFormatError: The compressed data is invalid or truncated. The caller adds the path.
    """
    with Path(path).open("rb") as file:
        if is_gzipped(path, file_format):
            with unpacked(file) as content:
                yield content
        else:
            yield file


@contextmanager
def unpacked(file: BinaryIO) -> Iterator[BinaryIO]:
    """Decompress an open file.

    Raises:
        FileFormatError: The compressed data is invalid or truncated. The caller adds the path.
    """
    try:
        with gzip.GzipFile(fileobj=file) as content:
            yield cast("BinaryIO", content)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise FileFormatError(f"cannot be unpacked: {error}") from None


_LARGEST_LEAD: Final = 65_536  # bytes of leading whitespace


@contextmanager
def open_stream(file: BinaryIO) -> Iterator[tuple[BinaryIO, Format]]:
    """Detect the format of an open file from its content, decompressing it if necessary.

    Detection does not wait for more data after the first few bytes of content.

    Raises:
        FileFormatError: The compressed data is invalid or truncated. The caller adds the name.
    """
    start, whole = _look_ahead(file)
    if start.startswith(_GZIP_SIGNATURE):
        with unpacked(cast("BinaryIO", whole)) as content:
            start, whole = _look_ahead(content)
            yield io.BufferedReader(whole), _format_of_content(start)
    else:
        yield io.BufferedReader(whole), _format_of_content(start)


_GZIP_SIGNATURE: Final = b"\x1f\x8b"
_PARQUET_SIGNATURE: Final = b"PAR1"
_BLANKS: Final = b"\xef\xbb\xbf \t\r\n"  # includes the byte order mark


def _format_of_content(start: bytes) -> Format:
    if start.startswith(_PARQUET_SIGNATURE):
        return "parquet"
    return "jsonl" if start.lstrip(_BLANKS).startswith(b"{") else "csv"


def _look_ahead(file: BinaryIO) -> tuple[bytes, "_Rejoined"]:
    """Return the first bytes of content, and a file that still starts with them."""
    # Only buffer files without read1: a second buffer would wait until it is full.
    has_read1 = isinstance(file, io.BufferedIOBase)
    buffered = file if has_read1 else io.BufferedReader(cast("io.RawIOBase", file))
    source = cast("io.BufferedIOBase", buffered)
    start = b""
    while len(start) < _LARGEST_LEAD and len(start.lstrip(_BLANKS)) < len(_PARQUET_SIGNATURE):
        chunk = source.read1(_LARGEST_LEAD)
        if not chunk:
            break
        start += chunk
    return start, _Rejoined(start, source)


_SIGNATURE_BYTES: Final = 2  # read by gzip, which does not retry a short read


class _Rejoined(io.RawIOBase):
    """A file that returns the bytes that were read ahead, then the rest."""

    def __init__(self, start: bytes, rest: io.BufferedIOBase) -> None:
        super().__init__()
        self._start = start
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._start:
            is_short = len(buffer) <= _SIGNATURE_BYTES
            self._start = (self._rest.read if is_short else self._rest.read1)(len(buffer))
        chunk = self._start[: len(buffer)]
        self._start = self._start[len(chunk) :]
        buffer[: len(chunk)] = chunk
        return len(chunk)

    def close(self) -> None:
        if not self.closed:
            self._rest.close()
        super().close()


# Reading and writing metadata

METADATA_KEY: Final = "nrm_async"
"""The key that identifies an object as metadata. No column has this name."""

_VERSION: Final = 1

Content: TypeAlias = Literal["inventory", "report"]


@attrs.frozen
class Metadata:
    """File metadata.

    Attributes:
        content: The kind of rows.
        rows: The number of rows, if known when writing began.
        about: Additional data, such as how an inventory was read.
    """

    content: Content
    rows: int | None = None
    about: Mapping[str, Any] = attrs.field(factory=dict)

    def to_json(self) -> str:
        """Return the metadata as a line of JSON."""
        fields = {"version": _VERSION, "rows": self.rows, "about": self.about}
        return json.dumps({METADATA_KEY: self.content, **fields})


def parse_metadata(text: str | bytes, content: Content) -> Metadata | None:
    """Parse file metadata. Return ``None`` if the text is not metadata.

    Raises:
        FileFormatError: The file has different content, or was written by a later version of this
            package.
    """
    fields = load_json_object(text)
    if fields is None or METADATA_KEY not in fields:
        return None
    if fields[METADATA_KEY] != content:
        raise FileFormatError(f"it contains {fields[METADATA_KEY]!r}, not {content!r}")
    if fields.get("version") != _VERSION:
        raise FileFormatError(
            f"it is of version {fields.get('version')!r}; this package reads version {_VERSION}"
        )
    rows, about = fields.get("rows"), fields.get("about")
    return Metadata(content, rows if isinstance(rows, int) else None, about or {})


def load_json_object(text: str | bytes) -> dict[str, Any] | None:
    """Decode a JSON object. Return ``None`` if the text is not a JSON object."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


# Reading and writing rows


@attrs.frozen
class Chunk:
    """Consecutive rows, stored by column.

    Attributes:
        cells: The values of each column.
        locations: The position of each row in the file, for error messages.
    """

    cells: Sequence[Sequence[Any]]
    locations: Sequence[str]


class RowWriter(Protocol):
    """Interface of the row writers for each format."""

    def write_rows(self, rows: Sequence[object]) -> None:
        """Write rows.

        Raises:
            InvalidRequestError: A value cannot be written.
        """

    def close(self) -> None:
        """Write buffered data, without closing the file."""


def decode_column(
    column: ColumnSpec,
    cells: Sequence[Any],
    decode: Callable[[Any], Any],
    locations: Sequence[str],
) -> list[Any]:
    """Decode the cells of a column. An empty cell is ``None``.

    Raises:
        FileFormatError: A cell is invalid. The message includes the cell's location.
    """
    try:
        return column.fill_blanks([None if cell is None else decode(cell) for cell in cells])
    except ValueError:
        problems = (_find_problem(column, cell, decode) for cell in cells)
        location, problem = next(both for both in zip(locations, problems, strict=True) if both[1])
        raise FileFormatError(f"{location}: {problem}") from None


PHONE_COLUMNS: Final = ("phone", "ani")
"""Columns with phone numbers, which other programs may store as numeric values."""


def decode_phone(cell: Any) -> str:
    """Return a phone number as text. Other programs may have stored it as a numeric value.

    Raises:
        ValueError: The value is not a phone number.

    Example:
        >>> decode_phone(2345678901.0), decode_phone("+1 (234) 567-8901")
        ('2345678901', '+1 (234) 567-8901')
    """
    return cell if isinstance(cell, str) else normalize_ani(cell)


def _find_problem(column: ColumnSpec, cell: Any, decode: Callable[[Any], Any]) -> str | None:
    if cell is None:
        return f"{column.name} is missing" if column.is_required else None
    try:
        decode(cell)
    except FileFormatError as error:  # has a more specific message
        return f"{column.name}: {error}"
    except ValueError:
        return f"{column.rule}, not {repr(cell)[:60]}"
    return None
