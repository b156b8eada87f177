"""Tests of the state machine without HTTP: each rule, and random walks against a model."""

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from nrm_async.sandbox import (
    BEHAVIOURS,
    ActionName,
    ActionRequest,
    Answer,
    Applied,
    Basis,
    Clock,
    Refused,
    Row,
    State,
    WithinCooldown,
    generate,
)
from nrm_async.sandbox.api import Switches
from nrm_async.sandbox.api.replies import page_reply
from nrm_async.sandbox.inventory import GeneratedRows, ImportedRows, Inventory
from nrm_async.sandbox.values import Page, PageRequest
from tests.sandbox.conftest import ACTIVE, COOLING, START

NOT_FOUND = Refused("ANI not found in inventory")
NOT_ACTIVE = Refused("Only active and managed ANIs can be paused")
NOT_COOLING = Refused("Only ANIs in cooling off status can be activated")
ROWS = generate(300, 3, START.date())
PHONES = [str(row["phone"]) for row in ROWS]
SOME_ACTIVE = [str(row["phone"]) for row in ROWS if row["status"] == ACTIVE][:4]
SOME_COOLING = [str(row["phone"]) for row in ROWS if row["status"] == COOLING][:2]


def make_state(rows: list[Row] = ROWS, now: Callable[[], datetime] | None = None) -> State:
    imported = ImportedRows(map(msgspec.json.encode, rows), GeneratedRows(0, 1, START.date()))
    return State(Inventory(imported), Clock(now))


def envelope(page: Page) -> dict[str, Any]:
    """Return the envelope fields of a page, without the rows."""
    fields: dict[str, Any] = json.loads(page_reply(page, Switches()).body)
    assert fields.pop("data") == decoded(page)
    return fields


def decoded(page: Page) -> list[Row]:
    return [json.loads(row) for row in page.rows]


class World:
    """A state with a clock controlled by the test."""

    def __init__(self, rows: list[Row] = ROWS) -> None:
        self.now = START
        self.state = make_state(rows, lambda: self.now)

    def act(self, action: ActionName, ani: str, at: datetime | None = None) -> Answer:
        return self.state.act(ActionRequest(action, ani, at=at))


@pytest.fixture
def world() -> World:
    """Provide a new state, at noon on the date that the rows were generated for."""
    return World()


def test_pause_active(world: World) -> None:
    """A pause changes only the status, label and deactivation date."""
    ani = SOME_ACTIVE[0]
    before = world.state.row(ani)
    assert world.act("pause", ani) == Applied("paused", ani)
    changed = {"status": COOLING, "statusLabel": "Cooling Off", "dateDeactivated": "2026-05-27"}
    assert world.state.row(ani) == before | changed
    assert before["status"] == ACTIVE


def test_activate_cooling(world: World) -> None:
    """An activation changes the status, label and both dates."""
    ani = SOME_COOLING[0]
    assert world.act("activate", ani, START) == Applied("active", ani)
    row = world.state.row(ani)
    assert (row["status"], row["statusLabel"]) == (ACTIVE, "Active and Being Managed")
    assert (row["dateActivated"], row["dateDeactivated"]) == ("2026-05-27", None)


def test_second_pause_is_refused(world: World) -> None:
    """A refused pause does not change the row or the history."""
    ani = SOME_ACTIVE[0]
    world.act("pause", ani)
    before = world.state.row(ani)
    assert world.act("pause", ani) == NOT_ACTIVE
    assert world.state.row(ani) == before
    assert world.state.books.times_applied("pause", ani) == 1


def test_activate_active_is_refused(world: World) -> None:
    """Only a number in cooling off can be activated."""
    assert world.act("activate", SOME_ACTIVE[0], START) == NOT_COOLING
    assert len(world.state.books) == 0


