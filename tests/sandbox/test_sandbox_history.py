"""Tests of the history ("books") and its assertion messages."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Ani, Pause
from nrm_async.sandbox import ActionRequest, Sandbox
from nrm_async.sandbox.history import AppliedAction, Books, Ending
from nrm_async.sandbox.history.columns import from_micros, pack_phone, to_micros, unpack_phone
from tests.sandbox.conftest import ACTIVE, COOLING, START, Caller


@given(st.none() | st.text("0123456789", min_size=7, max_size=15))
def test_pack_phone_keeps_leading_zeros(ani: str | None) -> None:
    """Packing a phone number into 64 bits preserves leading zeros."""
    assert unpack_phone(pack_phone(ani)) == ani
    assert pack_phone(ani) < 2**63


@given(st.datetimes(timezones=st.just(UTC)))
def test_to_micros_is_exact(when: datetime) -> None:
    """Converting a datetime to microseconds and back is lossless."""
    assert from_micros(to_micros(when)) == when


ENTRIES = st.lists(
    st.builds(
        AppliedAction,
        st.sampled_from(["pause", "activate", "remediate"]),
        st.sampled_from(["2345678901", "0000000", "2345678902"]),
        st.none() | st.just("130077"),
        st.none() | st.text(max_size=3),
        st.none() | st.just("2026-05-27"),
        st.just(START),
        st.just(START + timedelta(days=1)),
        st.integers(0, 9),
    ),
    max_size=20,
)


@given(ENTRIES, st.none() | st.just("pause"), st.none() | st.just("2345678901"))
def test_books_filter_like_a_list(
    entries: list[AppliedAction], action: str | None, ani: str | None
) -> None:
    """Filtering by action and number gives the same entries and count as filtering a list."""
    books = Books()
    for entry in entries:
        books.record(entry)
    expected = [one for one in entries if action in (None, one.action) and ani in (None, one.ani)]
    assert list(books.applied(action, ani)) == expected  # type: ignore[arg-type]
    assert books.times_applied(action, ani) == len(expected)  # type: ignore[arg-type]
    assert list(books) == entries


async def test_books_record_every_request(caller: Caller) -> None:
    """Valid, refused and invalid requests are recorded with their responses."""
    ani = caller.first(ACTIVE)
    await caller.act("pause", ani=f"+1 {ani}")
    await caller.act("pause", ani=ani)
    await caller.act("pause", ani="12")
    await caller.call("GET", "/nothing")
    await caller.call("GET", "/anis", key="other")
    recorded = [
        (one.endpoint, one.ending.ani, one.ending.status, one.ending.words, one.ending.applied)
        for one in caller.sandbox.books.requests()
    ]
    assert recorded == [
        ("pause", ani, 200, "paused", True),
        ("pause", ani, 200, "Only active and managed ANIs can be paused", False),
        ("pause", None, 400, "ani must be a phone number of 7 to 15 digits", False),
        (None, None, 404, "Not found", False),
        ("anis", None, 401, "Invalid API key", False),
    ]
    assert [one.number for one in caller.sandbox.books.requests()] == [1, 2, 3, 4, 5]
    assert [one.number for one in caller.sandbox.books.requests("pause", ani)] == [1, 2]
    assert [one.number for one in caller.sandbox.books.requests(status=404)] == [4]
    assert caller.sandbox.books.applied()[0].request == 1


async def test_assertions_pass(caller: Caller) -> None:
    """Assertions accept numbers in any format, client rows and actions."""
    sandbox, ani = caller.sandbox, caller.first(ACTIVE)
    await caller.act("pause", ani=ani)
    await caller.act("pause", ani=ani)
    sandbox.assert_applied("pause")
    sandbox.assert_applied("pause", f"+1 ({ani[:3]}) {ani[3:]}", times=1)
    sandbox.assert_applied("pause", Ani(1, ani))
    sandbox.assert_applied("pause", Pause(ani))
    sandbox.assert_not_applied("activate")
    sandbox.assert_not_applied(ani="2000000000")
    sandbox.assert_requests("pause", ani, times=2)
    sandbox.assert_requests("anis", times=0)
    sandbox.assert_requests(at_most=2, status=200)
    sandbox.assert_max_in_flight(1)


async def test_assertion_messages_show_what_happened() -> None:
    """The message of a failed assertion describes the recorded requests and actions."""
    async with Caller(faults=["5xx:endpoint=remediate,count=1"]) as caller:
        sandbox, active, resting = caller.sandbox, caller.first(ACTIVE), caller.first(COOLING)

        def message(check: str, *arguments: object, **more: object) -> str:
            with pytest.raises(AssertionError) as error:
                getattr(sandbox, check)(*arguments, **more)
            return str(error.value)

        assert message("assert_applied", "pause", active) == (
            f"pause of {active} was not applied; no such request arrived (0 requests in all); "
            f"its status: {ACTIVE}"
        )
        await caller.act("remediate", ani=resting)
        await caller.act("pause", ani=resting)
        await caller.act("activate", ani=resting, date="2026-01-01")
        assert message("assert_applied", "pause", resting) == (
            f"pause of {resting} was not applied; requests: "
            f'#2 pause {resting}: 200 "Only active and managed ANIs can be paused"; '
            f"applied to this number: activate once; its status: {ACTIVE}"
        )
        assert message("assert_applied", "remediate", resting, times=2).startswith(
            f"remediate of {resting} was not applied twice but never; requests: "
            f'#1 remediate {resting}: 503 "Service failure" by the fault 5xx'
        )
        assert message("assert_not_applied") == (
            f"an action of any number was applied once: activate of {resting} by request #3"
        )
        assert message("assert_requests", "pause", times=2).startswith(
            "pause was requested once, not twice; requests: #2 pause"
        )
        assert message("assert_requests", at_most=1).startswith(
            "the API was requested 3 times, not once at most"
        )
        assert message("assert_applied", "pause", "2000000000").endswith("not in the inventory")
        sandbox.books.arrive("pause", START)
        sandbox.books.arrive(None, START)
        assert message("assert_max_in_flight", 1) == (
            "2 requests were in flight at the same time, not 1 at most; "
            "first when request #5 (an unknown path) arrived"
        )


def queries_of(sandbox: Sandbox) -> dict[str, Callable[[Any], object]]:
    """Return all methods that accept a phone number."""
    return {
        "assert_applied": lambda ani: sandbox.assert_applied("pause", ani),
        "assert_not_applied": lambda ani: sandbox.assert_not_applied("activate", ani),
        "assert_requests": lambda ani: sandbox.assert_requests("pause", ani, times=0),
        "status_of": sandbox.status_of,
        "state.status_of": sandbox.state.status_of,
        "state.row": sandbox.state.row,
        "books.applied": lambda ani: sandbox.books.applied("pause", ani),
        "books.times_applied": lambda ani: sandbox.books.times_applied("pause", ani),
        "books.requests": lambda ani: sandbox.books.requests("pause", ani),
    }


@pytest.mark.parametrize("name", queries_of(Sandbox(0)))
def test_number_in_any_spelling(name: str) -> None:
    """A string, an int, a row, an action and a history entry give the same result."""
    sandbox = Sandbox(30)
    ani = next(phone for phone in sandbox.phones if sandbox.status_of(phone) == ACTIVE)
    sandbox.state.act(ActionRequest("pause", ani))
    query = queries_of(sandbox)[name]
    spellings = [
        f"+1 ({ani[:3]}) {ani[3:6]}-{ani[6:]}", f"1{ani}", int(ani), int(f"1{ani}"), Ani(1, ani),
        Ani(1, f"+1{ani}"), Pause(ani), sandbox.books.applied()[0],
    ]  # fmt: skip
    expected = query(ani)
    assert all(query(spelling) == expected for spelling in spellings)


@pytest.mark.parametrize("name", queries_of(Sandbox(0)))
@pytest.mark.parametrize(
    "ani",
    [
        "", "12", "2345678901x", "234567\u0660890", "2" * 16, 12, -2345678901, 10**5000, True,
        2.5e9, b"2345678901", object(), None.__class__, ["2345678901"],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_invalid_number_is_a_value_error(name: str, ani: object) -> None:
    """An invalid number raises ValueError rather than giving an empty result."""
    query = queries_of(Sandbox(1))[name]
    with pytest.raises(ValueError, match=r"^ani must be a phone number of 7 to 15 digits, not"):
        query(ani)


def test_status_of_unknown_number() -> None:
    """A valid number outside the inventory raises KeyError."""
    with pytest.raises(KeyError, match="2000000000"):
        Sandbox(1).status_of("+1 200 000 0000")


def test_books_read_while_written() -> None:
    """One thread reads consistent entries while another writes 2,000 entries."""
    books = Books()

    def write() -> None:
        for number in range(2_000):
            at = books.arrive("pause", START)
            books.record(
                AppliedAction("pause", "2345678901", None, None, None, START, START, number)
            )
            books.end(at, Ending("2345678901", 200, "paused", applied=True, seen="answer"))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        found = [one.request for one in books.applied("pause", "2345678901")]
        assert found == list(range(len(found)))
    writer.join()
    assert len(books) == len(books.requests("pause")) == 2_000


async def test_request_that_ends_after_clear(caller: Caller) -> None:
    """A request that started before a clear is not recorded, and does not end a later request."""
    books = caller.sandbox.books
    before = books.arrive("pause", START)
    caller.sandbox.reset()
    books.end(before, Ending())
    assert books.requests() == ()
    after = books.arrive("activate", START)
    books.end(before, Ending(status=503))
    assert books.in_flight("activate") == 1
    books.end(after, Ending(status=200))
    [entry] = books.requests()
    assert (entry.number, entry.endpoint, entry.ending.status) == (1, "activate", 200)


def test_unknown_names_are_value_errors() -> None:
    """An unknown action or endpoint raises ValueError rather than giving an empty result."""
    sandbox = Sandbox(5)
    queries: list[Callable[..., object]] = [
        sandbox.assert_applied,
        sandbox.assert_not_applied,
        sandbox.assert_requests,
        sandbox.books.applied,
        sandbox.books.times_applied,
        sandbox.books.requests,
        sandbox.books.times_requested,
    ]
    for query in queries:
        with pytest.raises(ValueError, match=r"must be one of .*pause.*, not 'paus'"):
            query("paus")
    for wrong in ({"times": -1}, {"at_most": -1}, {"status": "x"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            sandbox.assert_requests("pause", **wrong)
