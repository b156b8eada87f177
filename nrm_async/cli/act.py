"""Act on numbers: run the batch, print the results, save the report, handle interruption."""

import asyncio
import shlex
from collections.abc import Awaitable, Sequence
from contextlib import nullcontext
from itertools import count
from pathlib import Path
from typing import Final

import attrs

from nrm_async import (
    AuthenticationError,
    BatchReport,
    BatchStoppedError,
    Failed,
    InvalidRequestError,
    NRMError,
    Outcome,
)
from nrm_async.actions import Action
from nrm_async.cli.console import ProgressBars, pluralize, stderr_console, stdout_console, warn
from nrm_async.cli.exit_codes import (
    AUTHENTICATION,
    FAILED,
    OK,
    is_wrong_base_url,
    wrong_base_url,
)
from nrm_async.cli.inputs import ActionName, Input, InputQueue, Inputs
from nrm_async.cli.options import Connection, file_format
from nrm_async.cli.results import JsonLinesOutput, Output, TableOutput
from nrm_async.cli.signals import ignore_signals
from nrm_async.files import BadInput, save_report
from nrm_async.files.common import check_target

_INTERRUPTED: Final = "interrupted"

# Seconds to keep reading standard input after a signal: enough for a program that pipes a list.
_DRAIN_TIMEOUT: Final = 2.0


@attrs.frozen
class ReportFile:
    """The file to save the report to, if any.

    Attributes:
        name: The action.
        path: The path, or ``None`` to save no report.
        options: Connection options given on the command line, to repeat in the resume command.

    Raises:
        InvalidRequestError: The file cannot be written, or its suffix is unknown.
        ConfigurationError: The format needs an extra that is not installed.
    """

    name: ActionName
    path: str | None = None
    options: Sequence[str] = ()

    def __attrs_post_init__(self) -> None:
        if self.path is not None:
            file_format(self.path, "--report")
            check_target(self.path)

    def check_differs(self, *, file: str | None, retry: str | None) -> None:
        """Check that the report does not overwrite an input, even through a link.

        Raises:
            InvalidRequestError: The report and an input are the same file.
        """
        if self._is(file):
            raise InvalidRequestError(
                "--report must name a different file from --file, which it would overwrite"
            )
        if self._is(retry):
            raise InvalidRequestError(
                "--report must name a different file from --retry, which also contains the results "
                "that are not retried"
            )

    def _is(self, other: str | None) -> bool:
        if self.path is None or other is None or not Path(self.path).exists():
            return False
        return Path(self.path).samefile(other)

    def save(self, report: BatchReport) -> None:
        """Save the report, if a path is set."""
        if self.path is not None:
            save_report(self.path, report)

    def resume_command(self) -> str:
        """Return the shell command that retries this report and saves a new one."""
        path = str(self.path)
        words = ("nrm-async", self.name, "--retry", path, "--report", _unused_name(path))
        return shlex.join((*words, *self.options))


def _unused_name(report: str) -> str:
    path = Path(report)
    suffix = "".join(path.suffixes[-2:]) if path.suffix == ".gz" else path.suffix
    stem = report.removesuffix(suffix)
    return next(name for n in count(2) if not Path(name := f"{stem}-{n}{suffix}").exists())


@attrs.define
class Unstarted:
    """Inputs that an interrupted batch did not start, as results that are safe to retry.

    Attributes:
        reason: Why the batch ended early.
        results: A result for each input, in input order.
        is_complete: Whether no input is missing. False if standard input is still open, or if its
            writer may have been interrupted too.
    """

    reason: str
    results: list[Failed] = attrs.field(factory=list)
    is_complete: bool = False

    async def collect(self, queue: InputQueue, first: int) -> None:
        """Collect all remaining inputs, numbering them from ``first``."""
        items: list[Input] = []
        try:
            is_complete = await queue.drain(items, _DRAIN_TIMEOUT)
        finally:  # keep what was drained, even after a second Ctrl-C
            with ignore_signals():
                self.results = [
                    self._result(index, item) for index, item in enumerate(items, first)
                ]
        self.is_complete = is_complete

    def _result(self, index: int, item: Input) -> Failed:
        action: Action | None = None
        if isinstance(item, BadInput):
            error: NRMError = item.error
        else:
            action = item
            error = BatchStoppedError(NRMError(self.reason)).at("POST", item.path, 0, 0.0)
        return Failed(
            index=index, input=item, action=action, outcome=Outcome.NOT_APPLIED, error=error
        )


