"""A whole inventory, read until two passes agree; and one number out of it."""

import asyncio
from collections.abc import Callable
from typing import Final, Literal, TypeAlias

import attrs

from nrm_async.errors import InventoryDriftError, NRMError, ResponseError
from nrm_async.inventory import Inventory, is_number
from nrm_async.listing.course import Course
from nrm_async.listing.stream import FetchPage, PageStream
from nrm_async.models import Ani, AniPage, MalformedRow

OnDrift: TypeAlias = Literal["repair", "report", "raise"]

_MAX_PASSES: Final = 4


async def find(fetch_page: FetchPage, page_size: int, ani: str) -> Ani | None:
    """The row of one number, read page after page until it is there.

    Raises:
        ResponseError: A row that cannot be understood may be the one.
    """
    course = Course(page_size)
    unclear: list[MalformedRow] = []
    while course.goes_on:
        page = (await fetch_page(course.horizon))()
        course.observe(page)
        for row in page:
            if is_number(row, ani):
                return row
        unclear.extend(bad for bad in page.malformed if bad.phone is None or is_number(bad, ani))
    if unclear:
        raise ResponseError(f"the row of {ani} cannot be read: {unclear[0]}")
    return None


@attrs.define
class _Pass:
    """One pass over all pages, and the signs of change that it saw."""

    rows: dict[str, Ani] = attrs.field(factory=dict)
    malformed: list[MalformedRow] = attrs.field(factory=list)
    totals: set[int | None] = attrs.field(factory=set)
    missing: tuple[NRMError, ...] = ()
    duplicates: int = 0
    pages: int = 0

    def add(self, page: AniPage) -> None:
        self.pages += 1
        self.totals.add(page.total_anis)
        self.malformed.extend(page.malformed)
        before = len(self.rows)
        for row in page.data:
            self.rows.setdefault(str(row.id), row)
        self.duplicates += len(page.data) - (len(self.rows) - before)

    @property
    def has_drifted(self) -> bool:
        read = len(self.rows) + len(self.malformed)
        return self.duplicates > 0 or bool(self.totals - {None, read})

    @property
    def lacks_rows(self) -> bool:
        """Whether more rows were announced, on every page, than came."""
        known = [total for total in self.totals if total is not None]
        return bool(known) and len(self.rows) + len(self.malformed) < min(known)

    def agrees_with(self, other: "_Pass") -> bool:
        """Whether both passes found the same rows, and all of them."""
        return not (self.missing or other.missing) and self.rows.keys() == other.rows.keys()


async def read_inventory(open_pages: Callable[[], PageStream], on_drift: OnDrift) -> Inventory:
    """Read all pages, and again until two passes agree where that is asked for.

    Raises:
        InventoryDriftError: Two passes did not agree, and ``on_drift`` is ``"raise"``.
    """
    started = asyncio.get_running_loop().time()
    limit = {"report": 1, "raise": 2, "repair": _MAX_PASSES}[on_drift]
    passes: list[_Pass] = []
    consistent = False
    while len(passes) < limit and not consistent:
        passes.append(await _read_all(open_pages()))
        consistent = len(passes) > 1 and passes[-1].agrees_with(passes[-2])
    if on_drift == "raise" and not consistent:
        raise InventoryDriftError(
            f"the inventory changed while it was read: {len(passes[0].rows)} numbers in the "
            f"first pass, {len(passes[-1].rows)} in the second, or other ones"
        )
    return _inventory(
        passes, consistent=consistent, elapsed=asyncio.get_running_loop().time() - started
    )


async def _read_all(pages: PageStream) -> _Pass:
    whole = _Pass()
    async with pages:
        async for page in pages:
            whole.add(page)
        whole.missing = pages.missing
    return whole


def _inventory(passes: list[_Pass], *, consistent: bool, elapsed: float) -> Inventory:
    last = passes[-1]
    return Inventory(
        rows=tuple(last.rows.values()),
        complete=_is_complete(passes, consistent=consistent),
        consistent=consistent,
        passes=len(passes),
        pages=sum(one.pages for one in passes),
        duplicates=last.duplicates,
        malformed=tuple(last.malformed),
        missing=last.missing,
        elapsed=elapsed,
    )


def _is_complete(passes: list[_Pass], *, consistent: bool) -> bool:
    last = passes[-1]
    if last.malformed or last.missing or last.lacks_rows:
        return False
    # Passes that differ show that rows come and go; one pass alone shows only its own signs.
    return consistent or (len(passes) == 1 and not last.has_drifted)
