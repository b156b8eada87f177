"""Rows to a file of any form, from an iterable here or from a stream, without holding it up."""

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
from nrm_async.files.as_csv import CsvSink
from nrm_async.files.as_jsonl import JsonlSink
from nrm_async.files.as_parquet import ParquetSink
from nrm_async.files.chunks import Sink
from nrm_async.files.draft import Draft
from nrm_async.files.formats import FilePath, Format, format_of, is_packed
from nrm_async.files.layout import Layout

T = TypeVar("T")

# Few enough to keep memory flat and the event loop free, enough to work a column at a time.
_ROWS_AT_ONCE: Final = 2_000
_GZIP_LEVEL: Final = 6  # gzip's own default; Python's, 9, wins a percent for twice the time

OnProgress: TypeAlias = Callable[[int], object]


@attrs.frozen
class Writing:
    """How to write, as the caller wants it."""

    format: Format | None
    for_spreadsheet: bool
    on_progress: OnProgress | None

    def progressed(self, count: int) -> None:
        """Tell whoever wants to know."""
        if self.on_progress is not None:
            self.on_progress(count)


def write(
    target: FilePath | BinaryIO,
    layout: Layout[T],
    values: Iterable[T],
    how: Writing,
) -> int:
    """Write all values; says how many."""
    count, iterator = 0, iter(values)
    with _sink(target, layout, values, how) as sink:
        while portion := list(islice(iterator, _ROWS_AT_ONCE)):
            sink.add(list(map(layout.row_of, portion)))
            count += len(portion)
            how.progressed(count)
    return count


async def write_stream(
    target: FilePath | BinaryIO,
    layout: Layout[T],
    values: Iterable[T] | AsyncIterable[T],
    how: Writing,
) -> int:
    """Write values as they come, in threads; says how many."""
    count = 0
    async with _in_threads(_sink(target, layout, values, how)) as sink:

        def add(portion: list[T]) -> None:
            sink.add(list(map(layout.row_of, portion)))
            how.progressed(count + len(portion))

        async for portion in _portions(values):
            await _finished(add, portion)
            count += len(portion)
    return count


@contextmanager
def _sink(
    target: FilePath | BinaryIO,
    layout: Layout[T],
    source: object,
    how: Writing,
) -> Iterator[Sink]:
    """Where rows go; the file takes its place when the block ends well."""
    form = how.format
    if isinstance(target, str | PathLike):
        form = format_of(target, form)
    elif form is None:
        raise InvalidRequestError("format must be given for a file that is open already")
    if how.for_spreadsheet and form != "csv":
        raise InvalidRequestError(f"for_spreadsheet is for csv, not {form}")
    description = layout.describe(cast("Any", source))
    with _file(target, form) as file:
        sink: Sink
        if form == "csv":
            sink = CsvSink(file, layout.columns, for_spreadsheet=how.for_spreadsheet)
        elif form == "jsonl":
            sink = JsonlSink(file, layout.columns, description)
        else:
            sink = ParquetSink(file, layout.columns, description)
        with closing(sink):
            yield sink


@contextmanager
def _file(target: FilePath | BinaryIO, form: Format) -> Iterator[BinaryIO]:
    if not isinstance(target, str | PathLike):
        yield target
        return
    with Draft(target) as draft:
        if is_packed(target, form):
            with gzip.GzipFile("", "wb", _GZIP_LEVEL, draft.file, mtime=0) as packed:
                yield cast("BinaryIO", packed)
        else:
            yield draft.file
        draft.commit()


async def _portions(values: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[list[T]]:
    portion: list[T] = []
    if isinstance(values, AsyncIterable):
        async for value in values:
            portion.append(value)
            if len(portion) == _ROWS_AT_ONCE:
                yield portion
                portion = []
    else:
        iterator = iter(values)
        while portion := list(islice(iterator, _ROWS_AT_ONCE)):
            yield portion
    if portion:
        yield portion


@asynccontextmanager
async def _in_threads(manager: AbstractContextManager[T]) -> AsyncIterator[T]:
    """The same context, entered and left in threads."""
    try:
        yield await _finished(manager.__enter__)
    except BaseException as error:
        await _finished(manager.__exit__, type(error), error, error.__traceback__)
        raise
    await _finished(manager.__exit__, None, None, None)


async def _finished(work: Callable[..., T], *arguments: Any) -> T:
    """Do it in a thread, and wait for its end even when cancelled.

    Half of a write must not go on behind the back of what cleans up after it.
    """
    cancelled: asyncio.CancelledError | None = None
    with anyio.CancelScope(shield=True):
        task = asyncio.ensure_future(to_thread.run_sync(work, *arguments))
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                cancelled = error
    if cancelled is not None:
        task.exception()  # seen, so that nobody complains that it was not
        raise cancelled
    return task.result()
