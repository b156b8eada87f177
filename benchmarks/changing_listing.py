"""A listing that changes while it is read, and records which rows a reader must have seen.

Rows are sorted by ``id``, new rows too, until one is moved.

The listing uses neither sockets nor a clock. A response takes a random number of event loop
iterations, so pages in flight are served in any order, each with the current rows. Runs with the
same seed are identical.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Final, Literal, TypeAlias, TypeVar

import attrs

from nrm_async import Ani, AniPage, Inventory
from nrm_async._paging import PageSource

T = TypeVar("T")
InsertAt: TypeAlias = Literal["front", "end", "anywhere"]

CONCURRENCY: Final = 16
_MOST_TURNS: Final = 16
_GAP: Final = 1 << 40  # between neighbouring ids, so that a new row fits in anywhere


@attrs.define
class ChangingListing:
    """Listing under churn.

    Attributes:
        size: Initial number of rows; constant under balanced churn.
        seed: Seed of the random changes.
        churn: Changes per page read.
        inserts: Where new rows are inserted.
        moves: Share of the changes that move a row instead.
        updates: Share of the changes that update a row in place instead.
        net: 0 for balanced churn, 1 if rows are only added, -1 if they are only removed.
        changes: Number of changes so far.
        served: Number of responses so far.
        rows: The current rows.
        stood: Ids of the rows that have been present throughout.
        moved: Ids of the rows that have been moved.
    """

    size: int
    seed: int
    churn: float
    inserts: InsertAt = "anywhere"
    moves: float = 0.0
    updates: float = 0.0
    net: Literal[-1, 0, 1] = 0
    changes: int = 0
    served: int = 0
    rows: list[Ani] = attrs.field(init=False)
    stood: set[int | str] = attrs.field(init=False)
    moved: set[int | str] = attrs.field(factory=set)
    _rng: random.Random = attrs.field(init=False)
    _next: int = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.rows = [_row(number, (number + 1) * _GAP) for number in range(self.size)]
        self.stood = {row.id for row in self.rows}
        self._rng = random.Random(self.seed)
        self._next = self.size

    def source(self, page_size: int, concurrency: int = CONCURRENCY) -> PageSource:
        """Return a page source for a listing reader."""
        return PageSource(self.fetch, asyncio.create_task, page_size, concurrency, self.find)

    async def fetch(self, page: int, page_size: int) -> Callable[[], AniPage]:
        """Return a page."""
        answer = await self._serve(lambda: self._page(page, page_size))
        return partial(_same, answer)

    async def find(self, phone: str) -> Ani | None:
        """Return the row of a number, or ``None``."""
        return await self._serve(lambda: self._row_of(phone))

    async def _serve(self, answer: Callable[[], T]) -> T:
        """Change the listing at random and call ``answer``, with random delays around both."""
        await self._turns()
        self.served += 1
        while self._rng.random() < self.churn / (1 + self.churn):
            self._change()
        given = answer()
        await self._turns()
        return given

    async def _turns(self) -> None:
        for _ in range(self._rng.randrange(_MOST_TURNS)):
            await asyncio.sleep(0)

    def _row_of(self, phone: str) -> Ani | None:
        return next((row for row in self.rows if row.phone == phone), None)

    def _page(self, page: int, page_size: int) -> AniPage:
        first, total = (page - 1) * page_size, len(self.rows)
        rows = tuple(self.rows[first : first + page_size])
        return AniPage(
            data=rows,
            page=page,
            page_size=page_size,
            count=len(rows),
            total_anis=total,
            total_pages=-(-total // page_size),
            can_next_page=first + page_size < total,
            can_prev_page=page > 1,
        )

    def _change(self) -> None:
        self.changes += 1
        kind = self._rng.random()
        at = self._rng.randrange(len(self.rows))
        if kind < self.updates:
            self.rows[at] = attrs.evolve(self.rows[at], status=f"S{self.changes}")
            return
        if kind < self.updates + self.moves:
            self.moved.add(self.rows[at].id)
            self.rows.insert(self._rng.randrange(len(self.rows)), self.rows.pop(at))
            return
        if self.net <= 0:
            self.stood.discard(self.rows.pop(at).id)
        if self.net >= 0:
            at = self._insert_position()
            self.rows.insert(at, _row(self._next, self._id_at(at)))
            self._next += 1

    def _id_at(self, at: int) -> int:
        """Return an id between those of the neighbours, or a new one if rows were moved."""
        if not self.rows:
            return (self._next << 80) + 1
        low = int(self.rows[at - 1].id) if at else int(self.rows[0].id) - 2 * _GAP
        high = int(self.rows[at].id) if at < len(self.rows) else low + 2 * _GAP
        if not self.moved and low < (low + high) // 2 < high:
            return (low + high) // 2
        return (self._next << 80) + 1

    def _insert_position(self) -> int:
        last = len(self.rows)
        return {"front": 0, "end": last, "anywhere": self._rng.randrange(last + 1)}[self.inserts]

    def missing(self, inventory: Inventory) -> set[int | str]:
        """Return the ids of rows that were present throughout, moved or not, but were not read."""
        return self.stood - {row.id for row in inventory}


def _row(number: int, id_: int) -> Ani:
    return Ani(id=id_, phone=str(2_000_000_000 + number))


def _same(page: AniPage) -> AniPage:
    return page


def count_duplicates(inventory: Inventory) -> int:
    """Return the number of rows that repeat the id of another row."""
    return len(inventory) - len({row.id for row in inventory})
