"""The state machine without a socket: every rule, then random walks against a model of it."""

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
from nrm_async.sandbox.api.wording import page_reply
from nrm_async.sandbox.inventory import Inventory, Loaded, Made
from nrm_async.sandbox.values import Page, PageRequest

START = datetime(2026, 5, 27, 12, tzinfo=UTC)
ACTIVE, COOLING = "ACTIVE_AND_BEING_MANAGED", "COOLING_OFF"
NOT_FOUND = Refused("ANI not found in inventory")
NOT_ACTIVE = Refused("Only active and managed ANIs can be paused")
NOT_COOLING = Refused("Only ANIs in cooling off status can be activated")
ROWS = generate(300, 3, START.date())
PHONES = [str(row["phone"]) for row in ROWS]
SOME_ACTIVE = [str(row["phone"]) for row in ROWS if row["status"] == ACTIVE][:4]
SOME_COOLING = [str(row["phone"]) for row in ROWS if row["status"] == COOLING][:2]


def make_state(rows: list[Row] = ROWS, now: Callable[[], datetime] | None = None) -> State:
    loaded = Loaded(map(msgspec.json.encode, rows), Made(0, 1, START.date()))
    return State(Inventory(loaded), Clock(now))


def envelope(page: Page) -> dict[str, Any]:
    """The page as it is answered, without the rows."""
    told: dict[str, Any] = json.loads(page_reply(page, Switches()).body)
    assert told.pop("data") == decoded(page)
    return told


def decoded(page: Page) -> list[Row]:
    return [json.loads(row) for row in page.rows]


class World:
    """A state with a clock that moves only when told to."""

    def __init__(self, rows: list[Row] = ROWS) -> None:
        self.now = START
        self.state = make_state(rows, lambda: self.now)

    def act(self, action: ActionName, ani: str, at: datetime | None = None) -> Answer:
        return self.state.act(ActionRequest(action, ani, at=at))


@pytest.fixture
def world() -> World:
    """A fresh state at noon of the day the rows were made for."""
    return World()


def test_pause_rests_an_active_ani(world: World) -> None:
    """A pause turns status and label to cooling off and stamps the day; the rest stays."""
    ani = SOME_ACTIVE[0]
    before = world.state.row(ani)
    assert world.act("pause", ani) == Applied("paused", ani)
    changed = {"status": COOLING, "statusLabel": "Cooling Off", "dateDeactivated": "2026-05-27"}
    assert world.state.row(ani) == before | changed
    assert before["status"] == ACTIVE


def test_activate_brings_a_resting_ani_back(world: World) -> None:
    """An activation turns status and label to active, stamps the day, clears the other stamp."""
    ani = SOME_COOLING[0]
    assert world.act("activate", ani, START) == Applied("active", ani)
    row = world.state.row(ani)
    assert (row["status"], row["statusLabel"]) == (ACTIVE, "Active and Being Managed")
    assert (row["dateActivated"], row["dateDeactivated"]) == ("2026-05-27", None)


def test_a_second_pause_is_refused(world: World) -> None:
    """What is resting cannot be paused, and the refusal leaves row and books alone."""
    ani = SOME_ACTIVE[0]
    world.act("pause", ani)
    before = world.state.row(ani)
    assert world.act("pause", ani) == NOT_ACTIVE
    assert world.state.row(ani) == before
    assert world.state.books.times_applied("pause", ani) == 1


def test_an_active_ani_cannot_be_activated(world: World) -> None:
    """Only what is resting can be activated."""
    assert world.act("activate", SOME_ACTIVE[0], START) == NOT_COOLING
    assert len(world.state.books) == 0


@pytest.mark.parametrize("action", ["pause", "activate", "remediate"])
def test_an_unknown_ani_is_refused(world: World, action: ActionName) -> None:
    """No action applies to a number outside the inventory, and all refuse in the same words."""
    assert world.act(action, "0000000000", START) == NOT_FOUND
    assert len(world.state.books) == 0


def test_remediation_is_refused_for_thirty_days(world: World) -> None:
    """Inside the window a remediation is within cooldown; when the 30 days are over it is not."""
    ani = SOME_ACTIVE[0]
    assert world.act("remediate", ani) == Applied("received request", ani)
    world.now = START + timedelta(days=30) - timedelta(microseconds=1)
    assert world.act("remediate", ani) == WithinCooldown()
    world.now = START + timedelta(days=30)
    assert world.act("remediate", ani) == Applied("received request", ani)
    assert world.state.books.times_applied("remediate", ani) == 2


