"""Actions on many numbers: from the inputs to the report."""

import asyncio
from collections.abc import Awaitable
from contextlib import nullcontext
from typing import Final

from nrm_async import AuthenticationError, BatchReport
from nrm_async.cli.bars import Bars
from nrm_async.cli.inputs import Inputs
from nrm_async.cli.leftover import Leftover, undisturbed
from nrm_async.cli.options import Connection
from nrm_async.cli.outcomes import Lines, Shown
from nrm_async.cli.queue import Queue
from nrm_async.cli.report_file import ReportFile
from nrm_async.cli.run import AUTHENTICATION, FAILED, OK, is_wrong_place, wrong_place
from nrm_async.cli.show import complain, console, side_screen

_INTERRUPTED: Final = "interrupted"


async def act(inputs: Inputs, file: ReportFile, connection: Connection, *, as_json: bool) -> int:
    """Act on the numbers and print what became of each."""
    output = Lines(inputs.name) if as_json else Shown(console())
    queue = inputs.opened()
    # Lines that come one by one are progress themselves.
    with nullcontext() if as_json else Bars(side_screen()) as bars:
        async with connection.client(bars) as client:
            call = client.run_batch(output.until_closed(queue), on_result=output.take)
            report = await _finished(call, queue, output, file)
            _keep(report, report, output, file)  # before anything else can end the command
    output.end(report)
    return _code_of(report, queue)


async def _finished(
    call: Awaitable[BatchReport], queue: Queue, output: Shown | Lines, file: ReportFile
) -> BatchReport:
    """Wait for the batch; if something ends it early, tell and keep what is known all the same."""
    try:
        return await call
    except BaseException as error:
        report = getattr(error, "report", None)
        if isinstance(report, BatchReport):
            leftover = Leftover(_reason(error, output))
            await _cut_off(report, leftover, queue, output, file)
        raise


def _reason(error: BaseException, output: Shown | Lines) -> str | None:
    if isinstance(error, asyncio.CancelledError):
        return _INTERRUPTED
    return "the output was closed" if output.is_closed else None


async def _cut_off(
    report: BatchReport, leftover: Leftover, queue: Queue, output: Shown | Lines, file: ReportFile
) -> None:
    """Keep and show what is known; what was not begun goes into the report only."""
    try:
        if leftover.reason is not None and file.path is not None:
            await leftover.take(queue, len(report))
    finally:
        with undisturbed():
            whole = leftover.after(report)
            _keep(whole, report, output, file)
        try:
            output.end(report)
        finally:
            _tell(whole, leftover, file)


def _keep(report: BatchReport, shown: BatchReport, output: Shown | Lines, file: ReportFile) -> None:
    """Save the report; where that fails, the screen is the only place that is left."""
    try:
        file.save(report)
    except BaseException:
        output.end(shown)
        raise


def _tell(report: BatchReport, leftover: Leftover, file: ReportFile) -> None:
    if leftover.reason is None:
        return
    if file.path is not None:
        leftover.tell(report)
        if report.retryable:
            complain(f"go on with: {file.way_on()}")
    elif leftover.reason == _INTERRUPTED:
        complain("interrupted: what is not shown was not begun")


def _code_of(report: BatchReport, queue: Queue) -> int:
    """The exit code; a place that is not the API is told of once, not for each number."""
    lost = next((one.error for one in report.failed if is_wrong_place(one.error)), None)
    if lost is not None:
        complain(wrong_place(lost))
    if any(isinstance(result.error, AuthenticationError) for result in report.failed):
        return AUTHENTICATION
    return OK if report.ok and not queue.unknown else FAILED
