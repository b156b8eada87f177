"""Which form a file has: told by its name, or by the caller."""

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from pathlib import Path
from typing import BinaryIO, Final, Literal, TypeAlias, cast, get_args

from nrm_async._tables.arrow import pyarrow
from nrm_async.errors import FileFormatError, InvalidRequestError

Format: TypeAlias = Literal["csv", "jsonl", "parquet"]
FilePath: TypeAlias = str | PathLike[str]

_SUFFIXES: Final[dict[str, Format]] = {
    ".csv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
}
_GZIP: Final = ".gz"

SUFFIXES: Final = ".csv, .jsonl, .ndjson (.gz may follow these), .parquet or .pq"
"""The suffixes that are known, in words."""


def format_of(path: FilePath, given: Format | None = None) -> Format:
    """The format given, else the one that the file's suffix stands for.

    Raises:
        InvalidRequestError: There is no such format, or the suffix stands for none.

    Example:
        >>> format_of("numbers.csv.gz")
        'csv'
    """
    if given is not None:
        if given not in get_args(Format):
            raise InvalidRequestError(f"format must be csv, jsonl or parquet, not {given!r}")
        return given
    name = fspath(path).lower().removesuffix(_GZIP)
    if (found := _SUFFIXES.get(Path(name).suffix)) is None:
        raise InvalidRequestError(
            f"format must be given, because the name of {fspath(path)!r} does not end in {SUFFIXES}"
        )
    return found


def check_target(path: FilePath, given: Format | None = None) -> None:
    """Refuse now what could not be written when all the work is done.

    Raises:
        InvalidRequestError: No format fits, it is no file, or its folder takes none.
        ConfigurationError: The extra ``parquet`` is needed and not installed.
    """
    form, target = format_of(path, given), Path(path).absolute()
    if target.exists() and not target.is_file():
        raise InvalidRequestError(f"{target} cannot be written: it is no file")
    if not os.access(target.parent, os.W_OK):
        raise InvalidRequestError(f"{target} cannot be written: {target.parent} takes no files")
    if form == "parquet":
        pyarrow("parquet")


def is_packed(path: FilePath, form: Format) -> bool:
    """Whether the file is compressed as a whole; Parquet compresses by itself."""
    return form != "parquet" and fspath(path).lower().endswith(_GZIP)


@contextmanager
def opened(path: FilePath, form: Format) -> Iterator[BinaryIO]:
    """The file's bytes, unpacked, for reading.

    Raises:
        FileFormatError: It says that it is compressed, and is not, or is cut short. Who reads
            adds the file's name.
    """
    with Path(path).open("rb") as file:
        if not is_packed(path, form):
            yield file
            return
        try:
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield cast("BinaryIO", unpacked)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise FileFormatError(f"cannot be unpacked: {error}") from None
