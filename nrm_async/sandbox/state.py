"""The state machine of an account's inventory: no I/O, and no clock but the one it is given."""

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen

from nrm_async.sandbox import checks
from nrm_async.sandbox.books import AppliedAction, Books
from nrm_async.sandbox.values import (
    ActionName,
    ActionRequest,
    Answer,
    Applied,
    Page,
    PageRequest,
    Refused,
    Row,
    WithinCooldown,
)

ACTIVE: Final = "ACTIVE_AND_BEING_MANAGED"
"""Status of an ANI in use (NRM API documentation)."""

ACTIVE_LABEL: Final = "Active and Being Managed"

COOLING_OFF: Final = "COOLING_OFF"
"""Status of a paused ANI (assumed: the documentation does not give its code)."""

COOLING_OFF_LABEL: Final = "Cooling Off"

REMEDIATION_COOLDOWN: Final = timedelta(days=30)
"""How long after a remediation the next one is refused (vendor's SDKs)."""

NOT_FOUND: Final = Refused("ANI not found in inventory")

_AFTER_ANY_DIGIT: Final = ":"  # sorts after "9": closes the range of a prefix


@frozen
class _Transition:
    """One edge of the machine: pause and activate differ in these words only."""

    needs: str
    becomes: Row
    stamp: str
    success: str
    refusal: Refused


_TRANSITIONS: Final[dict[ActionName, _Transition]] = {
    "pause": _Transition(
        needs=ACTIVE,
        becomes={"status": COOLING_OFF, "statusLabel": COOLING_OFF_LABEL},
        stamp="dateDeactivated",
        success="paused",
        refusal=Refused("Only active and managed ANIs can be paused"),
    ),
    "activate": _Transition(
        needs=COOLING_OFF,
        becomes={"status": ACTIVE, "statusLabel": ACTIVE_LABEL, "dateDeactivated": None},
        stamp="dateActivated",
        success="active",
        refusal=Refused("Only ANIs in cooling off status can be activated"),
    ),
}


def utc_now() -> datetime:
    """The system's clock, aware, in UTC."""
    return datetime.now(UTC)


class State:
    """An inventory and what may be done to it.

    Args:
        rows: The inventory in wire form (see :func:`nrm_async.sandbox.data.generate`); each
            ``phone`` is a string of digits and unique, else ValueError.
        now: The clock: answers aware datetimes, else ValueError. None: the system's, in UTC.
    """

    def __init__(self, rows: Iterable[Row], *, now: Callable[[], datetime] | None = None) -> None:
        self._now = now or utc_now
        self._rows = list(rows)
        self._phones = tuple(str(row["phone"]) for row in self._rows)
        self._position = {phone: at for at, phone in enumerate(self._phones)}
        if len(self._position) != len(self._rows):
            raise ValueError("rows must have unique phones")
        self._sorted_phones = sorted(self._phones)
        self._due: list[tuple[datetime, int, AppliedAction]] = []
        self._last_remediated: dict[str, datetime] = {}
        self.books = Books()

    @property
    def phones(self) -> tuple[str, ...]:
        """Every phone, in order of inventory."""
        return self._phones

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row as it stands now, in order of inventory."""
        self._tick()
        return tuple(self._rows)

    @property
    def scheduled(self) -> tuple[AppliedAction, ...]:
        """The accepted actions whose date has not come yet, next first."""
        self._tick()
        return tuple(entry for _, _, entry in sorted(self._due))

    def row(self, ani: str) -> Row:
        """The row of ``ani`` (ten digits) as it stands now; KeyError when it is not there."""
        self._tick()
        return self._rows[self._position[ani]]

    def status_of(self, ani: str) -> str:
        """The status code of ``ani`` (ten digits) now; KeyError when it is not there."""
        return str(self.row(ani)["status"])

    def page(self, request: PageRequest) -> Page:
        """The rows of one page. Without a filter this costs as much as the page is long."""
        self._tick()
        found = self._matching(request.number)
        start = (request.page - 1) * request.page_size
        rows = tuple(self._rows[at] for at in found[start : start + request.page_size])
        return Page(rows, len(found), request.page, request.page_size)

    def act(self, request: ActionRequest) -> Answer:
        """Judge one action now and, unless it is refused, apply or schedule it and book it."""
        now = self._tick()
        if request.ani not in self._position:
            return NOT_FOUND
        if request.action == "remediate":
            return self._remediate(request, now)
        return self._change(request, _TRANSITIONS[request.action], now)

    def _matching(self, prefix: str) -> Sequence[int]:
        if not prefix:
            return range(len(self._rows))
        first = bisect_left(self._sorted_phones, prefix)
        last = bisect_left(self._sorted_phones, prefix + _AFTER_ANY_DIGIT)
        return sorted(self._position[phone] for phone in self._sorted_phones[first:last])

    def _remediate(self, request: ActionRequest, now: datetime) -> Answer:
        last = self._last_remediated.get(request.ani)
        if last is not None and now - last < REMEDIATION_COOLDOWN:
            return WithinCooldown()
        self._last_remediated[request.ani] = now
        self._book(request, now, now)
        return Applied("received request", request.ani)

    def _change(self, request: ActionRequest, transition: _Transition, now: datetime) -> Answer:
        if self._rows[self._position[request.ani]]["status"] != transition.needs:
            return transition.refusal
        effective = now if request.at is None else max(request.at, now)
        entry = self._book(request, now, effective)
        if effective > now:
            # The books' length breaks ties: of two due at once, the one accepted first goes first.
            heapq.heappush(self._due, (effective, len(self.books), entry))
        else:
            self._take_effect(entry)
        return Applied(transition.success, request.ani)

    def _book(self, request: ActionRequest, when: datetime, effective: datetime) -> AppliedAction:
        date = None if request.action == "remediate" else request.date
        entry = AppliedAction(
            request.action, request.ani, request.carrier, request.note, date, when, effective
        )
        self.books.record(entry)
        return entry

    def _take_effect(self, entry: AppliedAction) -> None:
        transition = _TRANSITIONS[entry.action]
        at = self._position[entry.ani]
        if self._rows[at]["status"] == transition.needs:
            stamp: Row = {transition.stamp: entry.effective.date().isoformat()}
            # A new row each time: pages given out earlier stay what they were.
            self._rows[at] = {**self._rows[at], **transition.becomes, **stamp}

    def _tick(self) -> datetime:
        """Read the clock and let everything take effect that has come due."""
        now = checks.aware("now", self._now())
        while self._due and self._due[0][0] <= now:
            self._take_effect(heapq.heappop(self._due)[2])
        return now.astimezone(UTC)
