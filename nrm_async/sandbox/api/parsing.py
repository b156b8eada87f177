"""Parsing and validation of request queries and bodies."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from nrm_async.sandbox.validation import canonical_phone, digits_of
from nrm_async.sandbox.values import ActionName, ActionRequest, PageRequest

_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,18}")  # 18 digits fit into 64 bits
_CARRIER: Final = re.compile(r"[0-9]{6}")
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})")
_DATE_TIME: Final = re.compile(r"([0-9]{4})" + r"([0-9]{2})" * 5)

_decode: Final[Callable[[bytes], object]] = msgspec.json.Decoder().decode


class RequestError(Exception):
    """The request is invalid, and was not processed.

    Attributes:
        status: The HTTP status of the response.
        message: The message in the response. It contains no untrusted input.
        allow: The allowed methods, for a 405.
    """

    def __init__(self, status: int, message: str, allow: str | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.allow = allow


def parse_page_request(query: Mapping[str, str], page_size_max: int) -> PageRequest:
    """Parse the query of a page request; raise RequestError (400) if it is invalid."""
    return PageRequest(
        page=_parse_whole_number(query, "page", 1, None),
        page_size=_parse_whole_number(query, "page_size", page_size_max, page_size_max),
        number=digits_of(query.get("number", "")),
    )


def parse_action_request(action: ActionName, body: bytes) -> ActionRequest:
    """Parse the JSON body of an action request; raise RequestError (400) if it is invalid."""
    fields = _parse_object(body)
    carrier = _text_field(fields, "carrier")
    if carrier is not None and not _CARRIER.fullmatch(carrier):
        raise RequestError(400, "carrier must be a string of six digits")
    date = None if action == "remediate" else _text_field(fields, "date")
    if action == "activate" and date is None:
        raise RequestError(400, "date is required")
    at = None if date is None else _parse_date(date)
    return ActionRequest(action, _parse_ani(fields), carrier, _text_field(fields, "note"), date, at)


def ani_of(body: bytes) -> str | None:
    """Return the phone number in an action body in canonical form, or None if it is invalid."""
    try:
        return _parse_ani(_parse_object(body))
    except RequestError:
        return None


def _parse_object(body: bytes) -> dict[object, object]:
    try:
        fields = _decode(body)
    except (ValueError, RecursionError):  # DecodeError and UnicodeDecodeError are ValueErrors
        raise RequestError(400, "Request body must be valid JSON") from None
    if not isinstance(fields, dict):
        raise RequestError(400, "Request body must be a JSON object")
    return fields


def _text_field(fields: Mapping[object, object], name: str) -> str | None:
    if name not in fields:
        return None
    value = fields[name]
    if not isinstance(value, str):
        raise RequestError(400, f"{name} must be a string")
    return value


def _parse_ani(fields: Mapping[object, object]) -> str:
    text = _text_field(fields, "ani")
    if text is None:
        raise RequestError(400, "ani is required")
    ani = canonical_phone(text)
    if ani is None:
        raise RequestError(400, "ani must be a phone number of 7 to 15 digits")
    return ani


def _parse_date(date: str) -> datetime:
    match = _DATE_TIME.fullmatch(date) or _DATE.fullmatch(date)
    if match is not None:
        year, month, day, *clock = map(int, match.groups())
        hour, minute, second = clock or (0, 0, 0)
        try:
            return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:  # such as month 13 or February 30
            pass
    raise RequestError(400, "date must be YYYYMMDDHHMMSS or YYYY-MM-DD")


def _parse_whole_number(query: Mapping[str, str], name: str, default: int, most: int | None) -> int:
    text = query.get(name)
    if text is None:
        return default
    number = int(text) if _WHOLE_NUMBER.fullmatch(text) else 0
    if number < 1 or (most is not None and number > most):
        rule = "of at least 1" if most is None else f"from 1 to {most}"
        raise RequestError(400, f"{name} must be a whole number {rule}")
    return number
