"""Read a whole inventory until it is proven complete."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import islice
from operator import itemgetter
from typing import Final, Literal, TypeAlias

import attrs

from nrm_async._paging.cursor import Spot
from nrm_async._paging.overlap import MIN_STRIDE, OverlapGraph, Pass, PositionedRow, spot_around
from nrm_async._paging.pages import PageSource
from nrm_async._paging.proof import Proof, count_rows, describe_total, explain, find_proof
from nrm_async._validation import check_choice
from nrm_async.errors import InventoryDriftError
from nrm_async.inventory import Inventory
from nrm_async.models import Ani, MalformedRow

OnDrift: TypeAlias = Literal["repair", "report", "raise"]

_MAX_PASSES: Final[dict[OnDrift, int]] = {"repair": 4, "report": 1, "raise": 2}

# A spot read that misses its gap shows how far the rows have moved, so the next one is more
# accurate.
_MAX_SPOT_READ_ROUNDS: Final = 3

_MIN_LOOKUP_BUDGET: Final = 16  # single-number look-ups allowed, even for few pages


@attrs.frozen(eq=False, repr=False)
class MergedPasses:
    """Rows of all passes, by ``id``.

    Attributes:
        rows: Rows that are present or possibly present.
        removed: Rows that left their position and were not found at another one.
    """

    rows: dict[str, PositionedRow]
    removed: dict[str, PositionedRow]

    def restore(self, id_: str, row: Ani) -> None:
        """Restore a removed row that is still present, with its current values."""
        position, _ = self.removed.pop(id_)
        self.rows[id_] = position, row

    def in_order(self) -> tuple[Ani, ...]:
        """Return the rows in page order; the order is approximate if rows moved."""
        return tuple([row for _, row in sorted(self.rows.values(), key=itemgetter(0))])


def merge_passes(graph: OverlapGraph) -> MergedPasses:
    """Merge the passes and their spot reads, using the latest values of each row.

    Later passes may have missed a row that only an earlier pass found. Such a row is kept unless
    a later run contains both of its neighbours but not the row.
    """
    merged = MergedPasses({}, {})
    for pass_ in reversed(graph.passes):
        for id_, positioned in pass_.spot_rows.items():
            merged.rows.setdefault(id_, positioned)
        for id_, row in pass_.rows.items():
            if id_ in merged.rows or id_ in merged.removed:
                continue
            group = merged.removed if graph.is_removed(pass_, id_) else merged.rows
            group[id_] = pass_.position_of(pass_.position_keys[id_]), row
    return merged


async def read_inventory(source: PageSource, on_drift: OnDrift) -> Inventory:
    """Read all pages, and with ``"repair"`` repeat until the inventory is proven complete.

    Raises:
        InvalidRequestError: ``on_drift`` is not a valid choice.
        InventoryDriftError: Two passes differ, and ``on_drift`` is ``"raise"``.
    """
    check_choice("on_drift", on_drift, ("repair", "report", "raise"))
    snapshot = _Snapshot(source, on_drift)
    started, clock = datetime.now(UTC), asyncio.get_running_loop().time
    begun = clock()
    while len(snapshot.passes) < _MAX_PASSES[on_drift] and not snapshot.is_settled:
        await snapshot.read_pass()
        if on_drift == "repair":
            await snapshot.complete_pass()
    if on_drift == "raise" and not snapshot.is_consistent:
        raise InventoryDriftError(
            "the inventory changed while it was read: the first pass found "
            f"{snapshot.passes[0].rows_read} numbers and the second "
            f"{snapshot.passes[-1].rows_read}, not all of them the same"
        )
    inventory = snapshot.inventory(await snapshot.rows())
    elapsed = clock() - begun
    return attrs.evolve(inventory, elapsed=elapsed, started=started, ended=datetime.now(UTC))


class _Snapshot:
    """Passes over one inventory, and the proof that they provide together."""

    def __init__(self, source: PageSource, on_drift: OnDrift) -> None:
        self.source = source
        self.on_drift = on_drift
        self.graph = OverlapGraph()
        self.requests = 0
        self.pages = 0
        self.is_consistent = False
        self.proof: Proof | None = None
        self._gone: set[str] = set()  # rows that were looked up and not found

    @property
    def passes(self) -> list[Pass]:
        return self.graph.passes

    @property
    def is_settled(self) -> bool:
        """Whether another pass is unnecessary."""
        return self.proof is not None or (self.is_consistent and not self.passes[-1].duplicates)

    async def read_pass(self) -> None:
        """Read all pages once."""
        current = self.graph.begin_pass(self._page_size())
        is_strict = self.on_drift == "raise"
        async with self.source.pages(current.page_size, skip_unreadable=not is_strict) as pages:
            async for page in pages:
                self.graph.add_page(page)
                self.pages += 1
            current.missing = pages.missing
            self.requests += pages.requests
        self.graph.end_pass()
        self.proof = find_proof(self.graph)
        self.is_consistent = self._is_pass_confirmed()

    def _page_size(self) -> int:
        """Return the page size of the next pass; every second pass has different boundaries.

        The smaller page size shifts the boundaries by up to half a page at the end of the listing,
        which costs one more page. Small pages cannot overlap, so their size changes only if the
        total is wrong. A single-page listing is split before its last row.
        """
        if len(self.passes) % 2 == 0:
            return self.source.page_size
        first = self.passes[0]
        if len(first.row_counts) < 2:
            return max(1, (first.places if first.places > 1 else self.source.page_size) - 1)
        if first.stride < MIN_STRIDE and first.totals == {first.places}:
            return self.source.page_size
        return max(1, first.stride - max(1, first.stride // (2 * len(first.row_counts))))

    def _is_pass_confirmed(self) -> bool:
        """Return whether the last pass agrees with the previous one, or is a single page."""
        *before, last = self.passes
        if before:
            return last.agrees_with(before[-1])
        return self.proof == "one answer"

    async def complete_pass(self) -> None:
        """Read single pages and rows that may make another pass unnecessary."""
        if self.is_settled or self.passes[-1].missing:
            return
        if self.graph.key_order.holds:
            await self._close_gaps()
        if not self.graph.key_order.holds:
            await self._look_up_unconfirmed()
            self.proof = find_proof(self.graph)
            if self.proof is None:
                await self._read_ends()
        self.proof = find_proof(self.graph)

    async def _close_gaps(self) -> None:
        """Read across the page boundaries at which the chain of overlaps is broken."""
        last = self.passes[-1]
        if len(self.passes) < 2 or last.stride < MIN_STRIDE:
            return
        targets = {gap: gap for gap in self.graph.gaps()}
        for _ in range(_MAX_SPOT_READ_ROUNDS):
            if self.graph.is_connected or not targets:
                return
            targets = await self._read_spots(
                {spot_around(target, last.stride): gap for gap, target in targets.items()}
            )

    async def _read_ends(self) -> None:
        """Read the first and last pages again, as added or moved rows are often there."""
        last = self.passes[-1]
        is_changed = last.duplicates > 0 or len(last.totals) > 1 or len(self.passes) > 1
        if is_changed and len(self.passes) < _MAX_PASSES[self.on_drift]:
            await self._read_spots(
                {(1, last.stride): 0, (max(last.row_counts), last.stride): last.places}
            )

    async def _look_up_unconfirmed(self) -> None:
        """Look up rows found only before some moment, if that may complete the count proof."""
        if len(self.passes) < 2:
            return
        for counts in count_rows(self.passes):
            unknown = counts.unconfirmed - self._gone
            if counts.may_close and len(unknown) <= self._lookup_budget:
                await self._look_up(unknown)
                return

    async def _look_up(self, ids: frozenset[str]) -> None:
        """Look up rows by phone, and add those found as reads after the last pass."""
        latest = {
            id_: (pass_, pass_.rows[id_])
            for pass_ in self.passes
            for id_ in ids & pass_.rows.keys()
        }
        found = await self.source.find_all({id_: row.phone for id_, (_, row) in latest.items()})
        self.requests += len(found)
        for id_, row in found.items():
            if row is not None and str(row.id) == id_:
                self.passes[-1].add_lookup(id_, row, latest[id_][0])
            else:
                self._gone.add(id_)

    @property
    def _lookup_budget(self) -> int:
        return max(_MIN_LOOKUP_BUDGET, len(self.passes[-1].row_counts))

    async def _read_spots(self, gaps: dict[Spot, int]) -> dict[int, int]:
        """Read across each gap once, and return the next target of each gap still open."""
        targets: dict[int, int] = {}
        async with self.source.spots(list(gaps)) as pages:
            async for page in pages:
                gap = gaps[page.page, page.page_size]
                self.graph.add_spot_read(page)
                self.pages += 1
                shift = self.graph.shift(page)
                if shift is not None:
                    targets[gap] = gap + shift
            self.requests += pages.requests
        return {gap: targets[gap] for gap in self.graph.gaps() if gap in targets}

    async def rows(self) -> tuple[Ani, ...]:
        """Return every row that is known or assumed to be present, in page order."""
        if self.is_consistent and self._is_last_pass_whole():
            return tuple(self.passes[-1].rows.values())
        merged = merge_passes(self.graph)
        if self.on_drift == "repair":
            await self._look_up_removed(merged)
        return merged.in_order()

    def _is_last_pass_whole(self) -> bool:
        """Return whether the last pass alone contains every row that the proof covers."""
        *before, last = self.passes
        if self.proof in (None, "one answer", "agreement"):
            return True
        if not any(pass_.rows or pass_.spot_rows for pass_ in before) and not last.spot_rows:
            return True
        return not last.spot_rows and any(
            one.closes for one in islice(count_rows(self.passes[-2:]), 1)
        )

    async def _look_up_removed(self, merged: MergedPasses) -> None:
        """Look up removed rows, and restore those that were moved instead of deleted.

        A row that left its position may have moved to a page that was not read again. If there
        are too many rows to look up, all are restored, because an extra number does less harm
        than a missing one.
        """
        phones = {
            id_: row.phone for id_, (_, row) in merged.removed.items() if id_ not in self._gone
        }
        found: dict[str, Ani | None] = dict.fromkeys(self._gone)
        if len(phones) <= self._lookup_budget:
            answers = await self.source.find_all(phones)
            self.requests += len(answers)
            found |= answers
        for id_, (_, row) in tuple(merged.removed.items()):
            current = found.get(id_, row)
            if current is not None and str(current.id) == id_:
                merged.restore(id_, current)

    def inventory(self, rows: tuple[Ani, ...]) -> Inventory:
        """Create the inventory from these rows."""
        malformed = self._malformed(rows)
        return Inventory(
            rows=rows,
            complete=self.proof is not None and not malformed,
            consistent=self.is_consistent,
            passes=len(self.passes),
            pages=self.pages,
            duplicates=sum(pass_.duplicates for pass_ in self.passes),
            malformed=malformed,
            missing=self.passes[-1].missing,
            requests=self.requests,
            notes=() if self.proof is None else describe_total(self.graph),
            why_incomplete=self._why_incomplete(malformed),
        )

    def _why_incomplete(self, malformed: Sequence[MalformedRow]) -> str | None:
        reasons = [f"{len(malformed):,} row(s) could not be understood"] if malformed else []
        if self.proof is None:
            reasons.append(explain(self.graph))
        return "; ".join(reasons) or None

    def _malformed(self, rows: Sequence[Ani]) -> tuple[MalformedRow, ...]:
        """Return the malformed rows of the last pass, or earlier ones that were not read since.

        Overlapping pages prove that a row is on one of them, but not that it was readable. If the
        last two passes agree, earlier passes are ignored.
        """
        if last := self.passes[-1].malformed:
            return tuple(last)
        passes = self.passes[-2:] if self.is_consistent else self.passes
        malformed = [bad for pass_ in passes for bad in (*pass_.malformed, *pass_.spot_malformed)]
        phones = {row.phone for row in rows} if malformed else set()
        return tuple([bad for bad in malformed if bad.phone not in phones])
