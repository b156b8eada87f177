"""Actions on many numbers: from the inputs to the report."""

import asyncio
from collections.abc import Awaitable
from contextlib import nullcontext
from pathlib import Path

import attrs

from nrm_async import AuthenticationError, BatchReport, InvalidRequestError
from nrm_async.cli.bars import Bars
from nrm_async.cli.inputs import Inputs
from nrm_async.cli.options import Connection, format_of_file
from nrm_async.cli.outcomes import Lines, Shown
from nrm_async.cli.run import AUTHENTICATION, FAILED, OK, WRONG_PLACE, is_wrong_place
from nrm_async.cli.show import complain, console, side_screen
from nrm_async.files import save_report
from nrm_async.files.formats import check_target


@attrs.frozen
class ReportFile:
    """Where the report goes, if it is wanted.

    Raises:
        InvalidRequestError: It could not be written there, or its name tells no form.
        ConfigurationError: An extra is needed for it that is not installed.
    """

    path: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.path is not None:
            format_of_file(self.path, "--report")
            check_target(self.path)

    def check_beside(self, retry: str | None) -> None:
        """Do not write over the report that is read: what is left out would be forgotten.

        Raises:
            InvalidRequestError: They are the same file.
        """
        if self.path and retry and Path(self.path).resolve() == Path(retry).resolve():
            raise InvalidRequestError(
                "--report must be another file than --retry, which knows more than what is sent"
            )

    def save(self, report: BatchReport) -> None:
        """Write the report, if it has a file."""
        if self.path is not None:
            save_report(self.path, report)


async def act(inputs: Inputs, file: ReportFile, connection: Connection, *, as_json: bool) -> int:
    """Act on the numbers and print what became of each."""
    output = Lines(inputs.name) if as_json else Shown(console())
    actions = output.until_closed(inputs.opened())
    # Lines that come one by one are progress themselves.
    with nullcontext() if as_json else Bars(side_screen()) as bars:
        async with connection.client(bars) as client:
            call = client.run_batch(actions, on_result=output.take)
            report = await _finished(call, output, file)
    output.end(report)
    file.save(report)
    return _code_of(report)


async def _finished(
    call: Awaitable[BatchReport], output: Shown | Lines, file: ReportFile
) -> BatchReport:
    """Wait for the batch; if something ends it early, show what is known all the same."""
    try:
        return await call
    except BaseException as error:
        report = getattr(error, "report", None)
        if isinstance(report, BatchReport) and not output.is_closed:
            output.end(report)
            if isinstance(error, asyncio.CancelledError):
                complain("interrupted: what is not shown was not begun")
        if isinstance(report, BatchReport):
            file.save(report)
        raise


def _code_of(report: BatchReport) -> int:
    """The exit code; a place that is not the API is told of once, not for each number."""
    if any(is_wrong_place(result.error) for result in report.failed):
        complain(WRONG_PLACE)
    if any(isinstance(result.error, AuthenticationError) for result in report.failed):
        return AUTHENTICATION
    return OK if report.ok else FAILED
