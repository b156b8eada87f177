"""The books, and assertions whose messages say what happened instead."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nrm_async import Ani, Pause
from nrm_async.sandbox import ActionRequest, Sandbox
from nrm_async.sandbox.books import AppliedAction, Books, Ending
from nrm_async.sandbox.books.applied import from_micros, packed, to_micros, unpacked
from tests.sandbox.conftest import ACTIVE, COOLING, START, Caller


@given(st.none() | st.text("0123456789", min_size=7, max_size=15))
def test_numbers_keep_their_zeros_in_a_column(ani: str | None) -> None:
    """Packed into 64 bits and back, leading zeros and all."""
    assert unpacked(packed(ani)) == ani
    assert packed(ani) < 2**63


@given(st.datetimes(timezones=st.just(UTC)))
def test_moments_keep_their_microseconds_in_a_column(when: datetime) -> None:
    """No moment is rounded."""
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
    )
)


@given(ENTRIES, st.none() | st.just("pause"), st.none() | st.just("2345678901"))
def test_the_books_find_what_a_list_would(
    entries: list[AppliedAction], action: str | None, ani: str | None
) -> None:
    """By action, by number, by both or by neither, oldest first, and counted alike."""
    books = Books()
    for entry in entries:
        books.record(entry)
    expected = [one for one in entries if action in (None, one.action) and ani in (None, one.ani)]
    assert list(books.applied(action, ani)) == expected  # type: ignore[arg-type]
    assert books.times_applied(action, ani) == len(expected)  # type: ignore[arg-type]
    assert list(books) == entries


async def test_every_request_is_booked(caller: Caller) -> None:
    """Good, bad and lost ones, with what was answered, what it was about and what was seen."""
    ani = caller.first(ACTIVE)
    await caller.act("pause", ani=f"+1 {ani}")
    await caller.act("pause", ani=ani)
    await caller.act("pause", ani="12")
    await caller.call("GET", "/nothing")
    await caller.call("GET", "/anis", key="other")
    told = [
        (one.endpoint, one.ending.ani, one.ending.status, one.ending.words, one.ending.applied)
        for one in caller.sandbox.books.requests()
    ]
    assert told == [
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


async def test_assertions_hold_where_they_should(caller: Caller) -> None:
    """Numbers in any spelling, rows of the client and actions are understood."""
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


async def test_messages_say_what_happened_instead() -> None:
    """Who reads only the message knows what to look for."""
    async with Caller(faults=["5xx:endpoint=remediate,count=1"]) as caller:
        sandbox, active, resting = caller.sandbox, caller.first(ACTIVE), caller.first(COOLING)

        def message(check: str, *arguments: object, **more: object) -> str:
            with pytest.raises(AssertionError) as error:
                getattr(sandbox, check)(*arguments, **more)
            return str(error.value)

        assert message("assert_applied", "pause", active) == (
            f"pause of {active} was not applied: it was applied never; nobody asked for it "
            f"(0 requests came in all); its status: {ACTIVE}"
        )
        await caller.act("remediate", ani=resting)
        await caller.act("pause", ani=resting)
        await caller.act("activate", ani=resting, date="2026-01-01")
        assert message("assert_applied", "pause", resting) == (
            f"pause of {resting} was not applied: it was applied never; what came: "
            f'#2 pause {resting}: 200 "Only active and managed ANIs can be paused"; '
            f"applied to this number: activate once; its status: {ACTIVE}"
        )
        assert message("assert_applied", "remediate", resting, times=2).startswith(
            f"remediate of {resting} was not applied twice: it was applied never; what came: "
            f'#1 remediate {resting}: 503 "Service failure" by the fault 5xx'
        )
        assert message("assert_not_applied") == (
            f"an action of any number was applied once: activate of {resting} by request #3"
        )
        assert message("assert_requests", "pause", times=2).startswith(
            "pause was asked once, not twice; what came: #2 pause"
        )
        assert message("assert_requests", at_most=1).startswith(
            "the API was asked 3 times, not once at most"
        )
        assert message("assert_applied", "pause", "2000000000").endswith("not in the inventory")
        sandbox.books.arrive("pause", START)
        sandbox.books.arrive(None, START)
        assert message("assert_max_in_flight", 1) == (
            "2 requests were in flight at once, not 1 at most; "
            "the first time when request #5 (an unknown path) came"
        )


def helpers(sandbox: Sandbox) -> dict[str, Callable[[Any], object]]:
    """All that can be asked about one number."""
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


@pytest.mark.parametrize("name", helpers(Sandbox(0)))
def test_a_number_is_understood_in_any_spelling(name: str) -> None:
    """Text, a whole number, a row of the client, an action or an entry: the answer is the same."""
    sandbox = Sandbox(30)
    ani = next(phone for phone in sandbox.phones if sandbox.status_of(phone) == ACTIVE)
    sandbox.state.act(ActionRequest("pause", ani))
    ask = helpers(sandbox)[name]
    spellings = [
        f"+1 ({ani[:3]}) {ani[3:6]}-{ani[6:]}", f"1{ani}", int(ani), int(f"1{ani}"), Ani(1, ani),
        Ani(1, f"+1{ani}"), Pause(ani), sandbox.books.applied()[0],
    ]  # fmt: skip
    expected = ask(ani)
    assert all(ask(spelling) == expected for spelling in spellings)


@pytest.mark.parametrize("name", helpers(Sandbox(0)))
@pytest.mark.parametrize(
    "ani",
    [
        "", "12", "2345678901x", "234567\u0660890", "2" * 16, 12, -2345678901, 10**5000, True,
        2.5e9, b"2345678901", object(), None.__class__, ["2345678901"],
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_a_number_that_is_none_is_told(name: str, ani: object) -> None:
    """A slip in a test is not taken for a number that nothing was done to."""
    ask = helpers(Sandbox(1))[name]
    with pytest.raises(ValueError, match=r"^ani must be a phone number of 7 to 15 digits, not"):
        ask(ani)


def test_a_number_of_somewhere_else_has_no_status() -> None:
    """It is a number, and none of the inventory's."""
    with pytest.raises(KeyError, match="2000000000"):
        Sandbox(1).status_of("+1 200 000 0000")


def test_the_books_may_be_read_from_another_thread() -> None:
    """While one thread writes 2,000 entries, another always finds them in order and whole."""
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


async def test_what_ended_after_the_books_were_cleared_is_not_in_them(caller: Caller) -> None:
    """A request of before is none of the new books, and does not end one of theirs."""
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


def test_what_is_asked_of_the_books_must_be_there() -> None:
    """A slip of the pen is told by name, and never passes for an answer."""
    sandbox = Sandbox(5)
    asks: list[Callable[..., object]] = [
        sandbox.assert_applied,
        sandbox.assert_not_applied,
        sandbox.assert_requests,
        sandbox.books.applied,
        sandbox.books.times_applied,
        sandbox.books.requests,
        sandbox.books.times_requested,
    ]
    for ask in asks:
        with pytest.raises(ValueError, match=r"must be one of .*pause.*, not 'paus'"):
            ask("paus")
    for wrong in ({"times": -1}, {"at_most": -1}, {"status": "x"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            sandbox.assert_requests("pause", **wrong)
