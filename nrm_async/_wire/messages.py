"""Request and response types, and a parser for the ``Retry-After`` header."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from nrm_async._validation import check_int, printable
from nrm_async._wire.lenient import BLANK, BYTE_ORDER_MARK
from nrm_async.actions import Action, normalize_prefix

MAX_PAGE_SIZE: Final = 1000  # NRM API documentation, GET /anis; also its default


class Request(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An HTTP request, which can be sent more than once.

    Attributes:
        method: ``"GET"`` or ``"POST"``.
        path: Path below the base URL, such as ``/pause``.
        query: Query parameters, unencoded.
        body: JSON, or ``None`` for a request without a body.
        idempotent: Whether sending the request twice has the same effect as sending it once
            (RFC 9110, section 9.2.2).
    """

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: bytes | None = None
    idempotent: bool = True

    @property
    def safe(self) -> bool:
        """Whether the request is read-only (RFC 9110, section 9.2.1)."""
        return self.method == "GET"

    @property
    def json(self) -> Any:
        """The decoded JSON body, or ``None`` if there is no body."""
        return None if self.body is None else msgspec.json.decode(self.body)


def page_request(page: int, page_size: int, number: str | None) -> Request:
    """Create the request for one inventory page.

    Args:
        page: Page number, starting at 1.
        page_size: Rows per page, at most ``MAX_PAGE_SIZE``.
        number: Only list numbers that start with these digits; ``None`` lists all numbers.

    Raises:
        InvalidRequestError: An argument is invalid.
    """
    check_int("page", page, least=1)
    check_int("page_size", page_size, least=1, most=MAX_PAGE_SIZE)
    query = {"page": str(page), "page_size": str(page_size)}
    if number is not None:
        query["number"] = normalize_prefix(number)
    return Request("GET", "/anis", query=query)


_ACTION_FIELDS: Final = ("ani", "carrier", "note", "date")
_encoder: Final = msgspec.json.Encoder()


def action_request(action: Action, *, is_final_attempt: bool = False) -> Request:
    """Create the request for an action, omitting fields that are ``None``.

    For the final attempt, the request is marked as not idempotent, so it is never sent again.
    """
    body = {
        name: value for name in _ACTION_FIELDS if (value := getattr(action, name, None)) is not None
    }
    return Request(
        "POST",
        action.path,
        body=_encoder.encode(body),
        idempotent=action.idempotent and not is_final_attempt,
    )


# Matches HTML, XML, and the plain text that Cloudflare sends to clients that do not accept HTML.
_BLOCK_PAGE: Final = rb"(?:\xef\xbb\xbf)?\s*(?:<|error code: [0-9])"


class Response(msgspec.Struct, frozen=True, eq=False, gc=False):
    """An HTTP response with its complete body.

    Attributes:
        status: HTTP status code.
        body: The complete body, decompressed.
        headers: A case-insensitive mapping, or a ``dict`` with lower-case names. Only
            ``x-request-id``, ``retry-after`` and ``date`` are used.
        redact: Function that removes secrets from text. Called before the text is truncated.
        retry_after: Seconds to wait, from the ``Retry-After`` header of an error response, or
            ``None``. Parsed on arrival, because a date in the header is relative to that time.

    Example:
        >>> Response(429, b"", {"retry-after": "2"}).retry_after
        2.0
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    redact: Callable[[str], str] = str
    retry_after: float | None = None

    def __post_init__(self) -> None:
        if self.status >= 400 and self.retry_after is None:
            msgspec.structs.force_setattr(self, "retry_after", parse_retry_after(self.headers))

    @property
    def is_block_page(self) -> bool:
        """Whether the response is a 403 web page, sent by a firewall or proxy.

        The API itself sends its errors as JSON.
        """
        return self.status == 403 and re.match(_BLOCK_PAGE, self.body) is not None

    @property
    def request_id(self) -> str | None:
        """The ``x-request-id`` header, escaped for logs."""
        value = self.headers.get("x-request-id")
        return None if value is None else printable(value)


# RFC 9110 only allows whole seconds, but some servers send fractions and signs.
_SECONDS: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")

# One year, in seconds. Infinity would cause errors in later arithmetic.
_LONGEST_WAIT: Final = 366 * 86_400.0


def parse_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Return the delay in ``Retry-After`` in seconds, or ``None`` if it is missing or invalid.

    Both forms defined in RFC 9110, section 10.2.3, are supported. A date is compared with the
    response's ``Date`` header if there is one, so a wrong local clock does not matter.

    Args:
        headers: The response headers.
        now: The time to use if there is no ``Date`` header; defaults to the current time.
    """
    value = _header(headers, "Retry-After")
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        seconds = _seconds_until(text, _header(headers, "Date"), now)
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT)


def _header(headers: Mapping[str, str], name: str) -> str | None:
    return headers.get(name.lower(), headers.get(name))


def _seconds_until(text: str, base: str | None, now: datetime | None) -> float:
    moment = _http_date(text)
    if moment is None:
        return math.nan
    return (moment - (_http_date(base or "") or now or datetime.now(UTC))).total_seconds()


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


DECODE_ERRORS: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def json_object(body: bytes) -> dict[str, Any] | None:
    """Decode the body, returning ``None`` if it is not a JSON object.

    Decoding is strict except for a byte order mark, because a garbled response does not prove
    that an action was applied.
    """
    try:
        payload = msgspec.json.decode(body)
    except DECODE_ERRORS:
        return json_object(body.lstrip(BLANK)) if body.startswith(BYTE_ORDER_MARK) else None
    return payload if isinstance(payload, dict) else None