@pytest.mark.parametrize("action", ["pause", "activate", "remediate"])
def test_unknown_ani_is_refused(world: World, action: ActionName) -> None:
    """Every action on a number outside the inventory is refused with the same message."""
    assert world.act(action, "0000000000", START) == NOT_FOUND
    assert len(world.state.books) == 0


def test_remediation_cooldown(world: World) -> None:
    """A remediation is refused until exactly 30 days after the last one."""
    ani = SOME_ACTIVE[0]
    assert world.act("remediate", ani) == Applied("received request", ani)
    world.now = START + timedelta(days=30) - timedelta(microseconds=1)
    assert world.act("remediate", ani) == WithinCooldown()
    world.now = START + timedelta(days=30)
    assert world.act("remediate", ani) == Applied("received request", ani)
    assert world.state.books.times_applied("remediate", ani) == 2


def test_refused_remediation_does_not_extend_cooldown(world: World) -> None:
    """The cooldown starts at the last applied remediation."""
    ani = SOME_ACTIVE[0]
    world.act("remediate", ani)
    world.now = START + timedelta(days=29)
    world.act("remediate", ani)
    world.now = START + timedelta(days=30)
    assert isinstance(world.act("remediate", ani), Applied)


def test_remediation_does_not_change_the_row(world: World) -> None:
    """A remediation does not change an active or a cooling-off row."""
    before = world.state.rows
    world.act("remediate", SOME_ACTIVE[0])
    world.act("remediate", SOME_COOLING[0])
    assert world.state.rows == before


@pytest.mark.parametrize(
    ("action", "ani", "before", "after", "stamp"),
    [
        ("pause", SOME_ACTIVE[0], ACTIVE, COOLING, "dateDeactivated"),
        ("activate", SOME_COOLING[0], COOLING, ACTIVE, "dateActivated"),
    ],
)
def test_future_date(
    world: World, action: ActionName, ani: str, before: str, after: str, stamp: str
) -> None:
    """A future action is recorded immediately, and changes the status at its exact second."""
    due = START + timedelta(days=2)
    assert isinstance(world.act(action, ani, due), Applied)
    [entry] = world.state.books.applied()
    assert (entry.when, entry.effective) == (START, due)
    assert list(world.state.scheduled) == [entry]
    world.now = due - timedelta(seconds=1)
    assert world.state.status_of(ani) == before
    world.now = due
    assert world.state.status_of(ani) == after
    assert world.state.row(ani)[stamp] == "2026-05-29"
    assert not list(world.state.scheduled)
    assert len(world.state.books) == 1


def test_past_date_means_now(world: World) -> None:
    """An action with a past date takes effect immediately, with today's date."""
    world.act("pause", SOME_ACTIVE[0], START - timedelta(days=5))
    assert world.state.row(SOME_ACTIVE[0])["dateDeactivated"] == "2026-05-27"
    assert world.state.books.applied()[0].effective == START


def test_scheduled_action_that_no_longer_fits(world: World) -> None:
    """A scheduled pause has no effect if the number is already in cooling off."""
    ani = SOME_ACTIVE[0]
    world.act("pause", ani, START + timedelta(days=2))
    world.act("pause", ani)
    before = world.state.row(ani)
    world.now = START + timedelta(days=3)
    assert world.state.row(ani) == before


def test_scheduled_actions_take_effect_in_order_of_date(world: World) -> None:
    """Due actions are applied in order of date, not order of arrival."""
    ani = SOME_COOLING[0]
    world.act("activate", ani, START + timedelta(days=1))
    world.now = START + timedelta(hours=30)
    world.act("pause", ani, START + timedelta(days=9))
    world.act("pause", ani, START + timedelta(days=3))
    world.now = START + timedelta(days=20)
    assert world.state.row(ani)["dateDeactivated"] == "2026-05-30"


def test_clock_in_another_time_zone() -> None:
    """A clock in another time zone gives the same instants, and dates are in UTC."""
    east = timezone(timedelta(hours=14))
    state = make_state(now=lambda: datetime(2026, 5, 28, 1, tzinfo=east))
    state.act(ActionRequest("pause", SOME_ACTIVE[0]))
    assert state.row(SOME_ACTIVE[0])["dateDeactivated"] == "2026-05-27"
    assert state.books.applied()[0].when == START - timedelta(hours=1)


