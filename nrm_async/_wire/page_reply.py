"""Decode an inventory page: as a whole if all rows are valid, otherwise row by row.

Unknown fields do not slow decoding down. A page with an invalid value takes about ten times as
long, but only the row with that value can be lost.
"""

import re
from functools import cache
from typing import Any, Final

import msgspec

from nrm_async._validation import is_int, printable
from nrm_async._wire.action_reply import api_error, common_error, is_refusal
from nrm_async._wire.lenient import BLANK, BYTE_ORDER_MARK, decode_object, sanitize, split_invalid
from nrm_async._wire.messages import DECODE_ERRORS, Response, json_object
from nrm_async._wire.page_decoder import Envelope, LearningDecoder
from nrm_async._wire.row_decoder import read_row
from nrm_async.errors import (
    APIError,
    NRMError,
    RejectedError,
    ResponseError,
    ServerError,
    TransportError,
)
from nrm_async.models import Ani, AniPage, MalformedRow


def accept_page(response: Response) -> Response | NRMError:
    """Return the response if it is a complete 2xx, or an error. Does not decode the rows."""
    if 200 <= response.status < 300:
        return TransportError("the response was truncated") if _is_cut(response.body) else response
    payload = json_object(response.body)
    if error := common_error(response, payload):
        return error
    return api_error(ServerError if response.status >= 500 else APIError, response, payload)


# A truncated page lacks a few closing braces. A body that lacks more than these is not a page.
_MOST_MISSING: Final = 8
_JSON_STRING: Final = rb'"(?:[^"\\]|\\.)*"?'


def _is_cut(body: bytes) -> bool:
    """Return whether the body is a truncated JSON object.

    Without a ``Content-Length``, the HTTP library cannot detect that a body was truncated.
    """
    if body.endswith(b"}]}") and body.find(b"[", body.find(b"[") + 1) < 0:
        return False  # there is one list, and it is closed
    if not body[:16].lstrip(BLANK).startswith(b"{") or body.count(b"{") == body.count(b"}"):
        return False
    bare = re.sub(_JSON_STRING, b"", body)  # ignore braces inside strings
    return 0 < bare.count(b"{") - bare.count(b"}") <= _MOST_MISSING


def read_page(response: Response, page_number: int, page_size: int) -> AniPage | NRMError:
    """Decode an inventory page from a response returned by ``accept_page``."""
    try:
        envelope, rows = _decoder().decode(response.body)
    except DECODE_ERRORS:
        if response.body.startswith(BYTE_ORDER_MARK):
            bare = msgspec.structs.replace(response, body=response.body.lstrip(BLANK))
            return read_page(bare, page_number, page_size)
        return _read_by_row(response, page_number, page_size)
    return _page(response, page_number, page_size, envelope, rows)


def _page(
    response: Response,
    page_number: int,
    page_size: int,
    envelope: Envelope,
    rows: list[Ani],
    malformed: list[MalformedRow] | None = None,
) -> AniPage:
    return AniPage(
        data=tuple(rows),
        page=page_number,
        page_size=page_size,
        count=_count(envelope.count),
        total_anis=_count(envelope.total_anis),
        total_pages=_count(envelope.total_pages),
        can_next_page=_flag(envelope.can_next_page),
        can_prev_page=_flag(envelope.can_prev_page),
        malformed=tuple(malformed or ()),
        request_id=response.request_id,
    )


def _count(value: object) -> int | None:
    return value if is_int(value) and value >= 0 else None


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


@cache
def _decoder() -> LearningDecoder:
    """Return the shared decoder, created on first use because only some programs read pages."""
    return LearningDecoder()


def _read_by_row(response: Response, page_number: int, page_size: int) -> AniPage | NRMError:
    is_odd = False
    try:
        envelope = msgspec.json.decode(response.body, type=Envelope)
    except DECODE_ERRORS as error:
        lenient = _decode_leniently(response.body)
        if lenient is None:
            return _not_a_page(response, str(error))
        envelope, is_odd = lenient, True
    if _is_empty(envelope):
        envelope.data = []
    if not isinstance(envelope.data, list):
        return _not_a_page(response, "$.data must be a list of rows")
    if not is_odd and _decoder().learn(envelope.data):
        return read_page(response, page_number, page_size)
    rows: list[Ani] = []
    malformed: list[MalformedRow] = []
    for index, raw in enumerate(envelope.data):
        row = _read_odd_row(index, raw) if is_odd else read_row(index, raw)
        (rows if isinstance(row, Ani) else malformed).append(row)  # type: ignore[arg-type]
    return _page(response, page_number, page_size, envelope, rows, malformed)


def _decode_leniently(body: bytes) -> Envelope | None:
    payload = decode_object(body)
    if payload is None or "data" not in payload:
        return None
    names = Envelope.__struct_fields__
    return Envelope(**{name: payload[name] for name in names if name in payload})


def _is_empty(envelope: Envelope) -> bool:
    """Return whether the page is empty: some backends send ``null`` or ``{}`` for an empty list."""
    if envelope.data not in (None, {}):
        return False
    count = _count(envelope.count)
    return count == 0 or (count is None and _count(envelope.total_anis) == 0)


def _read_odd_row(index: int, raw: Any) -> Ani | MalformedRow:
    if not isinstance(raw, dict):
        return read_row(index, sanitize(raw))
    try:
        kept, odd = split_invalid(raw)
    except RecursionError:
        return MalformedRow(f"$.data[{index}]", "is nested too deeply")
    return read_row(index, kept, odd)


def _not_a_page(response: Response, problem: str) -> NRMError:
    payload = json_object(response.body)
    if payload is not None and is_refusal(payload):
        return api_error(RejectedError, response, payload)
    return ResponseError(
        f"the body is not a page of the inventory: {printable(problem, 200)}",
        response.request_id,
    )
