"""What a batch is told: its inputs, how they are carried out, and when to stop."""

import sys
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from typing import Final, Protocol, TypeAlias, TypedDict

import attrs

from nrm_async._flight import Flight
from nrm_async.actions import Action
from nrm_async.batch.watch import Watch
from nrm_async.config import OnUnknown
from nrm_async.errors import InvalidRequestError
from nrm_async.results import CallResult

Inputs: TypeAlias = Iterable[object] | AsyncIterable[object]
Prepare: TypeAlias = Callable[[object], Action]
Call: TypeAlias = Callable[[int, object, Action, Flight], Awaitable[CallResult]]
OnResult: TypeAlias = Callable[[CallResult], object]

# Memory stays flat whatever the length of the input and the speed of the consumer.
READ_AHEAD: Final = 1_000


class Recorder(Protocol):
    """Is told of each item before it is sent and after it is decided; both are awaited.

    The place for a durable journal. If it raises, no further item is sent, and its error is
    raised at the end of the batch.
    """

    async def intent(self, index: int, action: Action) -> None:
        """The action is about to be sent; no byte of it has left."""

    async def outcome(self, result: CallResult) -> None:
        """The item is decided. An intent without an outcome means: unknown."""


class BatchKeywords(TypedDict, total=False):
    """What else a batch may be told, by keyword.

    Attributes:
        on_unknown: As for single calls: ``"confirm"`` lost answers or ``"report"`` them.
        deadline: Seconds for the whole batch. After that no item is begun any more, and no call
            goes on for longer than the attempt in flight; a recorder is waited for.
        max_refused: The share of refusals, from 0 to 1, above which the batch is stopped; it is
            looked at from 20 answers on. Off if left out.
        recorder: A ``Recorder``: is told of each item before it is sent and after.
    """

    on_unknown: OnUnknown | None
    deadline: float | None
    max_refused: float | None
    recorder: Recorder | None


def check_keywords(given: BatchKeywords) -> None:
    """Refuse keywords and numbers that a batch does not take.

    Raises:
        TypeError: There is no such keyword.
        InvalidRequestError: A number breaks its rule.
    """
    if unknown := given.keys() - BatchKeywords.__annotations__.keys():
        raise TypeError(f"unexpected keyword argument {min(unknown)!r}")
    _check_number("deadline", given.get("deadline"), most=sys.float_info.max)
    _check_number("max_refused", given.get("max_refused"), most=1)


def _check_number(name: str, value: object, *, most: float) -> None:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and not (is_number and 0 <= value <= most):  # type: ignore[operator]
        raise InvalidRequestError(f"{name} must be a number from 0 to {most:g}, not {value!r}")


@attrs.frozen(eq=False, repr=False)
class BatchOptions:
    """How a batch is run.

    Attributes:
        concurrency: Most tasks at once.
        ordered: Give results out in input order instead of as they complete.
        deadline: Seconds after which no item is begun any more.
        max_refused: The share of refusals, from 0 to 1, above which the batch is stopped.
        recorder: Is told of each item before and after.
        longest_wait: Seconds; a server that asks for more quiet than that ends the batch.
        watch: Is told of the beginning, of each item, and of the end.
    """

    concurrency: int
    ordered: bool = False
    deadline: float | None = None
    max_refused: float | None = None
    recorder: Recorder | None = None
    longest_wait: float = 120.0
    watch: Watch = attrs.field(factory=Watch)
