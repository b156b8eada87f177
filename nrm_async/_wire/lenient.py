"""Decode JSON that a strict decoder rejects because of one invalid value.

Python's ``json.dumps`` emits NaN and Infinity, databases contain Latin-1, and strings are truncated
inside a surrogate pair or contain raw control characters. RFC 8259 allows none of these, but one
such value should not cost a page of 1,000 rows. Lenient decoding is several times slower than
msgspec, so it is only used if msgspec fails.
"""

import json
import math
import re
from collections.abc import Mapping
from typing import Any, Final

BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

BLANK: Final = b" \t\r\n" + BYTE_ORDER_MARK
"""Bytes to skip before JSON. PHP files saved with a byte order mark send it before the body."""

_SURROGATE: Final = "[\ud800-\udfff]"


class InvalidNumber(str):
    """The text of a number that is not valid JSON or is too large for a float."""

    __slots__ = ()


def _float(text: str) -> float | InvalidNumber:
    number = float(text)
    return number if math.isfinite(number) else InvalidNumber(text)


_DECODER: Final = json.JSONDecoder(strict=False, parse_float=_float, parse_constant=InvalidNumber)


def decode_object(body: bytes) -> dict[str, Any] | None:
    """Decode a JSON object, preserving invalid values; return ``None`` for anything else.

    Invalid numbers become ``InvalidNumber``. Invalid strings contain lone surrogates, which also
    represent bytes that are not UTF-8 (PEP 383). Convert these values with ``sanitize`` or
    ``original``.
    """
    bare = body.lstrip(BLANK)
    if not bare.startswith(b"{"):
        return None
    try:
        value = _DECODER.decode(bare.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


def sanitize(value: Any) -> Any:
    """Replace invalid numbers with ``None``, and lone surrogates in strings with U+FFFD."""
    kind = value.__class__
    if kind is str:
        return value if value.isascii() else re.sub(_SURROGATE, "\ufffd", value)
    if kind is InvalidNumber:
        return None
    if kind is list:
        return [sanitize(item) for item in value]
    if kind is dict:
        return {sanitize(name): sanitize(item) for name, item in value.items()}
    return value


def original(value: Any) -> Any:
    r"""Return the received value, with invalid numbers as text and invalid bytes as ``\xe9``."""
    if isinstance(value, str):
        return re.sub(_SURROGATE, _escape, value)
    if isinstance(value, list):
        return [original(item) for item in value]
    if isinstance(value, dict):
        return {original(name): original(item) for name, item in value.items()}
    return value


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    return f"\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\u{code:04x}"


def split_invalid(row: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, object]]:
    """Return the row with invalid values replaced, and a dict of their original values.

    Raises:
        RecursionError: The row is nested too deeply.
    """
    valid: dict[str, Any] = {}
    invalid: dict[str, object] = {}
    for name, value in row.items():
        valid_name, valid_value = sanitize(name), sanitize(value)
        valid[valid_name] = valid_value
        if valid_name != name or valid_value != value:
            invalid[original(name)] = original(value)
    return valid, invalid
