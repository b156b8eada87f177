"""From what was sent to well-formed requests, or to an error in the API's own style. No I/O."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from nrm_async.sandbox import checks
from nrm_async.sandbox.values import ActionName, ActionRequest, PageRequest

_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,18}")  # at most what fits 64 bits
_CARRIER: Final = re.compile(r"[0-9]{6}")
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DATE_TIME: Final = re.compile(r"([0-9]{4})" + r"([0-9]{2})" * 5)

_decode: Final[Callable[[bytes], object]] = msgspec.json.Decoder().decode


class RequestError(Exception):
    """A request that never reaches the state.

    Attributes:
        status: The HTTP status to answer with.
        message: What to tell the caller; holds nothing that the caller sent.
        allow: With a 405, the method that would have been right.
    """

    def __init__(self, status: int, message: str, allow: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.allow = allow


def page_request(query: Mapping[str, str], page_size_max: int) -> PageRequest:
    """Read the query of a listing; RequestError (400) when a number is not in its range."""
    return PageRequest(
        page=_whole_number(query, "page", 1, None),
        page_size=_whole_number(query, "page_size", page_size_max, page_size_max),
        number=checks.digits(query.get("number", "")),
    )


def action_request(action: ActionName, body: bytes) -> ActionRequest:
    """Read the JSON body of an action; RequestError (400) when it breaks the contract."""
    fields = _object(body)
    carrier = _text(fields, "carrier")
    if carrier is not None and not _CARRIER.fullmatch(carrier):
        raise RequestError(400, "carrier must be a string of six digits")
    date = None if action == "remediate" else _text(fields, "date")
    if action == "activate" and date is None:
        raise RequestError(400, "date is required")
    at = None if date is None else _instant(date)
    return ActionRequest(action, _ani(fields), carrier, _text(fields, "note"), date, at)


def ani_in(body: bytes) -> str | None:
    """The number that a body is about, in canonical form, if it can be seen."""
    try:
        return _ani(_object(body))
    except RequestError:
        return None


def _object(body: bytes) -> dict[object, object]:
    try:
        fields = _decode(body)
    except (ValueError, RecursionError):  # DecodeError and UnicodeDecodeError are ValueErrors
        raise RequestError(400, "Request body must be valid JSON") from None
    if not isinstance(fields, dict):
        raise RequestError(400, "Request body must be a JSON object")
    return fields


def _text(fields: Mapping[object, object], name: str) -> str | None:
    if name not in fields:
        return None
    value = fields[name]
    if not isinstance(value, str):
        raise RequestError(400, f"{name} must be a string")
    return value


def _ani(fields: Mapping[object, object]) -> str:
    text = _text(fields, "ani")
    if text is None:
        raise RequestError(400, "ani is required")
    ani = checks.canonical(text)
    if ani is None:
        raise RequestError(400, "ani must be a phone number of 7 to 15 digits")
    return ani


def _instant(date: str) -> datetime:
    match = _DATE_TIME.fullmatch(date) or _DATE.fullmatch(date)
    if match is not None:
        year, month, day, *clock = map(int, match.groups())
        hour, minute, second = clock or (0, 0, 0)
        try:
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:  # a thirteenth month, a 30th of February
            pass
    raise RequestError(400, "date must be YYYYMMDDHHMMSS or YYYY-MM-DD")


def _whole_number(query: Mapping[str, str], name: str, default: int, most: int | None) -> int:
    text = query.get(name)
    if text is None:
        return default
    number = int(text) if _WHOLE_NUMBER.fullmatch(text) else 0
    if number < 1 or (most is not None and number > most):
        rule = "of at least 1" if most is None else f"from 1 to {most}"
        raise RequestError(400, f"{name} must be a whole number {rule}")
    return number
