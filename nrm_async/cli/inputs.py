"""What to act on: numbers given, a file of them, or what a report left to do."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice
from typing import Any, Literal, TypeAlias

import attrs

from nrm_async import BatchReport, CallResult, InvalidRequestError, Outcome
from nrm_async.cli.numbers import Numbers
from nrm_async.cli.options import format_of_file
from nrm_async.cli.queue import Queue
from nrm_async.cli.show import complain, counted
from nrm_async.files import BadInput, Format, load_report, read_actions
from nrm_async.files.actions import AnyAction, number_of
from nrm_async.files.formats import format_of
from nrm_async.results.record import ACTIONS

ActionName: TypeAlias = Literal["pause", "activate", "remediate"]


@attrs.frozen
class Inputs:
    """The actions to do, from arguments and a file, or from the report of another run.

    Attributes:
        name: What to do.
        given: Numbers; ``-`` stands for those on standard input.
        options: What describes the action to the API, where the file does not.
        file: A list of numbers.
        retry: A saved report.

    Raises:
        InvalidRequestError: There are none, or they contradict each other.
    """

    name: ActionName
    given: Sequence[str]
    options: Mapping[str, str | None]
    file: str | None = None
    retry: str | None = None

    def __attrs_post_init__(self) -> None:
        if self.retry is not None:
            self._check_retry(self.retry)
        elif not self.given and self.file is None:
            raise InvalidRequestError("numbers are missing: give ANI..., --file or --retry")

    def _check_retry(self, retry: str) -> None:
        told = {name: value for name, value in self.options.items() if value is not None}
        if self.given or self.file is not None or told:
            raise InvalidRequestError(
                "--retry takes no numbers, no --file, and no --carrier, --note or --date: "
                "the report has the actions as they were"
            )
        format_of_file(retry, "--retry")

    def opened(self) -> Queue:
        """The actions; what can be checked before the first of them is checked now.

        Raises:
            InvalidRequestError: An option breaks its rule.
            FileFormatError: The file is no list, or the report is none.
        """
        if self.retry is not None:
            return self._left_to_do(load_report(self.retry))
        if self.file is None:
            self._make("0000000")  # options that fit no number are told now, and once
            return self._queue(())
        return self._queue(self._listed(self.file))

    def _queue(self, listed: Iterable[AnyAction | BadInput], unknown: int = 0) -> Queue:
        return Queue(Numbers(self.given), self._made, iter(listed), unknown)

    def _made(self, number: str) -> AnyAction | BadInput:
        try:
            return self._make(number_of(number))
        except InvalidRequestError as error:
            return BadInput(number, error)

    def _make(self, number: str) -> AnyAction:
        make: Any = ACTIONS[self.name]
        made: AnyAction = make(number, **self.options)
        return made

    def _listed(self, path: str) -> Iterator[AnyAction | BadInput]:
        options: dict[str, Any] = dict(self.options)
        actions = read_actions(path, ACTIONS[self.name], format=_format_of_list(path), **options)
        first = list(islice(actions, 1))  # reads the header
        return chain(first, actions)

    def _left_to_do(self, report: BatchReport) -> Queue:
        """The actions of this command that are safe to send again; the others are told of."""
        safe = {result.index for result in report.retryable}
        again, left_out = list[Any](), Counter[str]()
        for result in report:
            if result.index in safe and isinstance(result.action, ACTIONS[self.name]):
                again.append(result.action)
            else:
                left_out[_why_not(result, is_safe=result.index in safe)] += 1
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in left_out.items())
        complain(f"{self.retry}: {counted(len(again))} again; left out: {reasons or 'none'}")
        return self._queue(again, report.counts[Outcome.UNKNOWN])


def _why_not(result: CallResult, *, is_safe: bool) -> str:
    if is_safe:
        return "of another action"
    return "bad input" if result.outcome is Outcome.NOT_APPLIED else words(result.outcome)


def words(outcome: Outcome) -> str:
    """An outcome as people write it."""
    return outcome.value.replace("_", " ")


def _format_of_list(path: str) -> Format:
    """Lists come under any name, such as numbers.txt: what is not told is CSV."""
    try:
        return format_of(path)
    except InvalidRequestError:
        return "csv"