async def act(inputs: Inputs, file: ReportFile, connection: Connection, *, as_json: bool) -> int:
    """Act on the numbers, print the results and return the exit code."""
    output: Output = JsonLinesOutput(inputs.name) if as_json else TableOutput(stdout_console())
    queue = inputs.open()
    saved: BatchReport | None = None
    try:
        # JSON Lines output already shows progress.
        with nullcontext() if as_json else ProgressBars(stderr_console()) as bars:
            async with connection.client(bars) as client:
                call = client.run_batch(output.inputs_until_closed(queue), on_result=output.write)
                report = await _finished(call, queue, output, file)
                _save(report, report, output, file)  # before anything else can fail
                saved = report
    finally:
        if saved is not None:  # even if a signal arrived while the client was closing
            output.finish(saved)
    return _exit_code(report, queue)


async def _finished(
    call: Awaitable[BatchReport],
    queue: InputQueue,
    output: Output,
    file: ReportFile,
) -> BatchReport:
    """Wait for the batch; if it ends early, save and print the results so far and re-raise."""
    try:
        return await call
    except BaseException as error:
        report = getattr(error, "report", None)
        if isinstance(report, BatchReport):
            await _wrap_up(report, _reason(error, output), queue, output, file)
        raise


def _reason(error: BaseException, output: Output) -> str | None:
    """Return why the batch ended, or ``None`` if the error message already explains it."""
    if isinstance(error, asyncio.CancelledError):
        return _INTERRUPTED
    return "the output was closed" if output.is_closed else None


async def _wrap_up(
    report: BatchReport,
    reason: str | None,
    queue: InputQueue,
    output: Output,
    file: ReportFile,
) -> None:
    """Save the results and the inputs that were not started; print only the results."""
    unstarted = Unstarted(reason or "")
    try:
        if reason is not None and file.path is not None:
            await unstarted.collect(queue, len(report))
    finally:
        whole = BatchReport((*report, *unstarted.results), report.elapsed)
        with ignore_signals():
            _save(whole, report, output, file)
        try:
            output.finish(report)
        finally:
            if reason is not None:
                _explain(whole, unstarted, file)


def _save(
    report: BatchReport,
    printed: BatchReport,
    output: Output,
    file: ReportFile,
) -> None:
    """Save the report; if that fails, print the results so that they are not lost."""
    try:
        file.save(report)
    except BaseException:
        output.finish(printed)
        raise


def _explain(report: BatchReport, unstarted: Unstarted, file: ReportFile) -> None:
    """Report how many inputs were not started and how to resume."""
    if file.path is None:
        if unstarted.reason == _INTERRUPTED:
            warn("interrupted: numbers that are not shown were not started")
        return
    warn(f"{unstarted.reason}: {pluralize(len(unstarted.results))} not started; see the report")
    if not unstarted.is_complete:
        warn(
            f"standard input may have been longer: the report contains {pluralize(len(report))}, "
            "and no more"
        )
    if report.retryable:
        warn(f"resume with: {file.resume_command()}")


def _exit_code(report: BatchReport, queue: InputQueue) -> int:
    """Return the exit code; if the base URL looks wrong, warn once instead of per number."""
    lost = next((one.error for one in report.failed if is_wrong_base_url(one.error)), None)
    if lost is not None:
        warn(wrong_base_url(lost))
    if any(isinstance(result.error, AuthenticationError) for result in report.failed):
        return AUTHENTICATION
    return OK if report.ok and not queue.unknown else FAILED
