"""Batch inputs, and their conversion to actions."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from nrm_async._values import Value
from nrm_async.actions import Action, Activate, AniLike, Pause, Remediate
from nrm_async.errors import InvalidRequestError
from nrm_async.results import CallResult, Failed, Succeeded


@attrs.frozen(eq=False, repr=False)
class BadInput(Value):
    """Input that is known to be invalid, such as a malformed line of a file.

    Attributes:
        text: The text found instead of a number.
        error: The error to report in the result.
    """

    text: str
    error: InvalidRequestError

    def __str__(self) -> str:
        return self.text


AniInput: TypeAlias = AniLike | Action | CallResult | BadInput
AniInputs: TypeAlias = Iterable[AniInput] | AsyncIterable[AniInput]
ActionInput: TypeAlias = Action | CallResult | BadInput
ActionInputs: TypeAlias = Iterable[ActionInput] | AsyncIterable[ActionInput]


def check_inputs(inputs: object) -> None:
    """Raise ``InvalidRequestError`` unless the value is an iterable of inputs.

    Text is rejected: it is iterable, but its characters are not numbers.
    """
    is_iterable = isinstance(inputs, Iterable | AsyncIterable)
    if not is_iterable or isinstance(inputs, str | bytes | Mapping):
        raise InvalidRequestError(
            f"a batch needs an iterable or async iterable of inputs, not {type(inputs).__name__}"
        )


def given_action(item: object) -> Action:
    """Return the input if it is an action, or the action of the input if it is a result.

    Raises:
        InvalidRequestError: The input is neither an action nor a result with an action.
    """
    if isinstance(item, Action):
        return item
    if isinstance(item, Succeeded | Failed) and item.action is not None:
        return item.action
    if isinstance(item, BadInput):
        raise item.error
    raise InvalidRequestError(
        f"an input must be an action, such as Pause('2345678901'), not {type(item).__name__}"
    )


# A tuple, because evaluating a union for each input would be slower.
_GIVEN: Final = (Action, Succeeded, Failed, BadInput)

A = TypeVar("A", Pause, Activate, Remediate)


def action_factory(kind: type[A], **options: Any) -> Callable[[object], A]:
    """Return a function that converts inputs to actions of one class.

    Raises:
        InvalidRequestError: An option is invalid. Options are checked once, by this function.
    """
    sample: Any = kind("0000000", **options)
    normalized = {name: getattr(sample, name) for name in options}

    def to_action(item: Any) -> A:
        if not isinstance(item, _GIVEN):
            action: A = kind(item, **normalized)
            return action
        given = given_action(item)
        if not isinstance(given, kind):
            raise InvalidRequestError(
                f"this batch accepts {kind.__name__} actions only, not {type(given).__name__}"
            )
        return given

    return to_action