def test_naive_clock_is_rejected() -> None:
    """A clock that returns naive datetimes raises ValueError immediately."""
    with pytest.raises(ValueError, match="now must be aware"):
        make_state(now=lambda: START.replace(tzinfo=None))


def test_default_clock_is_the_systems() -> None:
    """Without a clock, actions are recorded with the system time in UTC."""
    state = make_state()
    before = datetime.now(UTC)
    state.act(ActionRequest("remediate", SOME_ACTIVE[0]))
    assert before <= state.books.applied()[0].when <= datetime.now(UTC)


def test_phones_must_be_unique() -> None:
    """Two rows with the same phone number raise ValueError."""
    with pytest.raises(ValueError, match="unique phones"):
        make_state([ROWS[0], ROWS[0]])


def test_status_of_unknown_phone(world: World) -> None:
    """Reading the status of a number outside the inventory raises KeyError."""
    with pytest.raises(KeyError):
        world.state.status_of("0000000000")


def test_books_keep_the_fields_sent(world: World) -> None:
    """An entry contains every field of the request, except the date of a remediation."""
    ani = SOME_ACTIVE[0]
    request = ActionRequest("pause", ani, "130077", "why", "20260101000000", START)
    world.state.act(request)
    world.state.act(ActionRequest("remediate", ani, "130078", None, "2026-01-01"))
    first, second = world.state.books
    assert (first.carrier, first.note, first.date) == ("130077", "why", "20260101000000")
    assert (second.carrier, second.note, second.date) == ("130078", None, None)


def test_books_can_be_filtered(world: World) -> None:
    """Entries can be filtered by action, by ANI or by both, and results are snapshots."""
    one, two = SOME_ACTIVE[:2]
    books = world.state.books
    nothing = books.applied()
    world.act("pause", one)
    world.act("remediate", one)
    world.act("remediate", two)
    assert nothing == ()
    assert [entry.ani for entry in books.applied("remediate")] == [one, two]
    assert [entry.action for entry in books.applied(ani=one)] == ["pause", "remediate"]
    assert [entry.ani for entry in books.applied("pause", one)] == [one]
    assert books.times_applied("pause", two) == 0
    assert repr(books) == "Books(3 applied)"


def test_behaviours_are_unique() -> None:
    """The table contains no duplicates, and uses all three sources."""
    assert len({behaviour.what for behaviour in BEHAVIOURS}) == len(BEHAVIOURS)
    assert {behaviour.basis for behaviour in BEHAVIOURS} == set(Basis)


UNCHANGED = make_state(now=lambda: START)  # shared by read-only tests
PREFIXES = st.one_of(
    st.just(""),
    st.text("0123456789", max_size=4),
    st.builds(lambda phone, n: phone[:n], st.sampled_from(PHONES), st.integers(1, 11)),
)


@given(PREFIXES, st.integers(1, 400))
def test_pages_cover_the_matching_rows(prefix: str, size: int) -> None:
    """The pages contain each matching row once, in order, with consistent envelopes."""
    expected = [row for row in ROWS if str(row["phone"]).startswith(prefix)]
    found: list[Row] = []
    more, number = bool(expected), 0
    while more:
        number += 1
        page = UNCHANGED.page(PageRequest(number, size, prefix))
        fields = envelope(page)
        more = bool(fields["can_next_page"])
        assert fields["count"] == len(page.rows)
        assert len(page.rows) <= size
        assert fields["total_anis"] == len(expected)
        assert fields["can_prev_page"] == (number > 1)
        assert number <= page.total_pages
        found += decoded(page)
    assert found == expected
    assert UNCHANGED.page(PageRequest(1, size, prefix)).total_pages == number


