"""Encode requests and decode responses, without I/O.

Decoding a ``Response`` returns a model or an error; it does not raise, so the retry loop needs no
``try``.

::

    messages      Request and Response, and the parser for Retry-After
    action_reply  decides whether an action was applied, and maps statuses to errors
    page_reply    decodes an inventory page: as a whole if possible, otherwise row by row
    page_decoder  decodes a whole page with msgspec, including unknown fields
    row_decoder   decodes one row with cattrs, and reports which field is invalid
    repairs       converts non-standard field values, such as zero dates and numbers as text
    lenient       decodes invalid JSON, such as NaN or bytes that are not UTF-8
"""

from nrm_async._wire.action_reply import read_receipt
from nrm_async._wire.messages import (
    MAX_PAGE_SIZE,
    Request,
    Response,
    action_request,
    page_request,
)
from nrm_async._wire.page_reply import accept_page, read_page
from nrm_async._wire.row_decoder import to_dict

__all__ = [
    "MAX_PAGE_SIZE",
    "Request",
    "Response",
    "accept_page",
    "action_request",
    "page_request",
    "read_page",
    "read_receipt",
    "to_dict",
]