def test_a_refused_remediation_does_not_prolong_the_window(world: World) -> None:
    """The window counts from the last remediation that was applied."""
    ani = SOME_ACTIVE[0]
    world.act("remediate", ani)
    world.now = START + timedelta(days=29)
    world.act("remediate", ani)
    world.now = START + timedelta(days=30)
    assert isinstance(world.act("remediate", ani), Applied)


def test_remediation_does_not_show_in_the_row(world: World) -> None:
    """Neither a resting nor an active row changes by a remediation."""
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
def test_a_future_date_takes_effect_when_it_comes(
    world: World, action: ActionName, ani: str, before: str, after: str, stamp: str
) -> None:
    """A future action is answered and booked now; the status turns on its very second."""
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


def test_a_past_date_takes_effect_at_once(world: World) -> None:
    """A date in the past means now, and is stamped as today."""
    world.act("pause", SOME_ACTIVE[0], START - timedelta(days=5))
    assert world.state.row(SOME_ACTIVE[0])["dateDeactivated"] == "2026-05-27"
    assert world.state.books.applied()[0].effective == START


def test_a_scheduled_action_that_no_longer_fits_is_dropped(world: World) -> None:
    """A pause that comes due on a resting ANI changes nothing, not even the stamp."""
    ani = SOME_ACTIVE[0]
    world.act("pause", ani, START + timedelta(days=2))
    world.act("pause", ani)
    before = world.state.row(ani)
    world.now = START + timedelta(days=3)
    assert world.state.row(ani) == before


def test_scheduled_actions_take_effect_in_order(world: World) -> None:
    """One look after a long time finds the outcome of everything due, by date, not by asking."""
    ani = SOME_COOLING[0]
    world.act("activate", ani, START + timedelta(days=1))
    world.now = START + timedelta(hours=30)
    world.act("pause", ani, START + timedelta(days=9))
    world.act("pause", ani, START + timedelta(days=3))
    world.now = START + timedelta(days=20)
    assert world.state.row(ani)["dateDeactivated"] == "2026-05-30"


def test_any_time_zone_will_do_for_the_clock() -> None:
    """A clock in another zone means the same instants; days are stamped in UTC."""
    east = timezone(timedelta(hours=14))
    state = make_state(now=lambda: datetime(2026, 5, 28, 1, tzinfo=east))
    state.act(ActionRequest("pause", SOME_ACTIVE[0]))
    assert state.row(SOME_ACTIVE[0])["dateDeactivated"] == "2026-05-27"
    assert state.books.applied()[0].when == START - timedelta(hours=1)


def test_a_naive_clock_is_refused() -> None:
    """A clock without a time zone is a mistake that is told at once."""
    with pytest.raises(ValueError, match="now must be aware"):
        make_state(now=lambda: START.replace(tzinfo=None))


def test_without_a_clock_the_system_tells_the_time() -> None:
    """The default clock books the present, in UTC."""
    state = make_state()
    before = datetime.now(UTC)
    state.act(ActionRequest("remediate", SOME_ACTIVE[0]))
    assert before <= state.books.applied()[0].when <= datetime.now(UTC)


def test_phones_must_be_unique() -> None:
    """Two rows with one phone would make every answer ambiguous."""
    with pytest.raises(ValueError, match="unique phones"):
        make_state([ROWS[0], ROWS[0]])


def test_unknown_phones_have_no_row(world: World) -> None:
    """Looking up a number outside the inventory is a KeyError."""
    with pytest.raises(KeyError):
        world.state.status_of("0000000000")


def test_the_books_keep_what_was_sent(world: World) -> None:
    """An entry holds every field of its request, but no date for a remediation."""
    ani = SOME_ACTIVE[0]
    request = ActionRequest("pause", ani, "130077", "why", "20260101000000", START)
    world.state.act(request)
    world.state.act(ActionRequest("remediate", ani, "130078", None, "2026-01-01"))
    first, second = world.state.books
    assert (first.carrier, first.note, first.date) == ("130077", "why", "20260101000000")
    assert (second.carrier, second.note, second.date) == ("130078", None, None)


def test_the_books_can_be_asked(world: World) -> None:
    """Entries are found by action, by ANI, by both, and answers are snapshots."""
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


def test_every_behaviour_is_said_once() -> None:
    """The table of behaviours has no double entries and knows all three bases."""
    assert len({behaviour.what for behaviour in BEHAVIOURS}) == len(BEHAVIOURS)
    assert {behaviour.basis for behaviour in BEHAVIOURS} == set(Basis)


PREFIXES = st.one_of(
    st.just(""),
    st.text("0123456789", max_size=4),
    st.builds(lambda phone, n: phone[:n], st.sampled_from(PHONES), st.integers(1, 11)),
)


