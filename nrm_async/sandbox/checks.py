"""The rules for what a sandbox is built from; each failure names the argument and the rule."""

import ipaddress
import math
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

_NON_DIGITS: Final = re.compile(r"[^0-9]+")
_PHONE: Final = re.compile(r"[0-9]{7,15}")
_SPELLING: Final = re.compile(
    r"\s*\+?[0-9\s().\-\u2010-\u2015]+"
)  # letters are a slip, not a spelling
_LARGEST: Final = 10**15 - 1  # 15 digits
_KEY: Final = re.compile(r"[!-~]+")  # visible ASCII: what an Authorization header can carry


def whole_number(name: str, value: object, least: int, most: int | None = None) -> int:
    """``value`` itself; ValueError unless it is an int within its limits."""
    if isinstance(value, int) and not isinstance(value, bool):  # noqa: SIM102 - one rule a line
        if least <= value and (most is None or value <= most):
            return value
    rule = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise ValueError(f"{name} must be a whole number {rule}, not {value!r}")


def one_of(name: str, value: Any, known: Sequence[str]) -> int:
    """Where in ``known`` the value is; ValueError unless it is there."""
    if value not in known:
        *others, last = known
        raise ValueError(f"{name} must be one of {', '.join(others)} or {last}, not {value!r}")
    return known.index(value)


def seconds(name: str, value: object) -> float:
    """``value`` itself; ValueError unless it is finite and not negative."""
    if isinstance(value, int | float) and not isinstance(value, bool):  # noqa: SIM102 - as above
        if math.isfinite(value) and value >= 0:
            return value
    raise ValueError(f"{name} must be a finite number of seconds, at least 0, not {value!r}")


def digits(text: str) -> str:
    """The ASCII digits of ``text``; everything else is dropped."""
    return _NON_DIGITS.sub("", text)


def canonical(text: str) -> str | None:
    """A number as the inventory has it: digits, without the 1 of eleven; None if it is none."""
    ani = digits(text)
    if len(ani) == 11 and ani.startswith("1"):
        ani = ani[1:]
    return ani if _PHONE.fullmatch(ani) else None


def phone(value: Any) -> str:
    """The number that somebody means, in canonical form; ValueError if it is none.

    Text in any usual spelling, a whole number, or a value with a ``phone`` or an ``ani``.
    """
    meant = getattr(value, "phone", None) or getattr(value, "ani", None) or value
    if isinstance(meant, int) and not isinstance(meant, bool) and 0 <= meant <= _LARGEST:
        meant = str(meant)
    is_spelt = isinstance(meant, str) and _SPELLING.fullmatch(meant)
    ani = canonical(meant) if is_spelt else None
    if ani is None:
        raise ValueError(f"ani must be a phone number of 7 to 15 digits, not {_shown(value)}")
    return ani


def phone_or_any(value: Any) -> str | None:
    """The same, where None stands for any number."""
    return None if value is None else phone(value)


def _shown(value: object) -> str:
    try:
        return repr(value)
    except Exception:  # noqa: BLE001 - a stranger's, or a whole number of thousands of digits
        return f"<{type(value).__name__}>"


def key(value: object) -> str:
    """``value`` itself; ValueError (that does not show it) unless a header can carry it."""
    if not isinstance(value, str) or not _KEY.fullmatch(value):
        raise ValueError("api_key must be visible ASCII characters without spaces, at least one")
    return value


def loopback(host: str) -> str:
    """The address to bind; ValueError unless ``host`` can only be reached from this machine."""
    if host == "localhost":
        # Not looked up: it may mean two addresses, which would give two ports.
        return "127.0.0.1"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        address = None
    if address is None or not address.is_loopback or str(address).startswith("::ffff:"):
        raise ValueError(f"host must be loopback (127.0.0.0/8, ::1 or localhost), not {host!r}")
    return str(address)


def aware(name: str, value: datetime) -> datetime:
    """``value`` itself; ValueError when it is naive."""
    if value.tzinfo is None:
        raise ValueError(f"{name} must be aware (have a time zone), not the naive {value!r}")
    return value
