"""What a page of the inventory says: all at once where it is as documented, else row by row.

Unknown fields do not slow a page down; a value that breaks the contract does, about tenfold.
"""

import re
from functools import cache
from typing import Final

import msgspec

from nrm_async._wire.fast import Envelope, LearningDecoder
from nrm_async._wire.messages import UNREADABLE, Response, json_object, printable
from nrm_async._wire.rows import read_row
from nrm_async._wire.verdicts import api_error, common_error, is_refusal
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
    """The answer itself if it may be a page, else the error that it is; decodes no rows."""
    if 200 <= response.status < 300:
        return TransportError("the answer was cut short") if _is_cut(response.body) else response
    said = json_object(response.body)
    if error := common_error(response, said):
        return error
    return api_error(ServerError if response.status >= 500 else APIError, response, said)


# A page that lost its end lacks a few closing braces; a body that lacks many is no page at all.
_FEW: Final = 8
_TEXT: Final = rb'"(?:[^"\\]|\\.)*"?'


def _is_cut(body: bytes) -> bool:
    """Whether a JSON object stops before its end; a body without a length can, unnoticed."""
    if body.endswith(b"}]}") and body.find(b"[", body.find(b"[") + 1) < 0:
        return False  # the only list that was opened is closed: no need to count
    if not body.startswith(b"{") or body.count(b"{") == body.count(b"}"):
        return False
    bare = re.sub(_TEXT, b"", body)  # braces inside texts do not count
    return 0 < bare.count(b"{") - bare.count(b"}") <= _FEW


def read_page(response: Response, page: int, page_size: int) -> AniPage | NRMError:
    """What an answer says of a page of the inventory."""
    accepted = accept_page(response)
    if isinstance(accepted, NRMError):
        return accepted
    return _read_page(accepted, page, page_size)


def _read_page(response: Response, page: int, page_size: int) -> AniPage | NRMError:
    try:
        envelope, rows = _fast().decode(response.body)
    except UNREADABLE:
        return _read_page_slowly(response, page, page_size)
    return _page(response, page, page_size, envelope, rows)


def _page(
    response: Response,
    page: int,
    page_size: int,
    envelope: Envelope,
    rows: list[Ani],
    malformed: list[MalformedRow] | None = None,
) -> AniPage:
    return AniPage(
        data=tuple(rows),
        page=page,
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
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return value if is_count else None  # type: ignore[return-value]  # checked a line above


def _flag(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


@cache
def _fast() -> LearningDecoder:
    """One for all pages; a program that only acts on numbers does not need it."""
    return LearningDecoder()


def _read_page_slowly(response: Response, page: int, page_size: int) -> AniPage | NRMError:
    try:
        envelope = msgspec.json.decode(response.body, type=Envelope)
    except UNREADABLE as error:
        return _not_a_page(response, error)
    if _fast().learn(envelope.data):
        return _read_page(response, page, page_size)
    rows: list[Ani] = []
    malformed: list[MalformedRow] = []
    for index, raw in enumerate(envelope.data):
        row = read_row(index, raw)
        (rows if isinstance(row, Ani) else malformed).append(row)  # type: ignore[arg-type]
    return _page(response, page, page_size, envelope, rows, malformed)


def _not_a_page(response: Response, error: Exception) -> NRMError:
    said = json_object(response.body)
    if said is not None and is_refusal(said):
        return api_error(RejectedError, response, said)
    return ResponseError(
        f"the body is not a page of the inventory: {printable(str(error), 200)}",
        response.request_id,
    )
