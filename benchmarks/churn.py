"""A listing that changes while it is read, and that knows the truth about it.

No sockets and no clock: an answer takes as many turns of the event loop as chance gives it, so
the pages in flight are served in any order, each as the listing stands at that moment. The same
seed gives the same run.
"""

import asyncio
import random
from collections.abc import Callable
from functools import partial
from typing import Final, Literal, TypeAlias, TypeVar

import attrs

from nrm_async import Ani, AniPage, Inventory
from nrm_async.listing import Source

T = TypeVar("T")
Where: TypeAlias = Literal["front", "end", "anywhere"]

AT_ONCE: Final = 16
_MOST_TURNS: Final = 16


@attrs.define
class Changing:
    """An inventory under churn.

    Attributes:
        size: Rows at the beginning; with balanced churn, all along.
        seed: What chance is made from.
        churn: Changes for each page read.
        inserts: Where new rows come.
        moves: Share of the changes that move a row to another place instead.
        updates: Share of the changes that alter a row where it is instead.
        net: 0 for balanced churn; 1 if rows only come, -1 if they only go.
    """

    size: int
    seed: int
    churn: float
    inserts: Where = "anywhere"
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
        self.rows = [_row(number) for number in range(self.size)]
        self.stood = {row.id for row in self.rows}
        self._rng = random.Random(self.seed)
        self._next = self.size

    def source(self, page_size: int, at_once: int = AT_ONCE) -> Source:
        """Where to read it from."""
        return Source(self.fetch, asyncio.create_task, page_size, at_once, self.find)

    async def fetch(self, page: int, page_size: int) -> Callable[[], AniPage]:
        """A page, as it is at some moment."""
        answer = await self._serve(lambda: self._page(page, page_size))
        return partial(_same, answer)

    async def find(self, phone: str) -> Ani | None:
        """The row of a number, as it is at some moment."""
        return await self._serve(lambda: self._row_of(phone))

    async def _serve(self, answer: Callable[[], T]) -> T:
        """Answer at some moment, with the listing as it stands then; before it, it may change."""
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
            self.rows.insert(self._place(), _row(self._next))
            self._next += 1

    def _place(self) -> int:
        last = len(self.rows)
        return {"front": 0, "end": last, "anywhere": self._rng.randrange(last + 1)}[self.inserts]

    def missing(self, inventory: Inventory) -> set[int | str]:
        """Rows that stood throughout, moved or not, and are not in what was read."""
        return self.stood - {row.id for row in inventory}


def _row(number: int) -> Ani:
    return Ani(id=number, phone=str(2_000_000_000 + number))


def _same(page: AniPage) -> AniPage:
    return page


def repeated(inventory: Inventory) -> int:
    """How many rows are in it more than once."""
    return len(inventory) - len({row.id for row in inventory})
