"""Convert non-standard field values, such as placeholders for missing values and numeric strings.

MySQL's zero date, PHP's ``false`` and the empty string represent a missing value, and become
``None``. Any other value of the wrong type is left unchanged and makes the row malformed, because
a reported error is better than a guess.
"""

import math
import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Any, Final

import attrs

from nrm_async.models import Ani

_NOTHING: Final = frozenset({"", "-", "n/a", "na", "none", "null"})

# Not compiled here: few programs need these patterns, and ``re`` caches them on first use.
_NOT_FINITE: Final = r"(?i)[+-]?(nan|inf|infinity)"
_WHOLE: Final = r"[+-]?[0-9]{1,300}"
_FRACTION: Final = r"[+-]?[0-9]{1,300}(\.[0-9]{1,300})?([eE][+-]?[0-9]{1,9})?"
_ZERO_DATE: Final = r"0000-00-00([T ][0:.]*(Z|[+-][0:]+)?)?"
_WITH_TIME: Final = r".{10}[T ](?![0:.]*(Z|[+-][0-9:]+)?$)"  # except midnight


def _figure(value: Any) -> Any:
    if not isinstance(value, str):
        return _text(value)
    text = value.strip()
    if text.lower() in _NOTHING or re.fullmatch(_NOT_FINITE, text):
        return None
    if re.fullmatch(_WHOLE, text):
        return int(text)
    if re.fullmatch(_FRACTION, text):
        number = float(text)
        return number if math.isfinite(number) else None
    return value


def _date(value: Any) -> Any:
    if not isinstance(value, str):
        return _text(value)
    text = value.strip()
    return None if text.lower() in _NOTHING or re.fullmatch(_ZERO_DATE, text) else value


def _text(value: Any) -> Any:
    return None if value is False else value


_BY_TYPE: Final[dict[object, Callable[[Any], Any]]] = {
    int | float | None: _figure,
    date | None: _date,
    datetime | None: _date,
    str | None: _text,
}
_REPAIRS: Final = {a.name: _BY_TYPE[a.type] for a in attrs.fields(Ani) if a.type in _BY_TYPE}
_DAYS: Final = tuple(a.name for a in attrs.fields(Ani) if a.type == date | None)


def repair(fields: dict[str, Any]) -> dict[str, object]:
    """Repair a row's fields in place, and return the original values of the changed fields.

    Args:
        fields: The received values, by ``Ani`` field name.
    """
    changed: dict[str, object] = {}
    for name, came in fields.items():
        kept = _REPAIRS[name](came) if name in _REPAIRS else came
        if kept is not came:
            changed[name] = came
            fields[name] = kept
    for name in _DAYS:  # conversion to a date drops the time of day
        came = fields.get(name)
        if isinstance(came, str) and re.match(_WITH_TIME, came):
            changed[name] = came
    return changed
