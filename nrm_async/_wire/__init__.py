"""Bytes to values and back, without any I/O: what the API's answers mean is decided here.

Requests go out as ``Request``, answers come in as ``Response``. Reading an answer gives a value,
or an error *as a value*, so that deciding whether to try again needs no ``try``.

::

    messages   what goes over the wire, and the headers that matter
    verdicts   what an answer to an action means, and which errors are common to all answers
    pages      what a page of the inventory says: fast where it can be, rows for all others
    fast       a whole page at once through msgspec, unknown fields included
    rows       one row at a time through cattrs: keeps good rows, names bad fields
    plain      values to plain data
"""

from nrm_async._wire.messages import (
    MAX_PAGE_SIZE,
    Request,
    Response,
    action_request,
    page_request,
    printable,
    retry_after,
)
from nrm_async._wire.pages import accept_page, read_page
from nrm_async._wire.plain import to_plain
from nrm_async._wire.verdicts import read_receipt

__all__ = [
    "MAX_PAGE_SIZE",
    "Request",
    "Response",
    "accept_page",
    "action_request",
    "page_request",
    "printable",
    "read_page",
    "read_receipt",
    "retry_after",
    "to_plain",
]
