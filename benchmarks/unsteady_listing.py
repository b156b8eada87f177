"""Listings without one order of their rows, and what an inventory of them claims.

Each kind of ``UnsteadyListing`` orders its rows in another way: by a unique key, in ties, by
replicas that disagree, anew for each answer, or by the time of the last change. Rows may come and
go besides. It uses neither sockets nor a clock, and the same seed gives the same run.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final, Literal, TypeAlias, TypeVar, get_args

import attrs

from nrm_async import Ani, AniPage, Inventory
from nrm_async._paging import PageSource, read_inventory

T = TypeVar("T")
Kind: TypeAlias = Literal[
    "unique key",  # by id or phone, up or down, whatever the ids look like
    "other key",  # one order that no field of the rows shows
    "near swaps",  # every answer from one of two replicas: 2 % of rows have changed places nearby
    "far swaps",  # the same with any other row
    "far moves",  # 2 % of rows are elsewhere, and no row is in their place
    "few moves",  # one to three rows are; with churn not in order of a key, which would hide them
    "ties per answer",  # a sort by a column with ties, broken differently in each answer
    "ties per replica",  # broken in two ways
    "new order",  # each answer has an order of its own
    "touched to front",  # rows are touched while they are read, and move to the front
    "touched to end",
    "touched anywhere",
]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
STEADY: Final[tuple[Kind, ...]] = ("unique key",)

_GAP: Final = 1 << 40  # between neighbouring ids, so that a new row fits in anywhere
_FIRST: Final = 1 << 16  # so that rows fit in front
_SHARE_ELSEWHERE: Final = 0.02
_MAX_TURNS: Final = 5


@attrs.define(repr=False)
class UnsteadyListing:
    """A listing whose answers may each have an order of their own.

    Attributes:
        kind: How rows are ordered.
        size: Rows at the beginning.
        seed: Seed of everything random.
        churn: Rows that come and go, as changes per answer.
        touches: Rows that are touched per answer, in the kinds where that moves them.
        ties: Rows in each tie, in the kinds with ties.
        surplus: How many rows more than there are the totals announce.
        is_keyed: Whether the first order is that of a unique key.
        stood: Ids of the rows that have been there throughout.
        served: Answers so far.
    """

    kind: Kind
    size: int
    seed: int
    churn: float = 0.0
    touches: float = 0.0
    ties: int = 1
    surplus: int = 0
    is_keyed: bool = True
    stood: set[int | str] = attrs.field(init=False)
    served: int = 0
    _rng: random.Random = attrs.field(init=False)
    _replicas: list[list[int]] = attrs.field(init=False)  # keys, in the order of each replica
    _rows: dict[int, Ani] = attrs.field(init=False)
    _tie_of: dict[int, int] = attrs.field(factory=dict)
    _make: Callable[[int], Ani] = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self._rng = rng = random.Random(self.seed)
        is_down = rng.random() < 0.3
        styles = (
            (_number, _number, _digits, _text, self._by_phone) if self.is_keyed else (_scrambled,)
        )
        self._make = rng.choice(styles)
        keys = [(_FIRST + number) * _GAP for number in range(self.size)]
        if is_down:
            keys.reverse()
        self._rows = {key: self._make(key) for key in keys}
        self.stood = {row.id for row in self._rows.values()}
        self._replicas = [keys]
        if self.kind in ("near swaps", "far swaps", "far moves", "few moves"):
            self._replicas.append(self._disagreeing(keys))
        elif self.kind.startswith("ties"):
            self._tie_of = {key: index // self.ties for index, key in enumerate(keys)}
            if self.kind == "ties per replica":
                self._replicas.append(_shuffled_ties(keys, self._tie_of, rng))

    def _by_phone(self, key: int) -> Ani:
        return Ani(f"{self._rng.getrandbits(64):x}", f"{key:020}")

    def _disagreeing(self, keys: list[int]) -> list[int]:
        """Return the order of a replica that has some rows elsewhere."""
        other, rng = list(keys), self._rng
        if self.kind in ("far moves", "few moves"):
            share = rng.randint(1, 3) if self.kind == "few moves" else len(keys) * _SHARE_ELSEWHERE
            for key in rng.sample(keys, round(share)):
                other.remove(key)
                other.insert(rng.randrange(len(keys)), key)
            return other
        for _ in range(round(len(keys) * _SHARE_ELSEWHERE / 2)):
            one = rng.randrange(len(keys))
            near = max(0, min(len(keys) - 1, one + rng.randint(-20, 20)))
            two = near if self.kind == "near swaps" else rng.randrange(len(keys))
            other[one], other[two] = other[two], other[one]
        return other

    def source(self, page_size: int, concurrency: int) -> PageSource:
        """Return the source that a reader of listings takes."""
        return PageSource(self.fetch, asyncio.create_task, page_size, concurrency, self.find)

    async def fetch(self, page: int, page_size: int) -> Callable[[], AniPage]:
        """Serve a page."""
        answer = await self._serve(lambda: self._page(page, page_size))
        return partial(_same, answer)

    async def find(self, phone: str) -> Ani | None:
        """Serve the row of one number."""
        return await self._serve(
            lambda: next((row for row in self._rows.values() if row.phone == phone), None)
        )

    async def _serve(self, answer: Callable[[], T]) -> T:
        for _ in range(self._rng.randrange(_MAX_TURNS)):
            await asyncio.sleep(0)
        self.served += 1
        while self._rng.random() < self.churn / (1 + self.churn):
            self._replace_row()
        if self.kind.startswith("touched"):
            while self._rng.random() < self.touches / (1 + self.touches):
                self._touch()
        given = answer()
        for _ in range(self._rng.randrange(_MAX_TURNS)):
            await asyncio.sleep(0)
        return given

    def _page(self, page: int, page_size: int) -> AniPage:
        first, total = (page - 1) * page_size, len(self._rows)
        rows = tuple([self._rows[key] for key in self._slice(first, first + page_size)])
        total += self.surplus
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

    def _slice(self, first: int, stop: int) -> list[int]:
        keys = self._rng.choice(self._replicas)
        stop = min(stop, len(keys))
        if first >= stop:
            return []
        if self.kind == "new order":
            return self._rng.sample(keys, stop - first)
        if self.kind != "ties per answer":
            return keys[first:stop]
        low, high = first, stop
        while low and self._tie_of[keys[low - 1]] == self._tie_of[keys[first]]:
            low -= 1
        while high < len(keys) and self._tie_of[keys[high]] == self._tie_of[keys[stop - 1]]:
            high += 1
        shuffled = _shuffled_ties(keys[low:high], self._tie_of, self._rng)
        return shuffled[first - low : stop - low]

    def _touch(self) -> None:
        (keys,) = self._replicas
        key = keys.pop(self._rng.randrange(len(keys)))
        ends = {"touched to front": 0, "touched to end": len(keys)}
        keys.insert(ends.get(self.kind, self._rng.randrange(len(keys) + 1)), key)

    def _replace_row(self) -> None:
        """Remove a row and add another, or one of both; the number stays about the same."""
        rng = self._rng
        what = rng.random()
        if what < 0.8 and len(self._rows) > 1:
            gone = rng.choice(self._replicas[0])
            for keys in self._replicas:
                keys.remove(gone)
            self.stood.discard(self._rows.pop(gone).id)
        if what < 0.6 or what > 0.8:
            self._add_row()

    def _add_row(self) -> None:
        rng, keys = self._rng, self._replicas[0]
        at = rng.choice((0, len(keys), rng.randrange(len(keys) + 1), rng.randrange(len(keys) + 1)))
        before = keys[at - 1] if at else None
        behind = keys[at] if at < len(keys) else None
        key = _between(before, behind, is_up=keys[0] < keys[-1])
        if key in self._rows:
            return
        self._rows[key] = self._make(key)
        if self._tie_of:
            neighbour = behind if before is None else before
            self._tie_of[key] = self._tie_of[neighbour or 0]
        for replica in self._replicas:
            if before is not None:
                replica.insert(replica.index(before) + 1, key)
            else:
                replica.insert(0, key)

    def missing(self, inventory: Inventory) -> set[int | str]:
        """Return the rows that were there throughout, moved or not, and were not read."""
        return self.stood - {row.id for row in inventory}


def _between(before: int | None, behind: int | None, *, is_up: bool) -> int:
    if before is None:
        assert behind is not None
        return behind + (-_GAP // 2 if is_up else _GAP)
    if behind is None:
        return before + (_GAP if is_up else -_GAP // 2)
    return (before + behind) // 2


def _shuffled_ties(keys: list[int], tie_of: dict[int, int], rng: random.Random) -> list[int]:
    marks = {key: rng.random() for key in keys}
    first = tie_of[keys[0]]
    is_up = first <= tie_of[keys[-1]]
    return sorted(keys, key=lambda key: (tie_of[key] if is_up else -tie_of[key], marks[key]))


def _number(key: int) -> Ani:
    return Ani(key, _phone(key))


def _digits(key: int) -> Ani:
    return Ani(str(key), _phone(key))


def _text(key: int) -> Ani:
    return Ani(f"{key:020x}", _phone(key))


def _scrambled(key: int) -> Ani:
    return Ani(key * 0x9E3779B97F4A7C15 % (1 << 64), _phone(key))


def _phone(key: int) -> str:
    return f"{key * 0xD6E8FEB86659FD93 % (1 << 64):020}"


def _same(page: AniPage) -> AniPage:
    return page


@attrs.frozen
class Trial:
    """One inventory read from an unsteady listing, and its result."""

    kind: Kind
    is_complete: bool
    is_wrong: bool
    passes: int
    requests_per_page: float
    why: str | None
    seed: int


def draw(kind: Kind, seed: int, **fields: Any) -> tuple[UnsteadyListing, int, int]:
    """Return a listing of this kind with a page size and a concurrency, drawn by the seed."""
    rng = random.Random(f"{kind} {seed}")
    size = rng.randint(1000, 5000)
    drawn: dict[str, Any] = {
        "churn": rng.choice((0.0, 0.0, 0.0, 0.02, 0.1, 0.3, 1.0)),
        "touches": rng.choice((0.05, 0.2, 1.0, 5.0)),
        "ties": rng.choice((5, 20, 100, 500, 2000, 5000)),
        "is_keyed": kind == "unique key" or (kind != "other key" and rng.random() < 0.5),
    }
    drawn |= fields
    if kind == "few moves" and drawn["churn"]:
        drawn["is_keyed"] = False
    listing = UnsteadyListing(kind, size, rng.getrandbits(32), **drawn)
    return (
        listing,
        rng.choice((100, 200, 500, 1000, rng.randint(100, 1000))),
        rng.choice((1, 4, 16)),
    )


def run(kind: Kind, seed: int, **fields: Any) -> Trial:
    """Read one inventory, and compare what it claims with what was there."""
    listing, page_size, concurrency = draw(kind, seed, **fields)
    inventory = asyncio.run(read_inventory(listing.source(page_size, concurrency), "repair"))
    missing = listing.missing(inventory)
    return Trial(
        kind=kind,
        is_complete=inventory.complete,
        is_wrong=inventory.complete and bool(missing),
        passes=inventory.passes,
        requests_per_page=inventory.requests / -(-listing.size // page_size),
        why=getattr(inventory, "why_incomplete", None),
        seed=seed,
    )


def summarize(trials: Iterable[Trial]) -> dict[str, Any]:
    """Return the figures of trials of one kind."""
    trials = list(trials)
    count = len(trials)
    return {
        "inventories": count,
        "complete_percent": round(100 * sum(one.is_complete for one in trials) / count, 1),
        "complete_and_wrong": sum(one.is_wrong for one in trials),
        "passes": round(sum(one.passes for one in trials) / count, 2),
        "most_passes": max(Counter(one.passes for one in trials)),
        "requests_per_page": round(sum(one.requests_per_page for one in trials) / count, 2),
    }
