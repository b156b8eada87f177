"""Retry-After in all the forms servers write it, and in those they should not."""

import math
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async._wire import Response, retry_after

Answer: TypeAlias = Callable[..., Response]

A_YEAR = 366 * 86_400.0
NOON = datetime(2026, 5, 27, 12, 0, 0, tzinfo=UTC)


def wait(value: str, date: str | None = None, now: datetime | None = NOON) -> float | None:
    headers = {"Retry-After": value} | ({} if date is None else {"Date": date})
    return retry_after(Response(429, b"", headers), now)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("0", 0.0), ("5", 5.0), ("120", 120.0), (" 7 ", 7.0), ("1.5", 1.5)],
)
def test_seconds(value: str, seconds: float) -> None:
    """Seconds are taken as they are written, fractions and blanks around them too."""
    assert wait(value) == seconds


@pytest.mark.parametrize("value", ["-1", "-0.5", "-" + "9" * 400])
def test_negative_is_at_once(value: str) -> None:
    """A time that has gone by asks for no wait."""
    assert wait(value) == 0.0


@pytest.mark.parametrize("value", ["9" * 400, "99999999999"])
def test_huge_is_clamped(value: str) -> None:
    """However long the server asks to wait, the number stays finite: a year."""
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
def test_garbage_says_nothing(value: str) -> None:
    """What is neither a number nor a date counts as not said."""
    assert wait(value) is None


def test_missing_says_nothing(answer: Answer) -> None:
    """Without the header nothing is asked for."""
    assert retry_after(answer(status=429)) is None


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


def test_date_is_measured_by_the_servers_clock() -> None:
    """The answer's own Date is the base, so a wrong clock here does no harm."""
    date = "Wed, 27 May 2026 03:00:00 GMT"
    assert wait("Wed, 27 May 2026 03:00:30 GMT", date) == 30.0


def test_date_without_a_usable_date_header() -> None:
    """Where the answer's Date cannot be read, this machine's clock is the base."""
    assert wait("Wed, 27 May 2026 12:00:30 GMT", "yesterday") == 30.0


def test_date_without_any_given_clock() -> None:
    """Without a Date header and a given time the clock is asked: the past is no wait."""
    assert wait("Wed, 27 May 2015 12:00:30 GMT", now=None) == 0.0


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("Wed, 27 May 2026 11:59:59 GMT", 0.0), ("Thu, 01 Jan 9998 00:00:00 GMT", A_YEAR)],
)
def test_date_is_clamped(value: str, seconds: float) -> None:
    """A date in the past asks for no wait, one far ahead for a year at most."""
    assert wait(value) == seconds


date_like = st.from_regex(r"\A[A-Z][a-z]{2}, \d{1,4} [A-Z][a-z]{2} \d{1,6} [\d:]{1,9} [-+A-Z\d]*\Z")


@given(value=st.text() | st.floats().map(str) | date_like, date=st.none() | st.text() | date_like)
def test_never_more_than_a_bounded_number(value: str, date: str | None) -> None:
    """Whatever the headers hold, the answer is nothing or a number from zero to a year."""
    seconds = wait(value, date)
    assert seconds is None or (math.isfinite(seconds) and 0.0 <= seconds <= A_YEAR)
