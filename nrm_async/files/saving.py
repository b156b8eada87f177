"""Save inventories and reports to files atomically, in constant memory."""

import asyncio
import gzip
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, closing, contextmanager
from itertools import islice
from os import PathLike
from typing import Any, BinaryIO, Final, TypeAlias, TypeVar, cast

import anyio
import attrs
from anyio import to_thread

from nrm_async.errors import InvalidRequestError
from nrm_async.files.atomic import AtomicFile
from nrm_async.files.common import FilePath, Format, RowWriter, format_of, is_gzipped
from nrm_async.files.csv_format import CsvWriter
from nrm_async.files.jsonl_format import JsonlWriter
from nrm_async.files.parquet_format import ParquetWriter
from nrm_async.files.schema import INVENTORY, REPORT, Schema
from nrm_async.models import Ani
from nrm_async.results import CallResult

T = TypeVar("T")

# Small enough to limit memory and blocking, large enough to encode efficiently by column.
_CHUNK_ROWS: Final = 2_000
_GZIP_LEVEL: Final = 6  # gzip's default; Python's default, 9, saves 1% in twice the time

OnProgress: TypeAlias = Callable[[int], object]


def save_inventory(
    target: FilePath | BinaryIO,
    inventory: Iterable[Ani],
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
    for_spreadsheet: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write an inventory, or any rows, to a file.

    The data is written to a temporary file, which is renamed when it is complete, so a crash leaves
    the old file unchanged. JSON Lines and Parquet also store how the inventory was read; CSV only
    stores the rows.

    Args:
        target: Path of the file, or a binary file open for writing.
        inventory: An ``Inventory``, or an iterable of ``Ani``, consumed while writing.
        format: ``csv``, ``jsonl`` or ``parquet`` (requires the extra ``parquet``). By default, the
            format is derived from the suffix. ``.csv.gz`` and ``.jsonl.gz`` are compressed.
        for_spreadsheet: For CSV, whether to also escape phone numbers, dates and similar text with
            an apostrophe, so that spreadsheets display them unchanged. Statistics and integer ids
            remain numbers. Formulas are always escaped. Reading removes these apostrophes.
        on_progress: Called after each chunk with the number of rows written so far, in the thread
            that writes.

    Returns:
        The number of rows written.

    Raises:
        InvalidRequestError: The format is unknown, or a value cannot be written. The old file is
            unchanged.
        ConfigurationError: The extra is not installed.
        OSError: The file cannot be written.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> save_inventory(file, [Ani(1, "2345678901", brand="=Acme")], format="csv")
        1
        >>> file.getvalue().splitlines()[1][:22]
        b"1,2345678901,'=Acme,,,"
    """
    return _write(target, INVENTORY, inventory, _Options(format, for_spreadsheet, on_progress))


def save_report(
    target: FilePath | BinaryIO,
    report: Iterable[CallResult],
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
    for_spreadsheet: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write batch results to a file, one row per result, with the columns of ``ResultRecord``.

    Args:
        target: Path of the file, or a binary file open for writing.
        report: A ``BatchReport``, or an iterable of results.
        format: As in ``save_inventory``.
        for_spreadsheet: As in ``save_inventory``.
        on_progress: As in ``save_inventory``.

    Returns:
        The number of rows written.

    Raises:
        InvalidRequestError: The format is unknown, or a value cannot be written. The old file is
            unchanged.
        ConfigurationError: The extra is not installed.
        OSError: The file cannot be written.

    Example:
        >>> import io
        >>> from nrm_async import BatchReport
        >>> file = io.BytesIO()
        >>> save_report(file, BatchReport(()), format="csv")
        0
        >>> file.getvalue()[:41]
        b'index,ani,action,carrier,note,date,outcom'
    """
    return _write(target, REPORT, report, _Options(format, for_spreadsheet, on_progress))


async def save_anis(
    target: FilePath | BinaryIO,
    anis: Iterable[Ani] | AsyncIterable[Ani],
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
    for_spreadsheet: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write a stream of rows to a file, such as ``client.anis()``, in constant memory.

    Rows are encoded and written in a thread, which does not block the event loop. An inventory
    loaded from the file is never ``complete``: to preserve ``complete``, save an ``Inventory``.
    The arguments, return value and errors are the same as for ``save_inventory``. An exception
    raised by the stream propagates and leaves the old file unchanged.

    Example::

        await save_anis("numbers.parquet", client.anis())
    """
    options = _Options(format, for_spreadsheet, on_progress)
    return await _write_stream(target, INVENTORY, anis, options)


async def save_results(
    target: FilePath | BinaryIO,
    results: Iterable[CallResult] | AsyncIterable[CallResult],
    *,
    format: Format | None = None,  # noqa: A002 - the usual name
    for_spreadsheet: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write a stream of results to a file, such as ``client.stream_batch(...)``.

    The file is only created at the end of the stream. If results must survive a crash during the
    batch, pass a ``recorder`` to the batch. Otherwise, this function is like ``save_anis``.

    Example::

        async with client.stream_batch([Pause("2345678901")]) as results:
            await save_results("report.jsonl", results)
    """
    options = _Options(format, for_spreadsheet, on_progress)
    return await _write_stream(target, REPORT, results, options)


@attrs.frozen
class _Options:
    format: Format | None
    for_spreadsheet: bool
    on_progress: OnProgress | None

    def report_progress(self, count: int) -> None:
        if self.on_progress is not None:
            self.on_progress(count)


def _write(
    target: FilePath | BinaryIO, schema: Schema[T], values: Iterable[T], options: _Options
) -> int:
    count, iterator = 0, iter(values)
    with _open_writer(target, schema, values, options) as writer:
        while chunk := list(islice(iterator, _CHUNK_ROWS)):
            writer.write_rows(list(map(schema.to_row, chunk)))
            count += len(chunk)
            options.report_progress(count)
    return count


async def _write_stream(
    target: FilePath | BinaryIO,
    schema: Schema[T],
    values: Iterable[T] | AsyncIterable[T],
    options: _Options,
) -> int:
    count = 0
    async with _entered_in_thread(_open_writer(target, schema, values, options)) as writer:

        def write(chunk: list[T]) -> None:
            writer.write_rows(list(map(schema.to_row, chunk)))
            options.report_progress(count + len(chunk))

        async for chunk in _chunked(values):
            await _run_in_thread(write, chunk)
            count += len(chunk)
    return count


@contextmanager
def _open_writer(
    target: FilePath | BinaryIO, schema: Schema[T], values: object, options: _Options
) -> Iterator[RowWriter]:
    """Open a writer, and replace the target if the block exits without an error."""
    file_format = options.format
    if isinstance(target, str | PathLike):
        file_format = format_of(target, file_format)
    elif file_format is None:
        raise InvalidRequestError("format must be given for a file that is open already")
    if options.for_spreadsheet and file_format != "csv":
        raise InvalidRequestError(f"for_spreadsheet is for csv, not {file_format}")
    metadata = schema.metadata_of(cast("Any", values))
    with _open_target(target, file_format) as file:
        writer: RowWriter
        if file_format == "csv":
            writer = CsvWriter(file, schema.columns, for_spreadsheet=options.for_spreadsheet)
        elif file_format == "jsonl":
            writer = JsonlWriter(file, schema.columns, metadata)
        else:
            writer = ParquetWriter(file, schema.columns, metadata)
        with closing(writer):
            yield writer


@contextmanager
def _open_target(target: FilePath | BinaryIO, file_format: Format) -> Iterator[BinaryIO]:
    if not isinstance(target, str | PathLike):
        yield target
        return
    with AtomicFile(target) as new:
        if is_gzipped(target, file_format):
            # Without a name and time, so that equal rows produce equal files.
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, new.file, mtime=0) as packed:
                yield cast("BinaryIO", packed)
        else:
            yield new.file
        new.commit()


async def _chunked(values: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[list[T]]:
    chunk: list[T] = []
    if isinstance(values, AsyncIterable):
        async for value in values:
            chunk.append(value)
            if len(chunk) == _CHUNK_ROWS:
                yield chunk
                chunk = []
    else:
        iterator = iter(values)
        while chunk := list(islice(iterator, _CHUNK_ROWS)):
            yield chunk
    if chunk:
        yield chunk


@asynccontextmanager
async def _entered_in_thread(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """Enter and exit a context manager in worker threads."""
    try:
        yield await _run_in_thread(manager.__enter__)
    except BaseException as error:
        await _run_in_thread(manager.__exit__, type(error), error, error.__traceback__)
        raise
    await _run_in_thread(manager.__exit__, None, None, None)


async def _run_in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Run a function in a thread, and wait until it returns even if cancelled.

    A write must not continue while the temporary file is deleted.
    """
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        task = asyncio.ensure_future(to_thread.run_sync(function, *arguments))
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        task.exception()  # prevents the log message "exception was never retrieved"
        raise cancelled
    return task.result()
