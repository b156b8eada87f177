"""Retry-After: every form that servers send, valid or not."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async._wire import Response
from nrm_async._wire.messages import parse_retry_after

A_YEAR = 366 * 86_400.0
NOON = datetime(2026, 5, 27, 12, 0, 0, tzinfo=UTC)


def wait(value: str, date: str | None = None, now: datetime | None = NOON) -> float | None:
    headers = {"Retry-After": value} | ({} if date is None else {"Date": date})
    return parse_retry_after(headers, now)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("5", 5.0), ("120", 120.0), (" 7 ", 7.0), ("1.5", 1.5)],
)
def test_seconds(value: str, seconds: float) -> None:
    """Seconds are read as written, with fractions and surrounding spaces."""
    assert wait(value) == seconds


@pytest.mark.parametrize("value", ["-1", "-0.5", "-" + "9" * 400])
def test_negative_is_no_wait(value: str) -> None:
    """A negative number means no wait."""
    assert wait(value) == 0.0


@pytest.mark.parametrize("value", ["9" * 400, "99999999999"])
def test_huge_is_clamped(value: str) -> None:
    """A huge number stays finite: a year."""
    assert wait(value) == A_YEAR


@pytest.mark.parametrize(
    "value",
    [
        *("inf", "Infinity", "1e3", "1_0", "+3", "\u0663", "1."),
        *("nan", "NaN", "-nan", "", "   ", "soon", "5 seconds", "5,0", "0x10", "\x00"),
        *("Wed, 99 May 2026 12:00:10 GMT", "Wed, 27 Foo 2026 12:00:10 GMT", "27 May", "GMT"),
        "Wed, 27 May 99999999999999999999 12:00:10 GMT",
    ],
)
def test_garbage_is_ignored(value: str) -> None:
    """A value that is neither a number nor a date is ignored."""
    assert wait(value) is None


@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_error_response_has_it(name: str) -> None:
    """An error response has the seconds from its creation, under either spelling of the header."""
    assert Response(429, b"", {name: "2.5"}).retry_after == 2.5
    assert Response(503, b"", {name: "3"}).retry_after == 3.0


@pytest.mark.parametrize("response", [Response(429, b""), Response(200, b"", {"Retry-After": "2"})])
def test_response_without_it(response: Response) -> None:
    """Without the header, or on a success, there is nothing to wait for."""
    assert response.retry_after is None


@pytest.mark.parametrize(
    "value",
    [
        "Wed, 27 May 2026 12:00:10 GMT",
        "Wednesday, 27-May-26 12:00:10 GMT",
        "Wed May 27 12:00:10 2026",
        "Wed, 27 May 2026 14:00:10 +0200",
    ],
)
def test_date_forms(value: str) -> None:
    """All three forms of an HTTP-date, and an offset, mean the same moment."""
    assert wait(value) == 10.0


def test_date_is_relative_to_the_date_header() -> None:
    """The date is compared with the response's own Date, so a wrong local clock does no harm."""
    date = "Wed, 27 May 2026 03:00:00 GMT"
    assert wait("Wed, 27 May 2026 03:00:30 GMT", date) == 30.0


def test_date_without_a_readable_date_header() -> None:
    """If the response's Date is unreadable, the date is compared with the local clock."""
    assert wait("Wed, 27 May 2026 12:00:30 GMT", "yesterday") == 30.0


def test_date_without_a_given_time() -> None:
    """Without a Date header and a given time, the clock is read: the past means no wait."""
    assert wait("Wed, 27 May 2015 12:00:30 GMT", now=None) == 0.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("Wed, 27 May 2026 11:59:59 GMT", 0.0), ("Thu, 01 Jan 9998 00:00:00 GMT", A_YEAR)],
)
def test_date_is_clamped(value: str, seconds: float) -> None:
    """A date in the past means no wait, a distant one a year at most."""
    assert wait(value) == seconds


date_like = st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,4} [A-Z][a-z]{2} \d{1,6} [\d:]{1,9} [-+A-Z\d]*\Z")


@given(value=st.text() | st.floats().map(str) | date_like, date=st.none() | st.text() | date_like)
def test_result_is_bounded(value: str, date: str | None) -> None:
    """For any headers, the result is ``None`` or a number from zero to a year."""
    seconds = wait(value, date)
    assert seconds is None or (math.isfinite(seconds) and 0.0 <= seconds <= A_YEAR)
