"""A whole inventory, read until it is known to be complete."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Literal, TypeAlias

import attrs

from nrm_async.errors import InventoryDriftError
from nrm_async.inventory import Inventory
from nrm_async.listing.merge import Merged, merge
from nrm_async.listing.reading import Reading
from nrm_async.listing.seams import SMALLEST, Seams, window
from nrm_async.listing.source import Found, Source, Spot
from nrm_async.models import Ani, MalformedRow

OnDrift: TypeAlias = Literal["repair", "report", "raise"]

_MAX_PASSES: Final = 4
_PASSES: Final[dict[OnDrift, int]] = {"report": 1, "raise": 2, "repair": _MAX_PASSES}

# A look that misses its seam shows how far the rows have moved, so the next one is aimed better.
_LOOKS: Final = 3

_FEW: Final = 16  # numbers that may be asked for one by one, however small the listing is


async def read_inventory(source: Source, on_drift: OnDrift) -> Inventory:
    """Read all pages, and again until they are known to be complete where that is asked for.

    Raises:
        InventoryDriftError: Two passes did not agree, and ``on_drift`` is ``"raise"``.
    """
    read = _Read(source, on_drift)
    started, clock = datetime.now(UTC), asyncio.get_running_loop().time
    begun = clock()
    while len(read.readings) < _PASSES[on_drift] and not read.is_known:
        await read.read_pass()
        if on_drift == "repair" and not read.is_consistent:
            await read.look_at_seams()
    if on_drift == "raise" and not read.is_consistent:
        raise InventoryDriftError(
            f"the inventory changed while it was read: {read.readings[0].read} numbers in "
            f"the first pass, {read.readings[-1].read} in the second, or other ones"
        )
    inventory = read.inventory(await read.rows())
    elapsed = clock() - begun
    return attrs.evolve(inventory, elapsed=elapsed, started=started, ended=datetime.now(UTC))


class _Read:
    """The passes over one inventory, and what they show together."""

    def __init__(self, source: Source, on_drift: OnDrift) -> None:
        self.source = source
        self.on_drift = on_drift
        self.seams = Seams()
        self.requests = 0
        self.pages = 0
        self.is_consistent = False

    @property
    def readings(self) -> list[Reading]:
        return self.seams.readings

    @property
    def is_known(self) -> bool:
        """Whether reading again would show nothing that is not known."""
        return self.is_consistent or (len(self.readings) > 1 and self._fits)

    @property
    def _fits(self) -> bool:
        return self.seams.are_closed and not self.readings[-1].missing

    async def read_pass(self) -> None:
        """Read all pages."""
        reading = Reading(len(self.readings) + 1, self._page_size())
        self.readings.append(reading)
        is_strict = self.on_drift == "raise"
        async with self.source.pages(reading.page_size, skip_unreadable=not is_strict) as pages:
            async for page in pages:
                self.seams.add_page(page)
                self.pages += 1
            reading.missing = pages.missing
            self.requests += pages.requests
        self.seams.end_pass()
        self.is_consistent = self._agrees()

    def _page_size(self) -> int:
        """Every second pass has its seams elsewhere, where pages are large enough to tell."""
        if len(self.readings) % 2 == 0:
            return self.source.page_size
        first = self.readings[0]
        if first.step < SMALLEST or len(first.sizes) < 2:
            return self.source.page_size
        return first.step - max(1, first.step // (2 * len(first.sizes)))

    def _agrees(self) -> bool:
        *before, last = self.readings
        if before:
            return last.agrees_with(before[-1])
        return self._fits and len(last.sizes) == 1 and not last.lacks(last.read)

    async def look_at_seams(self) -> None:
        """Look where two pages meet that are not known to fit together."""
        last = self.readings[-1]
        if len(self.readings) < 2 or last.missing or last.step < SMALLEST:
            return
        aims = {seam: seam for seam in self.seams.open_seams()}
        for _ in range(_LOOKS):
            if self.seams.are_closed or not aims:
                return
            aims = await self._look({window(aims[seam], last.step): seam for seam in aims})

    async def _look(self, seams: dict[Spot, int]) -> dict[int, int]:
        """Look once at each seam; returns where to look again for those still open."""
        aims: dict[int, int] = {}
        async with self.source.spots(list(seams)) as pages:
            async for page in pages:
                seam = seams[page.page, page.page_size]
                self.seams.add_look(page)
                self.pages += 1
                shift = self.seams.shift(page)
                if shift is not None:
                    aims[seam] = seam + shift
            self.requests += pages.requests
        return {seam: aims[seam] for seam in self.seams.open_seams() if seam in aims}

    async def rows(self) -> tuple[Ani, ...]:
        """Every row that is known to be there, or may be, in page order."""
        if self.is_consistent:
            return tuple(self.readings[-1].rows.values())
        merged = merge(self.seams)
        if self.on_drift == "repair":
            await self._ask_for(merged)
        return merged.in_order()

    async def _ask_for(self, merged: Merged) -> None:
        """Tell rows that were moved from those that were deleted, where it takes few requests.

        A row that is not where it was may be where nobody looked since. If there are too many
        to ask for, they are kept: a number that is not there does less harm than one missing.
        """
        gone = {key: row.phone for key, (_, row) in merged.gone.items()}
        known: dict[str, Found] = {}
        if len(gone) <= max(_FEW, len(self.readings[-1].sizes)):
            known = await self.source.find_all(gone)
            self.requests += len(known)
        for key, (_, row) in tuple(merged.gone.items()):
            found = known.get(key, row)
            if found is not None and str(found.id) == key:
                merged.keep(key, found)

    def inventory(self, rows: tuple[Ani, ...]) -> Inventory:
        """What is known now, with these rows."""
        malformed = self._malformed(rows)
        return Inventory(
            rows=rows,
            complete=self._is_complete and not malformed,
            consistent=self.is_consistent,
            passes=len(self.readings),
            pages=self.pages,
            duplicates=sum(reading.duplicates for reading in self.readings),
            malformed=malformed,
            missing=self.readings[-1].missing,
            requests=self.requests,
        )

    @property
    def _is_complete(self) -> bool:
        last = self.readings[-1]
        if last.missing:
            return False
        return self._fits or (self.is_consistent and not last.lacks(last.read))

    def _malformed(self, rows: Sequence[Ani]) -> tuple[MalformedRow, ...]:
        """Rows of the last pass, else of those before it, that could not be read anywhere.

        That pages fit together shows that a row is on one of them, not that it could be read
        there. Two passes that agree need nothing of what was before them.
        """
        if last := self.readings[-1].malformed:
            return tuple(last)
        readings = self.readings[-2:] if self.is_consistent else self.readings
        found = [bad for one in readings for bad in (*one.malformed, *one.unclear)]
        phones = {row.phone for row in rows} if found else set()
        return tuple([bad for bad in found if bad.phone not in phones])
