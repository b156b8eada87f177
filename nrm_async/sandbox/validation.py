"""Argument checks. Each returns a valid value, or raises ValueError naming the argument."""

import ipaddress
import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

_NON_DIGITS: Final = re.compile(r"[^0-9]+")
_PHONE: Final = re.compile(r"[0-9]{7,15}")
_SPELLING: Final = re.compile(r"\s*\+?[0-9\s().\-\u2010-\u2015]+")  # reject letters as typos
_LARGEST_PHONE: Final = 10**15 - 1  # 15 digits
_API_KEY: Final = re.compile(r"[!-~]+")  # visible ASCII, as allowed in an Authorization header


def check_whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """Return ``value`` if it is an integer from ``least`` to ``most``."""
    if isinstance(value, int) and not isinstance(value, bool):  # noqa: SIM102 - one rule per line
        if least <= value and (most is None or value <= most):
            return value
    rule = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise ValueError(f"{name} must be a whole number {rule}, not {value!r}")


def check_seconds(name: str, value: object) -> float:
    """Return ``value`` if it is a finite, non-negative number."""
    if isinstance(value, int | float) and not isinstance(value, bool):  # noqa: SIM102 - as above
        if math.isfinite(value) and value >= 0:
            return value
    raise ValueError(f"{name} must be a finite number of seconds, at least 0, not {value!r}")


def check_aware(name: str, value: datetime) -> datetime:
    """Return ``value`` if it has a time zone."""
    if value.tzinfo is None:
        raise ValueError(f"{name} must be aware (have a time zone), not the naive {value!r}")
    return value


def check_api_key(value: object) -> str:
    """Return ``value`` if it is valid in a header. The error message does not reveal it."""
    if not isinstance(value, str) or not _API_KEY.fullmatch(value):
        raise ValueError("api_key must be visible ASCII, without spaces and not empty")
    return value


def loopback_address(host: str) -> str:
    """Return the IP address of ``host`` if it is a loopback address."""
    if host == "localhost":
        # Do not resolve the name: it may have two addresses, which would require two ports.
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback or str(address).startswith("::ffff:"):
        raise ValueError(f"host must be loopback (127.0.0.0/8, ::1 or localhost), not {host!r}")
    return str(address)


def index_in(name: str, value: Any, choices: Sequence[str]) -> int:
    """Return the position of ``value`` in ``choices``."""
    if value not in choices:
        *others, last = choices
        raise ValueError(f"{name} must be one of {', '.join(others)} or {last}, not {value!r}")
    return choices.index(value)


def digits_of(text: str) -> str:
    """Return the ASCII digits in ``text``."""
    return _NON_DIGITS.sub("", text)


def canonical_phone(text: str) -> str | None:
    """Return the digits of a phone number, or None if it is invalid.

    The leading 1 of eleven digits is dropped.
    """
    phone = digits_of(text)
    if len(phone) == 11 and phone.startswith("1"):
        phone = phone[1:]
    return phone if _PHONE.fullmatch(phone) else None


def parse_phone(value: Any) -> str:
    """Return a phone number in canonical form.

    Accept a string in any common format, an integer, or an object with a ``phone`` or ``ani``
    attribute.
    """
    number = getattr(value, "phone", None) or getattr(value, "ani", None) or value
    if isinstance(number, int) and not isinstance(number, bool) and 0 <= number <= _LARGEST_PHONE:
        number = str(number)
    is_spelled_out = isinstance(number, str) and _SPELLING.fullmatch(number)
    phone = canonical_phone(number) if is_spelled_out else None
    if phone is None:
        raise ValueError(f"ani must be a phone number of 7 to 15 digits, not {_safe_repr(value)}")
    return phone


def parse_optional_phone(value: Any) -> str | None:
    """Return a phone number in canonical form, or None if ``value`` is None."""
    return None if value is None else parse_phone(value)


def _safe_repr(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - repr() fails for a broken __repr__ or a huge int
        return f"<{type(value).__name__}>"
