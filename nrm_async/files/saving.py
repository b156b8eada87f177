"""Inventories and reports to files: streamed, and whole or not at all."""

from collections.abc import AsyncIterable, Iterable
from typing import BinaryIO

from nrm_async.files.formats import FilePath, Format
from nrm_async.files.layout import ANIS, RESULTS
from nrm_async.files.writing import OnProgress, Writing, write, write_stream
from nrm_async.models import Ani
from nrm_async.results import CallResult


def save_inventory(
    target: FilePath | BinaryIO,
    inventory: Iterable[Ani],
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
    for_spreadsheet: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write an inventory, or any rows, to a file.

    A file is written beside its place and put there when it is whole, so a crash leaves the old
    one. How the inventory was read goes along in JSON Lines and Parquet; CSV holds only rows.

    Args:
        target: The file, or something open to write bytes to.
        inventory: An ``Inventory``, or an iterable of ``Ani``, read as it is written.
        format: ``csv``, ``jsonl`` or ``parquet`` (the extra ``parquet``); ``None`` goes by the
            file's suffix. ``.csv.gz`` and ``.jsonl.gz`` are compressed.
        for_spreadsheet: For CSV that people open in a spreadsheet: guards phone numbers, dates
            and the like with an apostrophe too, so that they stay as they are; figures and
            whole-number ids stay numbers. Formulas are guarded in any case, and reading takes
            all guards off.
        on_progress: Called now and then with how many rows are written, in the thread that
            writes them.

    Returns:
        How many rows were written.

    Raises:
        InvalidRequestError: No format fits, or a value cannot be written; the file that was
            there is as it was.
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
    return write(target, ANIS, inventory, Writing(format, for_spreadsheet, on_progress))


def save_report(
    target: FilePath | BinaryIO,
    report: Iterable[CallResult],
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
    for_spreadsheet: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write the results of a batch to a file, a row for each: see ``ResultRecord``.

    Args:
        target: The file, or something open to write bytes to.
        report: A ``BatchReport``, or an iterable of results.
        format: As in ``save_inventory``.
        for_spreadsheet: As in ``save_inventory``.
        on_progress: As in ``save_inventory``.

    Returns:
        How many rows were written.

    Raises:
        InvalidRequestError: As ``save_inventory``.
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
    return write(target, RESULTS, report, Writing(format, for_spreadsheet, on_progress))


async def save_anis(
    target: FilePath | BinaryIO,
    anis: Iterable[Ani] | AsyncIterable[Ani],
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
    for_spreadsheet: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write rows to a file as they come, such as ``client.anis()``, in flat memory.

    Encoding and writing happen in a thread, so the event loop stays free. Nothing is known of
    how a stream was read, so what is loaded from the file does not claim to be complete: save
    an ``Inventory`` for that. Arguments, result and errors as in ``save_inventory``; what the
    stream raises passes through, and the file that was there is as it was.

    Example::

        await save_anis("numbers.parquet", client.anis())
    """
    return await write_stream(target, ANIS, anis, Writing(format, for_spreadsheet, on_progress))


async def save_results(
    target: FilePath | BinaryIO,
    results: Iterable[CallResult] | AsyncIterable[CallResult],
    *,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
    for_spreadsheet: bool = False,
    on_progress: OnProgress | None = None,
) -> int:
    """Write results to a file as they come, such as those of ``client.stream_batch(...)``.

    The file has its name when the batch is over: keep a journal with a ``recorder`` if results
    must outlive a crash in the middle. Otherwise like ``save_anis``.

    Example::

        async with client.stream_batch([Pause("2345678901")]) as results:
            await save_results("report.jsonl", results)
    """
    how = Writing(format, for_spreadsheet, on_progress)
    return await write_stream(target, RESULTS, results, how)
