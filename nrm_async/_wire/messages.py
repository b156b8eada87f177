"""What goes over the wire: a request out, a response in, and the headers that matter."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

import msgspec

from nrm_async.actions import Action, normalize_prefix
from nrm_async.errors import InvalidRequestError

MAX_PAGE_SIZE: Final = 1000  # NRM API documentation, GET /anis; also its default


class Request(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One request, ready to be sent as often as need be.

    Attributes:
        is_harmless_twice: Whether an action does nothing more if it arrives twice.
    """

    method: str
    path: str
    query: Mapping[str, str] | None = None
    body: bytes | None = None
    is_harmless_twice: bool = True

    @property
    def repeatable(self) -> bool:
        """Whether it is a read, which may be sent as often as one likes."""
        return self.method == "GET"


def page_request(page: int, page_size: int, number: str | None) -> Request:
    """Ask for one page of the inventory, of the numbers that begin with ``number`` if given.

    Raises:
        InvalidRequestError: An argument breaks its rule.
    """
    if not _is_whole(page) or page < 1:
        raise InvalidRequestError(f"page must be a whole number of at least 1, not {page!r}")
    if not _is_whole(page_size) or not 1 <= page_size <= MAX_PAGE_SIZE:
        raise InvalidRequestError(
            f"page_size must be a whole number from 1 to {MAX_PAGE_SIZE}, not {page_size!r}"
        )
    query = {"page": str(page), "page_size": str(page_size)}
    if number is not None:
        query["number"] = normalize_prefix(number)
    return Request("GET", "/anis", query=query)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_FIELDS_SENT: Final = ("ani", "carrier", "note", "date")
_encoder: Final = msgspec.json.Encoder()


def action_request(action: Action, *, is_last: bool = False) -> Request:
    """Ask for an action; fields that are not set are left out, never sent as null.

    One that is the last is not to be sent once more, whatever it is.
    """
    body = {
        name: value for name in _FIELDS_SENT if (value := getattr(action, name, None)) is not None
    }
    return Request(
        "POST",
        action.path,
        body=_encoder.encode(body),
        is_harmless_twice=action.is_harmless_twice and not is_last,
    )


class Response(msgspec.Struct, frozen=True, eq=False, gc=False):
    """One answer, read to its end.

    Attributes:
        status: HTTP status code.
        body: The whole body.
        headers: Those that matter, under the names they are looked up by here.
        scrub: Takes secrets out of a text, before any of it is cut or shown.
    """

    status: int
    body: bytes
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    scrub: Callable[[str], str] = str

    @property
    def request_id(self) -> str | None:
        value = self.headers.get("x-request-id")
        return None if value is None else printable(value)


def printable(text: str, limit: int = 500) -> str:
    """Make a stranger's text safe for logs: no control characters, no endless lines."""
    text = text[:limit]
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


# Whole seconds, says the RFC; fractions and a sign are seen too.
_SECONDS: Final = re.compile(r"-?[0-9]+(\.[0-9]+)?")

# A year: longer waits mean the same, and infinity would break arithmetic further on.
_LONGEST_WAIT: Final = 366 * 86_400.0


def retry_after(response: Response, now: datetime | None = None) -> float | None:
    """Seconds the server asks to wait, or ``None`` if it does not say so intelligibly.

    Both forms of RFC 9110, section 10.2.3, are understood. A date is measured against the
    answer's own ``Date`` where there is one, so that a wrong clock here does no harm.
    """
    text = response.headers.get("Retry-After", "").strip()
    if _SECONDS.fullmatch(text):
        seconds = float(text)
    else:
        seconds = _seconds_until(text, response.headers.get("Date"), now)
    return None if math.isnan(seconds) else min(max(seconds, 0.0), _LONGEST_WAIT)


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


UNREADABLE: Final = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def json_object(body: bytes) -> dict[str, Any] | None:
    """The body as a JSON object, or ``None`` if it is not one."""
    try:
        said = msgspec.json.decode(body)
    except UNREADABLE:
        return None
    return said if isinstance(said, dict) else None
