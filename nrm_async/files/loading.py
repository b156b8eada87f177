"""Inventories and reports from files: as values, or row by row."""

from collections.abc import Iterator
from contextlib import contextmanager
from os import fspath
from typing import BinaryIO, TypeVar

from nrm_async.errors import FileFormatError
from nrm_async.files.about import inventory_of
from nrm_async.files.as_csv import read_csv
from nrm_async.files.as_jsonl import read_jsonl
from nrm_async.files.as_parquet import read_parquet
from nrm_async.files.chunks import Chunk, Description
from nrm_async.files.formats import FilePath, Format, format_of, opened
from nrm_async.files.layout import ANIS, RESULTS, Layout
from nrm_async.inventory import Inventory
from nrm_async.models import Ani
from nrm_async.results import BatchReport, CallResult

T = TypeVar("T")


def load_inventory(
    path: FilePath,
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
) -> Inventory:
    """Read an inventory from a file that ``save_inventory`` or ``save_anis`` wrote.

    It says of itself what the saved one said. A file that does not tell how its rows were read,
    as CSV cannot, gives an inventory that is not ``complete`` and has no ``passes``.

    In a coroutine, run it in a thread: ``await asyncio.to_thread(load_inventory, path)``.

    Args:
        path: The file.
        format: As in ``save_inventory``; columns of CSV may be in any order, and those that
            are not fields of ``Ani`` are passed over.

    Raises:
        FileFormatError: The file is cut short, or holds something else; the message names the
            line.
        InvalidRequestError: No format fits.
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
    with _source(path, ANIS, format) as (description, rows):
        values = tuple(rows)
    with _naming(path):
        return inventory_of(values, None if description is None else description.about)


def load_report(
    path: FilePath,
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
) -> BatchReport:
    """Read a report from a file that ``save_report`` or ``save_results`` wrote.

    Its results tell what the saved ones told, errors with everything that was seen, so
    ``run_batch(load_report(path).retryable)`` goes on where a batch ended. Only their ``input``
    is not what was given but the action, or the text in its place; and errors are never equal to
    each other. So do not compare a report with ``==`` to the saved one, but actions and outcomes.

    Args:
        path: The file.
        format: As in ``save_inventory``. CSV does not tell the ``elapsed`` of the report.

    Raises:
        FileFormatError: As ``load_inventory``, and so the other errors.

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
    with _source(path, RESULTS, format) as (description, rows):
        results = tuple(rows)
    elapsed = None if description is None else description.about.get("elapsed")
    return BatchReport(results, elapsed if isinstance(elapsed, int | float) else 0.0)


def read_anis(
    path: FilePath,
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
) -> Iterator[Ani]:
    """The rows of a saved inventory one by one, in flat memory; errors as in ``load_inventory``.

    Example::

        blocked = sum(ani.is_blocked_at(25) for ani in read_anis("numbers.parquet"))
    """
    return _rows(path, ANIS, format_of(path, format))


def read_results(
    path: FilePath,
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
) -> Iterator[CallResult]:
    """The results of a saved report one by one, in flat memory; errors as in ``load_report``.

    Example::

        unknown = [r.ani for r in read_results("report.csv") if r.outcome is Outcome.UNKNOWN]
    """
    return _rows(path, RESULTS, format_of(path, format))


def _rows(path: FilePath, layout: Layout[T], form: Format) -> Iterator[T]:
    with _source(path, layout, form) as (_description, rows):
        yield from rows


@contextmanager
def _source(
    path: FilePath, layout: Layout[T], form: Format | None
) -> Iterator[tuple[Description | None, Iterator[T]]]:
    form = format_of(path, form)
    with _naming(path), opened(path, form) as file:
        description, chunks = _read(file, layout, form)
        yield description, _values(layout, description, chunks)


def _read(
    file: BinaryIO, layout: Layout[T], form: Format
) -> tuple[Description | None, Iterator[Chunk]]:
    if form == "csv":
        return None, read_csv(file, layout.columns)
    read = read_jsonl if form == "jsonl" else read_parquet
    return read(file, layout.columns, layout.content)


def _values(
    layout: Layout[T], description: Description | None, chunks: Iterator[Chunk]
) -> Iterator[T]:
    count = 0
    for chunk in chunks:
        for place, cells in zip(chunk.places, zip(*chunk.cells, strict=True), strict=True):
            try:
                value = layout.value_of(cells)
            except (ValueError, TypeError) as error:  # details may be of anybody's making
                raise FileFormatError(f"{place}: {error}") from None
            yield value
            count += 1
    if description is not None and description.rows not in (None, count):
        raise FileFormatError(
            f"it was cut short, or changed since: it says {description.rows} rows and has {count}"
        )


@contextmanager
def _naming(path: FilePath) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except FileFormatError as error:
        raise FileFormatError(f"{fspath(path)}: {error.message}") from None
    except UnicodeError as error:
        raise FileFormatError(f"{fspath(path)}: it is not text: {error}") from None
