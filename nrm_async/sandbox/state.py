"""The account's state machine, which applies actions to the inventory, now or on their date.

This module performs no I/O. Each change is written to a journal before its result is returned, so
replaying the journal restores the state.
"""

import heapq
import threading
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias

from attrs import frozen

from nrm_async.sandbox.clock import Clock, ClockSetting
from nrm_async.sandbox.history import AppliedAction, Books, RequestEntry
from nrm_async.sandbox.inventory import Inventory
from nrm_async.sandbox.validation import parse_phone
from nrm_async.sandbox.values import (
    ACTIVE,
    ACTIVE_LABEL,
    COOLING_OFF,
    COOLING_OFF_LABEL,
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

REMEDIATION_COOLDOWN: Final = timedelta(days=30)
"""Minimum time between two remediations of the same ANI (vendor's SDKs)."""

NOT_FOUND: Final = Refused("ANI not found in inventory")


@frozen
class ClockChanged:
    """A change of the clock setting, made at the clock time ``at``."""

    at: datetime
    setting: ClockSetting


@frozen
class NumberAdded:
    """The addition of a number to the inventory."""


@frozen
class NumberRemoved:
    """The removal of the number at this index from the inventory."""

    index: int


StateChange: TypeAlias = AppliedAction | ClockChanged | NumberAdded | NumberRemoved
"""Any state change. Replaying the same changes in the same order restores the same state."""


class Journal(Protocol):
    """Storage for state changes and requests."""

    def write(self, change: StateChange) -> None:
        """Save a state change before returning."""

    def write_request(self, request: RequestEntry) -> None:
        """Save a finished request."""

    def clear(self) -> None:
        """Delete all state changes and requests."""


@frozen
class _Transition:
    """A transition from one status to another."""

    from_status: str
    updates: Row
    date_field: str
    success: str
    refusal: Refused


_TRANSITIONS: Final[dict[ActionName, _Transition]] = {
    "pause": _Transition(
        from_status=ACTIVE,
        updates={"status": COOLING_OFF, "statusLabel": COOLING_OFF_LABEL},
        date_field="dateDeactivated",
        success="paused",
        refusal=Refused("Only active and managed ANIs can be paused"),
    ),
    "activate": _Transition(
        from_status=COOLING_OFF,
        updates={"status": ACTIVE, "statusLabel": ACTIVE_LABEL, "dateDeactivated": None},
        date_field="dateActivated",
        success="active",
        refusal=Refused("Only ANIs in cooling off status can be activated"),
    ),
}


class State:
    """A thread-safe inventory to which actions are applied.

    Args:
        inventory: The rows.
        clock: The clock; defaults to the system clock.
        journal: Storage for state changes and requests. If None, the state is kept in memory only.
    """

    def __init__(
        self, inventory: Inventory, clock: Clock | None = None, journal: Journal | None = None
    ) -> None:
        self._inventory = inventory
        self._clock = clock or Clock()
        self._journal = journal
        self._lock = threading.RLock()
        self._scheduled: list[tuple[datetime, int, AppliedAction]] = []
        self._last_remediated: dict[str, datetime] = {}
        self._clock.on_change(self._clock_changes)
        self.books = Books(None if journal is None else journal.write_request)

    @property
    def phones(self) -> tuple[str, ...]:
        """All phone numbers, in listing order."""
        with self._lock:
            inventory = self._inventory
            return tuple(map(inventory.phone, inventory.indices(0, len(inventory))))

    @property
    def rows(self) -> tuple[Row, ...]:
        """All rows with their current values, in listing order."""
        with self._lock:
            self._apply_due()
            inventory = self._inventory
            return tuple(map(inventory.row, inventory.indices(0, len(inventory))))

    @property
    def scheduled(self) -> tuple[AppliedAction, ...]:
        """Accepted actions that have not taken effect yet, earliest first."""
        with self._lock:
            self._apply_due()
            return tuple(entry for _, _, entry in sorted(self._scheduled))

    def __len__(self) -> int:
        return len(self._inventory)

    def row(self, ani: Any) -> Row:
        """Return the current row of ``ani``; raise KeyError if it is not in the inventory."""
        with self._lock:
            self._apply_due()
            return self._inventory.row(self._index_of(ani))

    def status_of(self, ani: Any) -> str:
        """Return the status code of ``ani``; raise KeyError if it is not in the inventory."""
        with self._lock:
            self._apply_due()
            return self._inventory.status(self._index_of(ani))

    def page(self, request: PageRequest, *, text_ids: bool = False) -> Page:
        """Return a page of the listing, in time proportional to the page length."""
        with self._lock:
            self._apply_due()
            start = (request.page - 1) * request.page_size
            total = self._inventory.count_matching(request.number)
            indices = (
                self._inventory.indices(start, start + request.page_size, request.number)
                if start < total
                else ()
            )
            rows = tuple(self._inventory.encoded(index, text_ids=text_ids) for index in indices)
            return Page(rows, total, request.page, request.page_size)

    def act(self, request: ActionRequest, number: int = 0) -> Answer:
        """Apply or schedule an action and record it, or refuse it.

        ``number`` is the HTTP request number to record in the history.
        """
        with self._lock:
            now = self._apply_due()
            index = self._inventory.index_of(request.ani)
            if index is None:
                return NOT_FOUND
            if request.action == "remediate":
                return self._remediate(request, now, number)
            transition = _TRANSITIONS[request.action]
            if self._inventory.status(index) != transition.from_status:
                return transition.refusal
            effective = now if request.at is None else max(request.at, now)
            self._commit(_entry(request, now, effective, number), index)
            return Applied(transition.success, request.ani)

    def join(self) -> None:
        """Add a number to the front of the inventory."""
        with self._lock:
            self._commit(NumberAdded())

    def leave(self, position: int) -> None:
        """Remove the number at this position in the listing."""
        with self._lock:
            self._commit(NumberRemoved(self._inventory.index_at(position)))

    def replay(self, change: StateChange) -> None:
        """Apply a change read from the journal."""
        with self._lock:
            if isinstance(change, ClockChanged):
                self._apply_due(change.at)
                self._clock.restore(change.setting)
                return
            if isinstance(change, AppliedAction):
                self._apply_due(change.when)
            self._apply(change)

    def reset(self, inventory: Inventory) -> None:
        """Replace the inventory, clear the journal and the history, and reset the clock."""
        with self._lock:
            if self._journal is not None:
                self._journal.clear()
            self._inventory = inventory
            self._scheduled.clear()
            self._last_remediated.clear()
            self._clock.restore(ClockSetting())
            self.books.clear()

    def prepare(self) -> None:
        """Build the inventory's indexes and caches before the first request."""
        with self._lock:
            self._inventory.prepare()

    def _index_of(self, ani: Any) -> int:
        phone = parse_phone(ani)
        index = self._inventory.index_of(phone)
        if index is None:
            raise KeyError(phone)
        return index

    def _remediate(self, request: ActionRequest, now: datetime, number: int) -> Answer:
        last = self._last_remediated.get(request.ani)
        if last is not None and now - last < REMEDIATION_COOLDOWN:
            return WithinCooldown()
        self._commit(_entry(request, now, now, number))
        return Applied("received request", request.ani)

    def _commit(
        self, change: AppliedAction | NumberAdded | NumberRemoved, index: int | None = None
    ) -> None:
        """Write a change to the journal, then apply it.

        ``index`` is the row to update, if the caller has already looked it up.
        """
        if self._journal is not None:
            self._journal.write(change)
        self._apply(change, index)

    def _apply(
        self, change: AppliedAction | NumberAdded | NumberRemoved, index: int | None = None
    ) -> None:
        match change:
            case AppliedAction():
                self._record(change, index)
            case NumberAdded():
                self._inventory.add()
            case NumberRemoved():
                self._inventory.remove(change.index)

    def _clock_changes(self, at: datetime, setting: ClockSetting) -> None:
        """Apply the actions due under the old setting, then write the new one to the journal."""
        with self._lock:
            self._apply_due(at)
            if self._journal is not None:
                self._journal.write(ClockChanged(at, setting))

    def _record(self, entry: AppliedAction, index: int | None) -> None:
        self.books.record(entry)
        if entry.action == "remediate":
            self._last_remediated[entry.ani] = entry.when
        elif entry.effective > entry.when:
            # Use the history length as a tie-breaker, so that actions due at the same instant take
            # effect in the order of acceptance.
            heapq.heappush(self._scheduled, (entry.effective, len(self.books), entry))
        elif index is not None:
            self._update_row(entry, index)
        else:
            self._take_effect(entry)

    def _take_effect(self, entry: AppliedAction) -> None:
        """Update the row, unless it was removed or its status no longer allows the action."""
        index = self._inventory.index_of(entry.ani)
        required = _TRANSITIONS[entry.action].from_status
        if index is not None and self._inventory.status(index) == required:
            self._update_row(entry, index)

    def _update_row(self, entry: AppliedAction, index: int) -> None:
        transition = _TRANSITIONS[entry.action]
        date: Row = {transition.date_field: entry.effective.date().isoformat()}
        self._inventory.update(index, {**transition.updates, **date})

    def _apply_due(self, now: datetime | None = None) -> datetime:
        """Apply the scheduled actions that are due, and return the current time."""
        now = self._clock.now() if now is None else now
        while self._scheduled and self._scheduled[0][0] <= now:
            self._take_effect(heapq.heappop(self._scheduled)[2])
        return now


def _entry(
    request: ActionRequest, when: datetime, effective: datetime, number: int
) -> AppliedAction:
    return AppliedAction(
        request.action,
        request.ani,
        request.carrier,
        request.note,
        None if request.action == "remediate" else request.date,
        when,
        effective,
        number,
    )
