"""Shared argument checks: each error names the argument and the requirement.

An error about the type of a value never shows the value, which may be a secret that was passed as
the wrong argument.
"""

import math
from collections.abc import Callable
from typing import Any, TypeGuard

from nrm_async.errors import InvalidRequestError


def is_int(value: object) -> TypeGuard[int]:
    """Return whether the value is a whole number and not a boolean."""
    return isinstance(value, int) and not isinstance(value, bool)


def is_number(value: object) -> TypeGuard[int | float]:
    """Return whether the value is a number and not a boolean."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def check_int(
    name: str,
    value: object,
    *,
    least: int,
    most: int | None = None,
    error: type[Exception] = InvalidRequestError,
) -> int:
    """Return the value if it is a whole number from ``least`` to ``most``.

    Raises:
        error: The value is invalid.

    Example:
        >>> check_int("page", 1, least=1)
        1
    """
    if not is_int(value):
        raise error(f"{name} must be a whole number, not {type(value).__name__}")
    if value < least or (most is not None and value > most):
        rule = f"at least {least}" if most is None else f"from {least} to {most}"
        raise error(f"{name} must be {rule}, not {_shown(value)}")
    return value


def check_number(
    name: str,
    value: object,
    *,
    least: float = -math.inf,
    above: float = -math.inf,
    most: float = math.inf,
    below: float = math.inf,
    error: type[Exception] = InvalidRequestError,
) -> int | float:
    """Return the value if it is a finite number within the given bounds.

    Raises:
        error: The value is invalid.

    Example:
        >>> check_number("deadline", 2.5, above=0)
        2.5
    """
    if not is_number(value):
        raise error(f"{name} must be a number, not {type(value).__name__}")
    try:
        is_finite = math.isfinite(value)
    except OverflowError:  # a whole number too large for a float
        is_finite = False
    if not (is_finite and least <= value <= most and above < value < below):
        raise error(f"{name} must be {_rule(least, above, most, below)}, not {_shown(value)}")
    return value


def _rule(least: float, above: float, most: float, below: float) -> str:
    if math.isfinite(least) and math.isfinite(most):
        return f"from {least:g} to {most:g}"
    bounds = {"at least": least, "above": above, "at most": most, "below": below}
    rules = [f"{word} {bound:g}" for word, bound in bounds.items() if math.isfinite(bound)]
    return " and ".join(rules if len(rules) > 1 else [*rules, "finite"])


def _shown(value: float) -> str:
    try:
        return repr(value)
    except ValueError:  # Python limits the digits of a whole number in text
        return "a number with thousands of digits"


def check_choice(
    name: str,
    value: object,
    choices: tuple[str, ...],
    error: type[Exception] = InvalidRequestError,
) -> Any:
    """Return the value if it is one of the choices.

    Raises:
        error: The value is invalid.
    """
    if isinstance(value, str) and value in choices:
        return value
    *others, last = map(repr, choices)
    shown = repr(value) if isinstance(value, str) else type(value).__name__
    raise error(f"{name} must be {', '.join(others)} or {last}, not {shown}")


def check_callable(
    name: str, value: Callable[..., object] | None, error: type[Exception] = InvalidRequestError
) -> None:
    """Raise ``error`` unless the value is ``None`` or callable."""
    if value is not None and not callable(value):
        raise error(f"{name} must be callable, not {type(value).__name__}")


def printable(text: str, limit: int = 500) -> str:
    """Escape control characters in untrusted text, and truncate it, for logs and terminals."""
    text = text[:limit]
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
