"""Load inventories and reports from files, completely or row by row."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import fspath
from typing import Final, TypeVar

import attrs

from nrm_async.errors import FileFormatError, InvalidRequestError
from nrm_async.files.common import (
    Chunk,
    FilePath,
    Format,
    Metadata,
    format_of,
    open_for_reading,
)
from nrm_async.files.csv_format import read_csv
from nrm_async.files.jsonl_format import read_jsonl
from nrm_async.files.list_columns import ColumnTitles, check_title
from nrm_async.files.parquet_format import read_parquet
from nrm_async.files.schema import INVENTORY, REPORT, Schema, restore_inventory
from nrm_async.inventory import Inventory
from nrm_async.models import Ani
from nrm_async.results import BatchReport, CallResult

T = TypeVar("T")


def load_inventory(
    path: FilePath,
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
    columns: ColumnTitles | None = None,
) -> Inventory:
    """Load an inventory from a file written by ``save_inventory`` or ``save_anis``.

    Attributes such as ``complete`` are restored. If the file does not contain them, as with any
    CSV file, the inventory is not ``complete`` and has no ``passes``.

    In a coroutine, run this function in a thread:
    ``await asyncio.to_thread(load_inventory, path)``.

    Args:
        path: Path of the file.
        format: As in ``save_inventory``. CSV columns may be in any order; columns that are not
            fields of ``Ani`` are ignored.
        columns: Column titles by ``Ani`` field, for a file with different titles, or ``None`` to
            ignore the column with the field's name. ``ani`` is an alias of ``phone``. For example,
            ``{"ani": "Phone", "date_activated": None}``.

    Raises:
        FileFormatError: The file is truncated or has different content. The message includes the
            line number.
        InvalidRequestError: The format is unknown, or ``columns`` is invalid.
        ConfigurationError: The extra ``parquet`` is not installed.
        OSError: The file cannot be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nrm_async.files import save_inventory
        >>> saved = Inventory((Ani(1, "2345678901"),), True, True, passes=2, pages=2)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "numbers.jsonl"
        ...     _ = save_inventory(path, saved)
        ...     load_inventory(path) == saved
        True
    """
    schema = _inventory_schema(columns)
    with _open_rows(path, schema, format) as (metadata, rows):
        values = tuple(rows)
    with _naming_file(path):
        return restore_inventory(values, None if metadata is None else metadata.about)


def load_report(
    path: FilePath,
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
) -> BatchReport:
    """Load a report from a file written by ``save_report`` or ``save_results``.

    Results and errors are restored with all details, so ``run_batch(load_report(path).retryable)``
    continues an interrupted batch. A loaded report is not equal to the saved one, because errors
    are compared by identity, and each ``input`` is replaced by its action, or by its text if it is
    not a valid action. Compare actions and outcomes instead.

    Args:
        path: Path of the file.
        format: As in ``save_inventory``. CSV does not store the report's ``elapsed``.

    Raises:
        FileFormatError: The file is truncated or has different content. The message includes the
            line number.
        InvalidRequestError: The format is unknown.
        ConfigurationError: The extra ``parquet`` is not installed.
        OSError: The file cannot be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nrm_async.files import save_report
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "report.csv"
        ...     _ = save_report(path, BatchReport(()))
        ...     load_report(path)
        <BatchReport of 0: nothing>
    """
    with _open_rows(path, REPORT, format) as (metadata, rows):
        results = tuple(rows)
    elapsed = None if metadata is None else metadata.about.get("elapsed")
    return BatchReport(results, elapsed if isinstance(elapsed, int | float) else 0.0)


def read_anis(
    path: FilePath,
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
    columns: ColumnTitles | None = None,
) -> Iterator[Ani]:
    """Iterate over the rows of a saved inventory, in constant memory.

    The arguments and errors are the same as for ``load_inventory``.

    Example::

        blocked = sum(ani.is_blocked_at(25) for ani in read_anis("numbers.parquet"))
    """
    return _iterate(path, _inventory_schema(columns), format_of(path, format))


def read_results(
    path: FilePath,
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
) -> Iterator[CallResult]:
    """Iterate over the results of a saved report, in constant memory.

    The arguments and errors are the same as for ``load_report``.

    Example::

        unknown = [r.ani for r in read_results("report.csv") if r.outcome is Outcome.UNKNOWN]
    """
    return _iterate(path, REPORT, format_of(path, format))


def _inventory_schema(columns: ColumnTitles | None) -> Schema[Ani]:
    """Return the inventory schema with these column titles."""
    if not columns:
        return INVENTORY
    titles = {_FIELD_OF.get(name, name): title for name, title in columns.items()}
    specs = {column.name: column for column in INVENTORY.columns}
    for name, title in titles.items():
        if name not in specs:
            raise InvalidRequestError(f"columns must be for fields of Ani, not {name!r}")
        if title is None and specs[name].is_required:
            raise InvalidRequestError(f"columns must not leave out {name!r}, which Ani requires")
        check_title(name, title)
        specs[name] = attrs.evolve(specs[name], title=title)
    return attrs.evolve(INVENTORY, columns=tuple(specs.values()))


_FIELD_OF: Final = {"ani": "phone"}


def _iterate(path: FilePath, schema: Schema[T], file_format: Format) -> Iterator[T]:
    with _open_rows(path, schema, file_format) as (_metadata, rows):
        yield from rows


@contextmanager
def _open_rows(
    path: FilePath, schema: Schema[T], given_format: Format | None
) -> Iterator[tuple[Metadata | None, Iterator[T]]]:
    file_format = format_of(path, given_format)
    with _naming_file(path), open_for_reading(path, file_format) as file:
        metadata: Metadata | None = None
        if file_format == "csv":
            chunks = read_csv(file, schema.columns)
        else:
            read = read_jsonl if file_format == "jsonl" else read_parquet
            metadata, chunks = read(file, schema.columns, schema.content)
        yield metadata, _decode_rows(schema, metadata, chunks)


def _decode_rows(
    schema: Schema[T], metadata: Metadata | None, chunks: Iterator[Chunk]
) -> Iterator[T]:
    count = 0
    for chunk in chunks:
        for location, cells in zip(chunk.locations, zip(*chunk.cells, strict=True), strict=True):
            try:
                value = schema.from_cells(cells)
            except (ValueError, TypeError) as error:  # the file may be from another program
                raise FileFormatError(f"{location}: {error}") from None
            yield value
            count += 1
    if metadata is not None and metadata.rows not in (None, count):
        raise FileFormatError(
            f"it was truncated or edited: it should have {metadata.rows} rows, but has {count}"
        )


@contextmanager
def _naming_file(path: FilePath) -> Iterator[None]:
    """Prefix error messages with the file name."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(f"{fspath(path)}: {error.message}") from None
    except UnicodeError as error:
        raise FileFormatError(f"{fspath(path)}: it is not valid text: {error}") from None
