"""Batch inputs: numbers from arguments, a list in a file, or a report to retry."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Any, BinaryIO, Literal, TypeAlias

import attrs

from nrm_async import (
    Activate,
    BatchReport,
    CallResult,
    InvalidRequestError,
    NRMError,
    Outcome,
    Pause,
    Remediate,
)
from nrm_async.cli.console import pluralize, warn
from nrm_async.cli.options import file_format
from nrm_async.cli.stdin import FROM_STDIN, GivenInputs
from nrm_async.files import BadInput, load_report, read_actions
from nrm_async.files.common import format_of
from nrm_async.files.list_columns import ColumnTitles, check_columns
from nrm_async.files.number_lists import number_of, read_list
from nrm_async.results.record import ACTIONS

ActionName: TypeAlias = Literal["pause", "activate", "remediate"]
Input: TypeAlias = Pause | Activate | Remediate | BadInput


@attrs.define(eq=False)
class InputQueue(AsyncIterator[Input]):
    """An iterator over batch inputs; inputs that were not started can be collected later.

    No input is lost if ``__anext__`` is cancelled.

    Attributes:
        given: Inputs from arguments and standard input.
        listed: Inputs from a file or a report, returned after the given ones.
        unknown: Number of actions left out of a retry because they may have been applied.
    """

    given: GivenInputs[Input]
    listed: Iterator[Input]
    unknown: int = 0
    _returned: list[Input] = attrs.field(factory=list, init=False)

    async def __anext__(self) -> Input:
        if self._returned:
            return self._returned.pop()
        async for item in self.given:
            return item
        for item in self.listed:
            return item
        raise StopAsyncIteration

    def put_back(self, item: Input) -> None:
        """Put an input back at the front of the queue."""
        self._returned.append(item)

    async def drain(self, into: list[Input], max_wait: float) -> bool:
        """Append the remaining inputs to a list; return whether the list is certainly complete.

        Standard input may stay open and idle, so reading stops after ``max_wait`` seconds and
        keeps the inputs received so far. The end of a pipe does not prove completeness: Ctrl-C
        also interrupts the process that writes to the pipe.
        """
        is_certain = self.given.has_certain_end()
        try:
            async with asyncio.timeout(max_wait):
                async for item in self:
                    into.append(item)  # noqa: PERF401 - items before a timeout are kept
        except (OSError, NRMError, asyncio.CancelledError):  # TimeoutError is an OSError
            into.extend(self.listed)  # `--file` follows a standard input that stays open
            return False
        return is_certain


@attrs.frozen
class Inputs:
    """Command arguments that select the numbers to act on.

    Attributes:
        name: The action.
        given: Numbers; ``-`` stands for a list on standard input.
        options: Action options, used for inputs without their own values.
        file: Path of a list of numbers.
        retry: Path of a saved report.
        columns: Column titles by field, for lists in the file and on standard input.

    Raises:
        InvalidRequestError: There are no numbers, or some arguments exclude each other.
    """

    name: ActionName
    given: Sequence[str]
    options: Mapping[str, str | None]
    file: str | None = None
    retry: str | None = None
    columns: ColumnTitles = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        check_columns(self.columns)
        if self.columns and self.file is None and FROM_STDIN not in self.given:
            raise InvalidRequestError(
                "--column and --no-column require a list: --file, or '-' for standard input"
            )
        if self.retry is not None:
            has_options = any(value is not None for value in self.options.values())
            if self.given or self.file is not None or has_options:
                raise InvalidRequestError(
                    "--retry cannot be combined with numbers, --file, --carrier, --note or --date: "
                    "the report contains the actions with their options"
                )
            file_format(self.retry, "--retry")
        elif not self.given and self.file is None:
            raise InvalidRequestError("numbers are missing: pass ANI..., --file or --retry")

    def open(self) -> InputQueue:
        """Return the inputs, after checking the options and the start of each file.

        Raises:
            InvalidRequestError: An option is invalid.
            FileFormatError: ``file`` is not a list, or ``retry`` is not a report.
        """
        if self.retry is not None:
            return self._retryable(load_report(self.retry))
        if self.file is None:  # report an invalid option once, not for each number
            has_numbers = any(item != FROM_STDIN for item in self.given)
            kind: Any = ACTIONS[self.name] if has_numbers else Pause  # a list may have dates
            kind("0000000", **self.options)
            return self._queue(())
        return self._queue(self._listed(self.file))

    def _queue(self, listed: Iterable[Input], unknown: int = 0) -> InputQueue:
        return InputQueue(self.given_inputs(), iter(listed), unknown)

    def given_inputs(self, descriptor: int = 0) -> GivenInputs[Input]:
        """Return the inputs from arguments, reading ``-`` from a file descriptor."""
        return GivenInputs(
            self.given,
            self._to_input,
            lambda file: self._read_list(file, "standard input", may_be_empty=True),
            descriptor,
        )

    def _to_input(self, number: str) -> Input:
        try:
            return self._make(number_of(number))
        except InvalidRequestError as error:
            return BadInput(number, error)

    def _make(self, number: str) -> Pause | Activate | Remediate:
        kind: Any = ACTIONS[self.name]
        action: Pause | Activate | Remediate = kind(number, **self.options)
        return action

    def _listed(self, path: str) -> Iterator[Input]:
        try:
            format_of(path)
        except InvalidRequestError:  # the suffix names no format: lists are often .txt
            file = Path(path).open("rb")  # noqa: SIM115 - closed at its end
            actions = self._read_list(file, path)
        else:
            options: dict[str, Any] = dict(self.options)
            actions = read_actions(path, ACTIONS[self.name], columns=self.columns, **options)
        first = list(islice(actions, 1))  # reads the header, so a bad file fails before any request
        return chain(first, actions)

    def _read_list(
        self, file: BinaryIO, name: str, *, may_be_empty: bool = False
    ) -> Iterator[Input]:
        return read_list(
            file,
            name,
            ACTIONS[self.name],
            columns=self.columns,
            may_be_empty=may_be_empty,
            **self.options,
        )

    def _retryable(self, report: BatchReport) -> InputQueue:
        """Return the actions of this command that are safe to send again; report the others."""
        retryable = {result.index for result in report.retryable}
        again, left_out = list[Any](), Counter[str]()
        for result in report:
            is_retryable = result.index in retryable
            if is_retryable and isinstance(result.action, ACTIONS[self.name]):
                again.append(result.action)
            else:
                left_out[_why_left_out(result, is_retryable=is_retryable)] += 1
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        warn(f"{self.retry}: retrying {pluralize(len(again))}; left out: {reasons or 'none'}")
        return self._queue(again, report.counts[Outcome.UNKNOWN])


def _why_left_out(result: CallResult, *, is_retryable: bool) -> str:
    if is_retryable:
        return "of another action"
    return "bad input" if result.outcome is Outcome.NOT_APPLIED else outcome_text(result.outcome)


def outcome_text(outcome: Outcome) -> str:
    """Return an outcome as words, e.g. "not applied"."""
    return outcome.value.replace("_", " ")
