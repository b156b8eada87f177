"""The rules for what a fault is described with; each failure names the option and the rule."""

import math
import re
from collections.abc import Iterable
from typing import Any, Final, TypeAlias

from nrm_async.sandbox import checks
from nrm_async.sandbox.values import ENDPOINTS

Ranges: TypeAlias = tuple[tuple[int, int | None], ...]

_RANGE: Final = re.compile(r"([0-9]{1,15})(?:(-)([0-9]{1,15})?)?")

RETRY_AFTER_FORMS: Final = ("date", "huge", "negative", "nan", "garbage", "none")
"""What ``retry_after`` can be besides seconds; ``date:5`` is the HTTP-date in five seconds."""

_RETRY_AFTER: Final = re.compile(r"date(:[0-9]{1,6})?|huge|negative|nan|garbage|none")


def ranges(value: str | int | Iterable[int] | None) -> Ranges | None:
    """The numbers of requests that a schedule names."""
    if value is None:
        return None
    if isinstance(value, int):
        value = str(value)
    parts = value.split(",") if isinstance(value, str) else map(_as_text, value)
    found = tuple(_range(part.strip()) for part in parts)
    if not found:
        raise ValueError("schedule must name at least one request")
    return found


def _as_text(part: object) -> str:
    if isinstance(part, tuple):  # a range, as it is kept
        first, last = part
        return f"{first}-{'' if last is None else last}"
    return str(part)


def _range(text: str) -> tuple[int, int | None]:
    match = _RANGE.fullmatch(text)
    first = int(match[1]) if match else 0
    last = first if match and match[2] is None else None
    if match and match[3]:
        last = int(match[3])
    if first < 1 or (last is not None and last < first):
        raise ValueError(f"schedule must be like '1,3,10-20,50-', counted from 1, not {text!r}")
    return first, last


def an_endpoint(_fault: Any, _attribute: Any, value: Any) -> None:
    """One of the four, or none."""
    if value is not None and value not in ENDPOINTS:
        raise ValueError(f"endpoint must be one of {', '.join(ENDPOINTS)}, not {value!r}")


def a_share(_fault: Any, attribute: Any, value: Any) -> None:
    """From 0 to 1, or none."""
    if value is not None:
        _between(attribute.name, value, 1)


def a_count(_fault: Any, attribute: Any, value: Any) -> None:
    """A whole number of at least 1, or none."""
    if value is not None:
        checks.whole_number(attribute.name, value, 1)


def a_part(_fault: Any, attribute: Any, value: Any) -> None:
    """From 0 to 1."""
    _between(attribute.name, value, 1)


def a_spread(_fault: Any, attribute: Any, value: Any) -> None:
    """From 0 to 10: beyond that no number holds what comes of it."""
    _between(attribute.name, value, 10)


def _between(name: str, value: Any, most: float) -> None:
    if not 0 <= checks.seconds(name, value) <= most:
        raise ValueError(f"{name} must be from 0 to {most}, not {value!r}")


def some_rows(_fault: Any, attribute: Any, value: Any) -> None:
    """From 1 to 10,000: each takes its time, and all answers wait for it."""
    checks.whole_number(attribute.name, value, 1, 10_000)


def at_least_one(_fault: Any, attribute: Any, value: Any) -> None:
    """A whole number of at least 1."""
    checks.whole_number(attribute.name, value, 1)


def some_seconds(_fault: Any, attribute: Any, value: Any) -> None:
    """Finite and not negative, or none."""
    if value is not None:
        checks.seconds(attribute.name, value)


def positive(_fault: Any, attribute: Any, value: Any) -> None:
    """Finite and above 0."""
    if not checks.seconds(attribute.name, value):
        raise ValueError(f"{attribute.name} must be above 0, not {value!r}")


def a_flag(_fault: Any, attribute: Any, value: Any) -> None:
    """True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{attribute.name} must be true or false, not {value!r}")  # noqa: TRY004


def a_retry_after(_fault: Any, _attribute: Any, value: Any) -> None:
    """Seconds, one of the forms, or none."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        if math.isfinite(value):
            return
    elif value is None or (isinstance(value, str) and _RETRY_AFTER.fullmatch(value)):
        return
    forms = ", ".join(RETRY_AFTER_FORMS)
    raise ValueError(f"retry_after must be seconds or one of {forms}, not {value!r}")