@given(PREFIXES, st.integers(1, 10**18), st.integers(1, 1000))
def test_any_page_is_consistent(prefix: str, number: int, size: int) -> None:
    """The count, totals and flags of any page are consistent, even far beyond the end."""
    page = UNCHANGED.page(PageRequest(number, size, prefix))
    rows_before = min((number - 1) * size, page.total)
    assert len(page.rows) == min(size, page.total - rows_before)
    assert page.total_pages == -(-page.total // size)
    assert envelope(page)["can_next_page"] == (rows_before + len(page.rows) < page.total)


class Walk(RuleBasedStateMachine):
    """Random actions and clock changes, compared with a model that replays its own log."""

    numbers = st.sampled_from([*SOME_ACTIVE, *SOME_COOLING, "0000000000"])
    leaps = st.integers(-40, 40).map(lambda days: timedelta(days=days, seconds=days % 2))

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.log: dict[str, list[tuple[datetime, int, str, str, date]]] = {}
        self.remediated: dict[str, datetime] = {}
        self.answered: list[tuple[str, str]] = []

    def model_status(self, ani: str) -> str:
        """Return the status from replaying due actions by date, then by order of arrival."""
        status = ACTIVE if ani in SOME_ACTIVE else COOLING
        for due, _, needs, becomes, _ in sorted(self.log.get(ani, [])):
            if due <= self.world.now and status == needs:
                status = becomes
        return status

    def change(
        self, action: Literal["pause", "activate"], ani: str, leap: timedelta | None
    ) -> None:
        """Request a status change, and compare the result with the model."""
        needs, becomes = (ACTIVE, COOLING) if action == "pause" else (COOLING, ACTIVE)
        refusal = NOT_ACTIVE if action == "pause" else NOT_COOLING
        at = None if leap is None else self.world.now + leap
        fits = ani in PHONES and self.model_status(ani) == needs
        answer = self.world.act(action, ani, at)
        if fits:
            assert answer == Applied("paused" if action == "pause" else "active", ani)
            due = max(at or self.world.now, self.world.now)
            entry = (due, len(self.answered), needs, becomes, due.date())
            self.log.setdefault(ani, []).append(entry)
            self.answered.append((action, ani))
        else:
            assert answer == (refusal if ani in PHONES else NOT_FOUND)

    @rule(ani=numbers, leap=st.none() | leaps)
    def pause(self, ani: str, leap: timedelta | None) -> None:
        """Pause a number with a past, current or future date."""
        self.change("pause", ani, leap)

    @rule(ani=numbers, leap=leaps)
    def activate(self, ani: str, leap: timedelta) -> None:
        """Activate a number with a past, current or future date."""
        self.change("activate", ani, leap)

    @rule(ani=numbers)
    def remediate(self, ani: str) -> None:
        """Remediate a number, and check the cooldown."""
        last = self.remediated.get(ani)
        answer = self.world.act("remediate", ani)
        if ani not in PHONES:
            assert answer == NOT_FOUND
        elif last is not None and self.world.now - last < timedelta(days=30):
            assert answer == WithinCooldown()
        else:
            assert answer == Applied("received request", ani)
            self.remediated[ani] = self.world.now
            self.answered.append(("remediate", ani))

    @rule(leap=leaps)
    def wait(self, leap: timedelta) -> None:
        """Advance the clock by up to 40 days."""
        self.world.now += abs(leap)

    @invariant()
    def every_status_matches_the_model(self) -> None:
        """Check that the state and the model have the same status for every number."""
        for ani in (*SOME_ACTIVE, *SOME_COOLING):
            assert self.world.state.status_of(ani) == self.model_status(ani)

    @invariant()
    def the_books_hold_what_was_answered(self) -> None:
        """Check that the history has one entry for each success, in order."""
        booked = [(entry.action, entry.ani) for entry in self.world.state.books]
        assert booked == self.answered


Walk.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWalk = Walk.TestCase
