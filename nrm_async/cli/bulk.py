"""Actions on many numbers, and what became of each."""

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from itertools import chain, islice
from typing import Any, Final, Literal, TypeAlias

import attrs
from rich.console import Console

from nrm_async import (
    AuthenticationError,
    BatchReport,
    CallResult,
    Failed,
    InvalidRequestError,
    NRMClient,
    Outcome,
    Succeeded,
)
from nrm_async.cli.bars import Bars
from nrm_async.cli.numbers import numbers
from nrm_async.cli.options import Connection
from nrm_async.cli.run import AUTHENTICATION, FAILED, OK
from nrm_async.cli.show import (
    Cell,
    Column,
    complain,
    console,
    counted,
    json_line,
    line,
    side_screen,
    table,
)
from nrm_async.files import BadInput, Format, read_actions, save_report
from nrm_async.files.actions import AnyAction
from nrm_async.files.formats import check_target, format_of
from nrm_async.results.record import ACTIONS

ActionName: TypeAlias = Literal["pause", "activate", "remediate"]

_CALLS: Final[Mapping[ActionName, Callable[..., Awaitable[BatchReport]]]] = {
    "pause": NRMClient.pause_many,
    "activate": NRMClient.activate_many,
    "remediate": NRMClient.remediate_many,
}
_COLUMNS: Final = (Column("ANI", 10), Column("Outcome", 11), Column("Status or error"))


@attrs.frozen
class Files:
    """The file of numbers to act on, and the one for the report, if there are any.

    Raises:
        InvalidRequestError: The report could not be written there, or its name tells no form.
        ConfigurationError: An extra is needed for it that is not installed.
    """

    numbers: str | None = None
    report: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.report is not None:
            check_target(self.report)

    def actions(
        self, name: ActionName, options: Mapping[str, Any]
    ) -> Iterable[AnyAction | BadInput] | None:
        """The actions of the file, whose header is read before anything is sent."""
        if self.numbers is None:
            return None
        actions = read_actions(
            self.numbers, ACTIONS[name], format=_format_of_list(self.numbers), **options
        )
        first = list(islice(actions, 1))
        return chain(first, actions)

    def save(self, report: BatchReport) -> None:
        """Write the report, if it has a file."""
        if self.report is not None:
            save_report(self.report, report)


def _format_of_list(path: str) -> Format:
    """Lists come under any name, such as numbers.txt: what is not told is CSV."""
    try:
        return format_of(path)
    except InvalidRequestError:
        return "csv"


async def act(
    name: ActionName,
    given: Sequence[str],
    options: Mapping[str, str | None],
    files: Files,
    connection: Connection,
    *,
    as_json: bool,
) -> int:
    """Act on the numbers given and print what became of each."""
    output = _Lines(name) if as_json else _Table(console())
    listed = files.actions(name, options)
    # Lines that come one by one are progress themselves.
    with nullcontext() if as_json else Bars(side_screen()) as bars:
        report = await _run(name, given, options, files, connection, output, listed, bars)
    output.end(report)
    files.save(report)
    return _code_of(report)


async def _run(
    name: ActionName,
    given: Sequence[str],
    options: Mapping[str, str | None],
    files: Files,
    connection: Connection,
    output: "_Table | _Lines",
    listed: Iterable[Any] | None,
    bars: Bars | None,
) -> BatchReport:
    async with connection.client(bars) as client:
        inputs = output.until_closed(_inputs(name, given, options, listed))
        if listed is None:
            call = _CALLS[name](client, inputs, on_result=output.take, **options)
        else:  # each line may have a date and more of its own
            call = client.run_batch(inputs, on_result=output.take)
        return await _finished(call, output, files)


async def _inputs(
    name: ActionName,
    given: Sequence[str],
    options: Mapping[str, str | None],
    listed: Iterable[Any] | None,
) -> AsyncIterator[Any]:
    """The numbers given, then those of the file; with one, all of them as actions."""
    async for number in numbers(given):
        yield number if listed is None else _made(name, number, options)
    for action in listed or ():
        yield action


def _made(name: ActionName, number: str, options: Mapping[str, str | None]) -> Any:
    make: Any = ACTIONS[name]
    try:
        return make(number, **options)
    except InvalidRequestError as error:
        return BadInput(number, error)


async def _finished(
    call: Awaitable[BatchReport], output: "_Table | _Lines", files: Files
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
            files.save(report)
        raise


def _code_of(report: BatchReport) -> int:
    if any(isinstance(result.error, AuthenticationError) for result in report.failed):
        return AUTHENTICATION
    return OK if report.ok else FAILED


@attrs.define
class _Output:
    """Where results go; when its reader has gone, no further number is begun."""

    is_closed: bool = attrs.field(default=False, init=False)

    async def until_closed(self, source: AsyncIterator[Any]) -> AsyncIterator[Any]:
        async for item in source:
            if self.is_closed:
                return
            yield item


@attrs.define
class _Table(_Output):
    """Results for people: a table in the order of the input, and the sum of it."""

    screen: Console = attrs.field()

    def take(self, result: CallResult) -> None:
        """Nothing yet: a table is drawn at the end."""

    def end(self, report: BatchReport) -> None:
        table(self.screen, _COLUMNS, (_cells(result) for result in report))
        line(self.screen, summary(report))


@attrs.define
class _Lines(_Output):
    """Results for programs: a line for each as it comes, so an interruption loses none."""

    name: ActionName = attrs.field()
    _written: set[int] = attrs.field(factory=set, init=False)

    def take(self, result: CallResult) -> None:
        try:
            json_line(_plain(result, self.name))
            sys.stdout.flush()
        except OSError:
            self.is_closed = True
            raise
        self._written.add(result.index)

    def end(self, report: BatchReport) -> None:
        for result in report:
            if result.index not in self._written:
                self.take(result)


def summary(report: BatchReport) -> str:
    """The sum of a report, in one line."""
    counts = ", ".join(
        f"{count:,} {_words(outcome)}" for outcome, count in report.counts.items() if count
    )
    return f"{counted(len(report))} in {report.elapsed:.2f} s: {counts or 'nothing to do'}"


def _words(outcome: Outcome) -> str:
    return outcome.value.replace("_", " ")


def _cells(result: CallResult) -> tuple[Cell, ...]:
    said = result.receipt.status if result.ok else result.error.message
    return result.ani, _words(result.outcome), said


def _plain(result: CallResult, name: ActionName) -> dict[str, Any]:
    return {
        "index": result.index,
        "ani": result.ani,
        "action": name,
        "outcome": result.outcome.value,
        "ok": result.ok,
        "attempts": result.attempts,
        "elapsed": round(result.elapsed, 4),
        **(_success(result) if result.ok else _failure(result)),
    }


def _success(result: Succeeded) -> dict[str, Any]:
    return {
        "status": result.receipt.status,
        "error": None,
        "error_type": None,
        "request_id": result.receipt.request_id,
    }


def _failure(result: Failed) -> dict[str, Any]:
    return {
        "status": None,
        "error": result.error.message,
        "error_type": type(result.error).__name__,
        "request_id": getattr(result.error, "request_id", None),
    }
