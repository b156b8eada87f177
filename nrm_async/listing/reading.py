"""One pass over all pages: its rows by id, where each was seen, and what was odd."""

from collections.abc import Iterable
from typing import Final, TypeAlias

import attrs

from nrm_async.errors import NRMError
from nrm_async.models import Ani, AniPage, MalformedRow

Seen: TypeAlias = tuple[int, Ani]  # how many rows were before it, and the row

# A place is a page and an index on it in one number: rows next to each other have places next
# to each other, and the last of one page has no neighbour on the next.
_PAGE: Final = 1 << 20


def page_of(place: int) -> int:
    """The page of a place."""
    return place // _PAGE


def index_of(place: int) -> int:
    """The index on its page, from 0."""
    return place % _PAGE


@attrs.define(eq=False, repr=False)
class Reading:
    """One pass over all pages.

    Attributes:
        number: Which pass it is, from 1.
        page_size: Rows asked for on each page.
        step: Rows from one page to the next: fewer than asked for where the server gives fewer.
        rows: The rows by ``id`` that no later pass has seen, in page order: one is enough.
        places: Where each row was seen first, in page order: see ``page_of``.
        sizes: Rows on each page, those that cannot be read included.
        ends: Whether the last page was the end of the listing when it was read.
        totals: What the pages said of the number of rows.
        duplicates: Rows that had come already.
        malformed: Rows that could not be understood.
        missing: Why pages are missing.
        looked: Rows of the single looks after this pass, each with the rows before it then.
        unclear: Rows of those looks that could not be understood.
    """

    number: int
    page_size: int
    step: int = 0
    rows: dict[str, Ani] = attrs.field(factory=dict)
    places: dict[str, int] = attrs.field(factory=dict)
    sizes: dict[int, int] = attrs.field(factory=dict)
    ends: bool = False
    totals: set[int | None] = attrs.field(factory=set)
    duplicates: int = 0
    malformed: list[MalformedRow] = attrs.field(factory=list)
    missing: tuple[NRMError, ...] = ()
    looked: dict[str, Seen] = attrs.field(factory=dict)
    unclear: list[MalformedRow] = attrs.field(factory=list)

    def add(self, page: AniPage) -> tuple[str, ...]:
        """Take the next page in order; returns the ids on it."""
        size = len(page.data) + len(page.malformed)
        self.step = min(self.page_size, self.sizes.get(1, self.page_size)) or self.page_size
        self.sizes[page.page] = size
        self.totals.add(page.total_anis)
        self.malformed.extend(page.malformed)
        ids = tuple([str(row.id) for row in page.data])
        self._note(page, ids)
        self.ends = self._is_end(page, size)
        return ids

    def _note(self, page: AniPage, ids: tuple[str, ...]) -> None:
        before, place = len(self.places), page.page * _PAGE
        for index, (key, row) in enumerate(zip(ids, page.data, strict=True)):
            if key not in self.places:
                self.rows[key] = row
                self.places[key] = place + index
        self.duplicates += len(ids) - (len(self.places) - before)

    def forget(self, ids: Iterable[str]) -> None:
        """Let go of rows that a later pass has seen; where they were is still known."""
        for key in ids:
            self.rows.pop(key, None)

    def look(self, page: AniPage) -> None:
        """Take a single look after this pass."""
        start = (page.page - 1) * page.page_size
        for index, row in enumerate(page.data):
            self.looked[str(row.id)] = start + index, row
        self.unclear.extend(page.malformed)

    def _is_end(self, page: AniPage, size: int) -> bool:
        if page.total_anis is None:
            return size < self.step
        return self.start_of(page.page) + size >= page.total_anis

    def start_of(self, page: int) -> int:
        """How many rows come before a page, if none has moved."""
        return (page - 1) * self.step

    def position_of(self, place: int) -> int:
        """How many rows come before a place, if none has moved."""
        return self.start_of(page_of(place)) + index_of(place)

    @property
    def read(self) -> int:
        """Rows that came, those that cannot be read included."""
        return len(self.places) + len(self.malformed)

    def lacks(self, rows: int) -> bool:
        """Whether more rows were announced, on every page, than these."""
        known = [total for total in self.totals if total is not None]
        return bool(known) and rows < min(known)

    def agrees_with(self, other: "Reading") -> bool:
        """Whether both passes found the same rows, and nothing speaks against them.

        The same rows in the same order, or as many of them as were announced all along: then
        no row that was there between the passes can be one that neither of them found.
        """
        if self.missing or other.missing or self.places.keys() != other.places.keys():
            return False
        return list(self.places) == list(other.places) or self.totals | other.totals == {self.read}
