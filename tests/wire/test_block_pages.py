"""A 403 that is a web page comes from something in front of the API, and is not about the key."""

import pickle
from collections.abc import Mapping

import pytest

from nrm_async import Outcome
from nrm_async._wire import read_receipt
from nrm_async.actions import Pause
from nrm_async.errors import (
    AuthenticationError,
    FirewallError,
    NRMError,
    RateLimitError,
)
from nrm_async.results import outcome_of
from nrm_async.results.record import decode_error, encode_error
from tests.wire.conftest import make_response, read_page_reply

ACTION = Pause("2345678901")
PAGES = {
    "html": b"<html><head><title>Access denied</title></head></html>",
    "doctype": b"\r\n <!DOCTYPE html>\n<TITLE>Access\n denied</TITLE>",
    "byte order mark": b"\xef\xbb\xbf<h1 class='x'>Access denied</h1>",
    "xml": b"<?xml version='1.0'?><Error><Code>Access denied</Code></Error>",
    "code": b"error code: 1020 Access denied",
}
every_page = pytest.mark.parametrize("body", PAGES.values(), ids=PAGES.keys())


def read(
    body: bytes, status: int = 403, headers: Mapping[str, str] | None = None
) -> tuple[object, object]:
    response = make_response(body, status, headers)
    return read_receipt(response, ACTION), read_page_reply(response)


@every_page
def test_page_in_front_of_the_api(body: bytes) -> None:
    """It is named as what it is, counts as not applied, and is a kind of throttling."""
    for error in read(body):
        assert isinstance(error, FirewallError)
        assert isinstance(error, RateLimitError)
        assert not isinstance(error, AuthenticationError)
        assert "blocked by a firewall or proxy" in str(error)
        assert "HTTP 403" in str(error)
        assert "denied" in str(error)
        assert str(error).isprintable()
        assert (error.maybe_applied, outcome_of(error)) == (False, Outcome.NOT_APPLIED)
        assert error.retry_after is None


def test_retry_after_of_a_page_in_front() -> None:
    """Its ``Retry-After`` is kept."""
    for error in read(PAGES["html"], headers={"retry-after": "7"}):
        assert isinstance(error, FirewallError)
        assert error.retry_after == 7.0


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (403, b'{"success":false,"message":"Invalid API key type"}'),
        (403, b'\xef\xbb\xbf{"message":"<b>no</b>"}'),
        (403, b"{}"),
        (403, b""),
        (403, b"Forbidden"),
        (401, b"<html>Authorization required</html>"),
        (401, b'{"message":"Missing API key"}'),
    ],
)
def test_answers_about_the_key(status: int, body: bytes) -> None:
    """JSON, a bare status, and a 401 in any form are about the key: a repeat cannot help."""
    for error in read(body, status):
        assert type(error) is AuthenticationError


def test_error_is_saved() -> None:
    """The error survives a pickle and a saved report, with all that it holds."""
    error, _ = read(PAGES["html"], headers={"retry-after": "7", "x-request-id": "r-1"})
    assert isinstance(error, NRMError)
    for same in (pickle.loads(pickle.dumps(error)), decode_error(encode_error(error))):
        assert isinstance(same, FirewallError)
        assert (str(same), same.request_id, same.retry_after) == (str(error), "r-1", 7.0)
