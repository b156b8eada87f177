"""The state machine of an account: what an action does to an inventory, now or on its date.

No I/O. What it decides it tells a journal before anybody learns of it, so that the same state can
be told again to another: actions, numbers that join and leave, and turns of the clock.
"""

import heapq
import threading
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import frozen

from nrm_async.sandbox import checks
from nrm_async.sandbox.books import AppliedAction, Books
from nrm_async.sandbox.clock import Clock, Setting
from nrm_async.sandbox.events import Event, Joined, Journal, Left, Turned
from nrm_async.sandbox.inventory import Inventory
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
"""How long after a remediation the next one is refused (vendor's SDKs)."""

NOT_FOUND: Final = Refused("ANI not found in inventory")


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


class State:
    """An inventory and what may be done to it. It may be asked from any thread.

    Args:
        inventory: The rows.
        clock: What time it is; None: a clock of its own.
        journal: Where events are kept; None: nowhere.
    """

    def __init__(
        self, inventory: Inventory, clock: Clock | None = None, journal: Journal | None = None
    ) -> None:
        self._inventory = inventory
        self._clock = clock or Clock()
        self._journal = journal
        self._lock = threading.RLock()
        self._due: list[tuple[datetime, int, AppliedAction]] = []
        self._last_remediated: dict[str, datetime] = {}
        self._clock.watch(self._turn)
        self.books = Books(None if journal is None else journal.keep)

    @property
    def phones(self) -> tuple[str, ...]:
        """Every phone, in the order of the listing."""
        with self._lock:
            inventory = self._inventory
            return tuple(map(inventory.phone, inventory.indices(0, len(inventory))))

    @property
    def rows(self) -> tuple[Row, ...]:
        """Every row as it stands now, in the order of the listing."""
        with self._lock:
            self._tick()
            inventory = self._inventory
            return tuple(map(inventory.row, inventory.indices(0, len(inventory))))

    @property
    def scheduled(self) -> tuple[AppliedAction, ...]:
        """The accepted actions whose date has not come yet, next first."""
        with self._lock:
            self._tick()
            return tuple(entry for _, _, entry in sorted(self._due))

    def __len__(self) -> int:
        return len(self._inventory)

    def row(self, ani: Any) -> Row:
        """The row of ``ani``, however written, as it stands now; KeyError when it is not there."""
        with self._lock:
            self._tick()
            return self._inventory.row(self._index(ani))

    def status_of(self, ani: Any) -> str:
        """The status code of ``ani``, however written, now; KeyError when it is not there."""
        with self._lock:
            self._tick()
            return self._inventory.status(self._index(ani))

    def page(self, request: PageRequest, *, text_ids: bool = False) -> Page:
        """The rows of one page. It costs as much as the page is long, wherever it is."""
        with self._lock:
            self._tick()
            start = (request.page - 1) * request.page_size
            total = self._inventory.matching(request.number)
            found = (
                self._inventory.indices(start, start + request.page_size, request.number)
                if start < total
                else ()
            )
            rows = tuple(self._inventory.encoded(at, text_ids=text_ids) for at in found)
            return Page(rows, total, request.page, request.page_size)

    def act(self, request: ActionRequest, number: int = 0) -> Answer:
        """Judge one action now and, unless it is refused, apply or schedule it and book it.

        ``number`` is that of the HTTP request, for the books.
        """
        with self._lock:
            now = self._tick()
            index = self._inventory.find(request.ani)
            if index is None:
                return NOT_FOUND
            if request.action == "remediate":
                return self._remediate(request, now, number)
            transition = _TRANSITIONS[request.action]
            if self._inventory.status(index) != transition.needs:
                return transition.refusal
            effective = now if request.at is None else max(request.at, now)
            self._commit(_entry(request, now, effective, number), index)
            return Applied(transition.success, request.ani)

    def join(self) -> None:
        """A number joins the inventory, in front of all others."""
        with self._lock:
            self._commit(Joined())

    def leave(self, position: int) -> None:
        """The number at this position of the listing leaves the inventory."""
        with self._lock:
            self._commit(Left(self._inventory.at(position)))

    def replay(self, event: Event) -> None:
        """Let an event happen that was decided before; it is not kept again."""
        with self._lock:
            match event:
                case AppliedAction():
                    self._tick(event.when)
                    self._book(event)
                case Turned():
                    self._tick(event.at)
                    self._clock.restore(event.setting)
                case Joined():
                    self._inventory.join()
                case Left():
                    self._inventory.leave(event.index)

    def reset(self, inventory: Inventory) -> None:
        """Begin anew with this inventory: nothing has been asked or applied, the clock is right."""
        with self._lock:
            if self._journal is not None:
                self._journal.clear()
            self._inventory = inventory
            self._due.clear()
            self._last_remediated.clear()
            self._clock.restore(Setting())
            self.books.clear()

    def prepare(self) -> None:
        """Do now what the first listings would have to wait for."""
        with self._lock:
            self._inventory.prepare()

    def _index(self, ani: Any) -> int:
        phone = checks.phone(ani)
        index = self._inventory.find(phone)
        if index is None:
            raise KeyError(phone)
        return index

    def _remediate(self, request: ActionRequest, now: datetime, number: int) -> Answer:
        last = self._last_remediated.get(request.ani)
        if last is not None and now - last < REMEDIATION_COOLDOWN:
            return WithinCooldown()
        self._commit(_entry(request, now, now, number))
        return Applied("received request", request.ani)

    def _commit(self, event: AppliedAction | Joined | Left, index: int | None = None) -> None:
        """Keep it, then let it happen; ``index``: of a row that is known to fit."""
        if self._journal is not None:
            self._journal.write(event)
        match event:
            case AppliedAction():
                self._book(event, index)
            case Joined():
                self._inventory.join()
            case Left():
                self._inventory.leave(event.index)

    def _turn(self, at: datetime, setting: Setting) -> None:
        """The clock is about to be turned: what is due by its old setting takes effect first."""
        with self._lock:
            self._tick(at)
            if self._journal is not None:
                self._journal.write(Turned(at, setting))

    def _book(self, entry: AppliedAction, index: int | None = None) -> None:
        self.books.record(entry)
        if entry.action == "remediate":
            self._last_remediated[entry.ani] = entry.when
        elif entry.effective > entry.when:
            # The books' length breaks ties: of two due at once, the one accepted first goes first.
            heapq.heappush(self._due, (entry.effective, len(self.books), entry))
        elif index is not None:
            self._change(entry, index)
        else:
            self._take_effect(entry)

    def _take_effect(self, entry: AppliedAction) -> None:
        """Change the row, unless it is gone or no longer in the status that it takes."""
        index = self._inventory.find(entry.ani)
        needed = _TRANSITIONS[entry.action].needs
        if index is not None and self._inventory.status(index) == needed:
            self._change(entry, index)

    def _change(self, entry: AppliedAction, index: int) -> None:
        transition = _TRANSITIONS[entry.action]
        stamp: Row = {transition.stamp: entry.effective.date().isoformat()}
        self._inventory.change(index, {**transition.becomes, **stamp})

    def _tick(self, now: datetime | None = None) -> datetime:
        """Read the clock and let everything take effect that has come due."""
        now = self._clock.now() if now is None else now
        while self._due and self._due[0][0] <= now:
            self._take_effect(heapq.heappop(self._due)[2])
        return now


def _entry(
    request: ActionRequest, when: datetime, effective: datetime, number: int
) -> AppliedAction:
    date = None if request.action == "remediate" else request.date
    return AppliedAction(
        request.action,
        request.ani,
        request.carrier,
        request.note,
        date,
        when,
        effective,
        number,
    )
