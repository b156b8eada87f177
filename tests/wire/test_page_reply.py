"""Replies to page requests: the envelope, error statuses, and bodies that are not a page."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async._wire import Response, read_page
from nrm_async.errors import (
    APIError,
    AuthenticationError,
    ConfigurationError,
    NRMError,
    RateLimitError,
    RejectedError,
    ResponseError,
    ServerError,
    TransportError,
)
from nrm_async.models import AniPage
from tests.wire.conftest import make_response, make_row, read_page_reply, read_rows

COUNTS = ["count", "total_anis", "total_pages"]
FLAGS = ["can_next_page", "can_prev_page"]


@pytest.mark.parametrize("value", ["1", 1.5, True, -1, None, [], {}], ids=repr)
@pytest.mark.parametrize("field", COUNTS)
def test_envelope_count_of_wrong_type(field: str, value: object) -> None:
    """A count of the wrong type becomes ``None``; the rows are kept."""
    page = read_rows(make_row(), **{field: value})
    assert getattr(page, field) is None
    assert len(page) == 1


@pytest.mark.parametrize("value", ["true", 1, 0, None, [], {}], ids=repr)
@pytest.mark.parametrize("field", FLAGS)
def test_envelope_flag_of_wrong_type(field: str, value: object) -> None:
    """A flag of the wrong type becomes ``None``; the rows are kept."""
    page = read_rows(make_row(), **{field: value})
    assert getattr(page, field) is None
    assert len(page) == 1


@pytest.mark.parametrize(
    "rows", [[make_row()], [make_row(new=1)], []], ids=["documented", "learnt", "empty"]
)
@pytest.mark.parametrize(
    ("field", "value"),
    [*[(field, value) for field in COUNTS for value in (0, 7)], *[(f, False) for f in FLAGS]],
)
def test_envelope_field_is_kept(rows: list[dict[str, Any]], field: str, value: object) -> None:
    """Each field of the envelope is kept, zero and false too; fields left out are ``None``."""
    page = read_rows(*rows, **{field: value})
    expected = dict.fromkeys([*COUNTS, *FLAGS]) | {field: value}
    assert {name: getattr(page, name) for name in expected} == expected


def test_page_number_and_size_are_those_requested() -> None:
    """The number and size of a page are those of the request, whatever the server sends."""
    page = read_page(make_response({"data": [], "page": 9, "page_size": 9}), 3, 50)
    assert isinstance(page, AniPage)
    assert (page.page, page.page_size) == (3, 50)


DEEP = b"[" * 100_000 + b"]" * 100_000
LONG = b"9" * 5_000
NOT_PAGES = {
    "empty": b"",
    "html": b"<html>Bad Gateway</html>",
    "null": b"null",
    "number": b"5",
    "list": b"[]",
    "no data": b'{"count":0}',
    "data is null": b'{"data":null}',
    "data is an object": b'{"data":{}}',
    "data is text": b'{"data":"x"}',
    "utf-16": '{"data":[]}'.encode("utf-16"),
    "deep": DEEP,
    "deep in a row": b'{"data":[{"id":1,"phone":"2345678901","x":' + DEEP + b"}]}",
    "deep in the envelope": b'{"data":[],"count":' + DEEP + b"}",
    "deep and unknown": b'{"data":[],"x":' + DEEP + b"}",
    "long number": b'{"data":[{"id":' + LONG + b',"phone":"2345678901"}]}',
    "long count": b'{"data":[],"count":' + LONG + b"}",
    "two documents": b'{"data":[]}{"data":[]}',
}


CUT = {
    "in a row": b'{"data":[{"id":1,"phone":"2345678901"',
    "in a text": b'{"data":[{"id":1,"phone":"23456',
    "in a text with braces": b'{"data":[{"id":1,"brand":"}}}',
    "after an escape": b'{"data":[{"id":1,"brand":"\\\\',
    "after a list of objects": b'{"data":[{"id":1,"labels":[{"spam":true}]}',
    "after a row": b'{"data":[{"id":1,"phone":"2345678901"}',
}


@pytest.mark.parametrize("body", CUT.values(), ids=CUT.keys())
def test_body_is_cut_short(body: bytes) -> None:
    """A body that stops before its end is a ``TransportError``, which is retried."""
    error = read_page_reply(make_response(body, 200))
    assert type(error) is TransportError


@pytest.mark.parametrize("status", [200, 204])
@pytest.mark.parametrize("body", NOT_PAGES.values(), ids=NOT_PAGES.keys())
def test_body_is_not_a_page(body: bytes, status: int) -> None:
    """A 2xx that is not a page, hostile or not, returns a short, printable ``ResponseError``."""
    error = read_page_reply(make_response(body, status))
    assert type(error) is ResponseError
    assert str(error).isprintable()
    assert len(str(error)) <= 300


@pytest.mark.parametrize("body", NOT_PAGES.values(), ids=NOT_PAGES.keys())
def test_hostile_body_of_an_error_status(body: bytes) -> None:
    """A hostile body does not hide what the status says."""
    error = read_page_reply(make_response(body, 500))
    assert type(error) is ServerError
    assert len(str(error)) <= 2_100


@pytest.mark.parametrize(
    "body",
    [{"success": False, "message": "no access"}, {"status": "failed", "reason": "no access"}],
)
def test_refusal_as_2xx(body: dict[str, Any]) -> None:
    """A refusal under a 2xx is a ``RejectedError`` with the message of the API."""
    error = read_page_reply(make_response(body))
    assert type(error) is RejectedError
    assert error.message == "no access"


STATUS_CLASSES: list[tuple[type[NRMError], list[int]]] = [
    (AuthenticationError, [401, 403]),
    (RateLimitError, [429]),
    (RejectedError, [400, 404, 405, 409, 413, 418, 422]),
    (APIError, [408, 421, 425, 302, 303, 304]),
    (ServerError, [500, 502, 503, 504, 599]),
    (ConfigurationError, [301, 307, 308]),
]


@pytest.mark.parametrize(
    ("kind", "status"), [(kind, status) for kind, all_of in STATUS_CLASSES for status in all_of]
)
def test_error_status(kind: type[NRMError], status: int) -> None:
    """Each error status has its class of error, even if the body is a page."""
    error = read_page_reply(make_response({"data": [make_row()]}, status, {"x-request-id": "r-3"}))
    assert type(error) is kind
    assert not error.maybe_applied
    if isinstance(error, APIError):
        assert (error.status, error.request_id) == (status, "r-3")
    else:
        assert str(status) in str(error)


def test_throttled() -> None:
    """A 429 has the seconds of ``Retry-After``."""
    error = read_page_reply(make_response({"message": "slow"}, 429, {"Retry-After": "7"}))
    assert isinstance(error, RateLimitError)
    assert (error.retry_after, error.message) == (7.0, "slow")


@given(body=st.binary() | st.sampled_from(list(NOT_PAGES.values())), status=st.integers(100, 599))
def test_decoding_never_raises(body: bytes, status: int) -> None:
    """Any status and any body give a page or an error as a value."""
    assert isinstance(read_page_reply(Response(status, body)), AniPage | NRMError)
