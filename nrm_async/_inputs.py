"""What callers hand to a batch, and how it becomes actions."""

from collections.abc import AsyncIterable, Callable, Iterable, Mapping
from typing import Any, Final, TypeAlias, TypeVar

import attrs

from nrm_async._values import Value
from nrm_async.actions import Action, Activate, AniLike, Pause, Remediate
from nrm_async.errors import InvalidRequestError
from nrm_async.results import CallResult, Failed, Succeeded


@attrs.frozen(eq=False, repr=False)
class BadInput(Value):
    """An input that is known to be bad, such as a line of a file: its result tells why.

    Attributes:
        text: What stands in the number's place.
        error: Why no action can be made of it.
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
    """Refuse what cannot be a batch. One text is iterable, but its characters are no numbers."""
    is_many = isinstance(inputs, Iterable | AsyncIterable)
    if not is_many or isinstance(inputs, str | bytes | Mapping):
        raise InvalidRequestError(
            f"a batch needs an iterable or async iterable of inputs, not {type(inputs).__name__}"
        )


def check_on_result(on_result: object) -> None:
    """Refuse what cannot be called, before anything is sent."""
    if on_result is not None and not callable(on_result):
        raise InvalidRequestError(f"on_result must be callable, not {type(on_result).__name__}")


def given_action(item: object) -> Action:
    """The action that the input is, or that it is the result of."""
    if isinstance(item, Action):
        return item
    if isinstance(item, Succeeded | Failed) and item.action is not None:
        return item.action
    if isinstance(item, BadInput):
        raise item.error
    raise InvalidRequestError(
        f"an input must be an action, such as Pause('2345678901'), not {type(item).__name__}"
    )


# A tuple: a union would be made anew for each input.
_GIVEN: Final = (Action, Succeeded, Failed, BadInput)

A = TypeVar("A", Pause, Activate, Remediate)


def preparer(kind: type[A], **options: Any) -> Callable[[object], A]:
    """How to make actions of one kind; its options are checked and normalised now, once."""
    sample: Any = kind("0000000", **options)
    checked = {name: getattr(sample, name) for name in options}

    def prepare(item: Any) -> A:
        if not isinstance(item, _GIVEN):
            made: A = kind(item, **checked)
            return made
        action = given_action(item)
        if not isinstance(action, kind):
            raise InvalidRequestError(
                f"only {kind.__name__} actions fit here, not {type(action).__name__}"
            )
        return action

    return prepare
