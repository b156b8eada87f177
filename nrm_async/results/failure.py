"""Errors as plain data, and back: what a saved report tells of a failure is all that was seen."""

from collections.abc import Mapping
from typing import Any, Final

from nrm_async import errors
from nrm_async.errors import NRMError

_CLASSES: Final = {name: getattr(errors, name) for name in errors.__all__}


def plain_error(error: NRMError) -> dict[str, Any]:
    """The error as JSON's own types: its class, what it was made of, and what was noted on it."""
    return {
        "type": _class_name(error),
        "args": [_plain(value) for value in error.args],
        "noted": {name: value for name, value in vars(error).items() if _is_plain(value)},
    }


def _class_name(error: NRMError) -> str:
    # A class of somebody else's is read back as the nearest of ours.
    return next(kind.__name__ for kind in type(error).__mro__ if kind.__name__ in _CLASSES)


def _plain(value: object) -> Any:
    if isinstance(value, NRMError):
        return plain_error(value)
    return value if _is_plain(value) else None


def _is_plain(value: object) -> bool:
    return value is None or isinstance(value, str | int | float)


def error_from_plain(plain: Mapping[str, Any], message: str | None = None) -> NRMError:
    """The error again; one whose making is not known has these words, or the class's name."""
    name = str(plain.get("type"))
    kind: Any = _CLASSES.get(name, NRMError)
    given = [_value(value) for value in plain.get("args") or [message or name]]
    try:
        error: NRMError = kind(*given)
    except TypeError:  # a class that takes more than its words
        error = NRMError(message or name)
    noted = plain.get("noted") or {}
    vars(error).update({name: value for name, value in noted.items() if _is_plain(value)})
    return error


def _value(value: Any) -> Any:
    return error_from_plain(value) if isinstance(value, Mapping) else value