@given(PREFIXES, st.integers(1, 400))
def test_pages_put_together_are_the_matching_rows(prefix: str, size: int) -> None:
    """All pages in a row hold each matching row once, in order, under a consistent envelope."""
    state = make_state(now=lambda: START)
    expected = [row for row in ROWS if str(row["phone"]).startswith(prefix)]
    found: list[Row] = []
    more, number = bool(expected), 0
    while more:
        number += 1
        page = state.page(PageRequest(number, size, prefix))
        told = envelope(page)
        more = bool(told["can_next_page"])
        assert told["count"] == len(page.rows)
        assert len(page.rows) <= size
        assert told["total_anis"] == len(expected)
        assert told["can_prev_page"] == (number > 1)
        assert number <= page.total_pages
        found += decoded(page)
    assert found == expected
    assert state.page(PageRequest(1, size, prefix)).total_pages == number


@given(PREFIXES, st.integers(1, 10**18), st.integers(1, 1000))
def test_any_page_agrees_with_itself(prefix: str, number: int, size: int) -> None:
    """However far out a page is, count, totals and flags tell one story."""
    page = make_state(now=lambda: START).page(PageRequest(number, size, prefix))
    rows_before = min((number - 1) * size, page.total)
    assert len(page.rows) == min(size, page.total - rows_before)
    assert page.total_pages == -(-page.total // size)
    assert envelope(page)["can_next_page"] == (rows_before + len(page.rows) < page.total)


class Walk(RuleBasedStateMachine):
    """Random actions and leaps of the clock, against a model that replays its own diary."""

    numbers = st.sampled_from([*SOME_ACTIVE, *SOME_COOLING, "0000000000"])
    leaps = st.integers(-40, 40).map(lambda days: timedelta(days=days, seconds=days % 2))

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.diary: dict[str, list[tuple[datetime, int, str, str, date]]] = {}
        self.remediated: dict[str, datetime] = {}
        self.told_applied: list[tuple[str, str]] = []

    def model_status(self, ani: str) -> str:
        """Replay what is due, by date and then by order of asking."""
        status = ACTIVE if ani in SOME_ACTIVE else COOLING
        for due, _, needs, becomes, _ in sorted(self.diary.get(ani, [])):
            if due <= self.world.now and status == needs:
                status = becomes
        return status

    def change(
        self, action: Literal["pause", "activate"], ani: str, leap: timedelta | None
    ) -> None:
        """Ask for a change of status, and check the answer against the model."""
        needs, becomes = (ACTIVE, COOLING) if action == "pause" else (COOLING, ACTIVE)
        refusal = NOT_ACTIVE if action == "pause" else NOT_COOLING
        at = None if leap is None else self.world.now + leap
        fits = ani in PHONES and self.model_status(ani) == needs
        answer = self.world.act(action, ani, at)
        if fits:
            assert answer == Applied("paused" if action == "pause" else "active", ani)
            due = max(at or self.world.now, self.world.now)
            entry = (due, len(self.told_applied), needs, becomes, due.date())
            self.diary.setdefault(ani, []).append(entry)
            self.told_applied.append((action, ani))
        else:
            assert answer == (refusal if ani in PHONES else NOT_FOUND)

    @rule(ani=numbers, leap=st.none() | leaps)
    def pause(self, ani: str, leap: timedelta | None) -> None:
        """Pause now, in the past or in the future."""
        self.change("pause", ani, leap)

    @rule(ani=numbers, leap=leaps)
    def activate(self, ani: str, leap: timedelta) -> None:
        """Activate now, in the past or in the future."""
        self.change("activate", ani, leap)

    @rule(ani=numbers)
    def remediate(self, ani: str) -> None:
        """Remediate, and check the window."""
        last = self.remediated.get(ani)
        answer = self.world.act("remediate", ani)
        if ani not in PHONES:
            assert answer == NOT_FOUND
        elif last is not None and self.world.now - last < timedelta(days=30):
            assert answer == WithinCooldown()
        else:
            assert answer == Applied("received request", ani)
            self.remediated[ani] = self.world.now
            self.told_applied.append(("remediate", ani))

    @rule(leap=leaps)
    def wait(self, leap: timedelta) -> None:
        """Let time pass, up to forty days."""
        self.world.now += abs(leap)

    @invariant()
    def every_status_is_the_models(self) -> None:
        """State and model agree on every number in play."""
        for ani in (*SOME_ACTIVE, *SOME_COOLING):
            assert self.world.state.status_of(ani) == self.model_status(ani)

    @invariant()
    def the_books_hold_what_was_told(self) -> None:
        """One entry for each success that was answered, in that order."""
        booked = [(entry.action, entry.ani) for entry in self.world.state.books]
        assert booked == self.told_applied


Walk.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestWalk = Walk.TestCase
