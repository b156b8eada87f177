"""Whether pages fit together, shown from what is on them; no I/O.

Offset paging reads a list piece by piece while rows come and go, so between two pages a row can
slip through. What can be proven is this. Each answer is a *run*: rows that stood side by side at
one moment. Take two runs that hold the same rows somewhere (they are *joined*), and a row that
stood throughout: it is before those rows or behind them, and was so in both runs. Along a chain
of joined runs from the beginning of the list to its end, there must be one run in which the row
is behind the first joint and before the second. That run was whole, so the row is in it.

So: **if the beginning is joined to the end, every row that stood throughout is in some run.**

Pages of one pass lie side by side and have no rows in common. Passes with another page size, and
single looks across a seam, join them. Rows that were moved make false joints; so a joint takes
several rows, one after the other in both runs, and not far from where they were. All of them
would have to be moved together, across the row in question, between two looks.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from nrm_async.listing.reading import Reading, index_of, page_of
from nrm_async.models import AniPage

# Rows that must follow one another in two runs to join them. Accounts move numbers one by one
# or in bulk by some property, hardly eight neighbours at once by a few places.
SAME: Final = 8

# Smaller pages cannot hold a joint on both sides of a seam, and room for what shifts between.
SMALLEST: Final = 4 * SAME

# How many pages the rows of a joint may have shifted. Whatever is inserted or deleted while a
# list is read shifts rows by little; a block that was moved elsewhere must not join.
_FARTHEST: Final = 4

_START: Final = "start"
_END: Final = "end"

Stretch: TypeAlias = tuple[int, int, int]  # index of the first row, place of it, how many rows


class _Joined:
    """A union-find: which runs are joined, over however many others."""

    def __init__(self) -> None:
        self._above: dict[Hashable, Hashable] = {}

    def root(self, node: Hashable) -> Hashable:
        while (above := self._above.get(node, node)) != node:
            self._above[node] = self._above.get(above, above)
            node = above
        return node

    def join(self, one: Hashable, other: Hashable) -> None:
        self._above[self.root(one)] = self.root(other)


class Seams:
    """The joints between all runs of one inventory.

    Attributes:
        readings: The passes so far, the one under way included.
        looks: Single looks so far.
    """

    def __init__(self, readings: Iterable[Reading] = ()) -> None:
        self.readings = list(readings)
        self.looks = 0
        self._joined = _Joined()
        self._covers: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def add_page(self, page: AniPage) -> None:
        """Take the next page of the pass under way."""
        reading = self.readings[-1]
        ids = reading.add(page)
        for earlier in self.readings[:-1]:
            earlier.forget(ids)
        run = (reading.number, page.page)
        if page.page == 1:
            self._joined.join(run, _START)
        self._join(run, ids, reading.start_of(page.page), self.readings[:-1])

    def end_pass(self) -> None:
        """Note that the pass under way came to the end of the listing, if it is sure to have."""
        reading = self.readings[-1]
        if reading.ends and reading.sizes and not reading.missing:
            self._joined.join((reading.number, max(reading.sizes)), _END)

    def add_look(self, page: AniPage) -> None:
        """Take a single look after the last pass."""
        self.readings[-1].look(page)
        self.looks += 1
        run = ("look", self.looks)
        start = (page.page - 1) * page.page_size
        size = len(page.data) + len(page.malformed)
        if page.page == 1:
            self._joined.join(run, _START)
        if _is_last(page, start + size, is_short=size < page.page_size):
            self._joined.join(run, _END)
        self._join(run, tuple([str(row.id) for row in page.data]), start, self.readings)

    def shift(self, page: AniPage) -> int | None:
        """By how much the rows of a look have moved since the last pass, if that shows."""
        reading, start = self.readings[-1], (page.page - 1) * page.page_size
        for index, place, _ in _stretches([str(row.id) for row in page.data], reading.places):
            return start + index - reading.position_of(place)
        return None

    def _join(
        self, run: Hashable, ids: Sequence[str], start: int, readings: Iterable[Reading]
    ) -> None:
        for reading in readings:
            spans: dict[int, tuple[int, int]] = {}
            for index, place, length in _stretches(ids, reading.places):
                page = page_of(place)
                if abs(start + index - reading.position_of(place)) <= _FARTHEST * reading.step:
                    self._joined.join(run, (reading.number, page))
                    first = index_of(place)
                    low, high = spans.get(page, (first, first))
                    spans[page] = min(low, first), max(high, first + length - 1)
            for page, span in spans.items():
                self._covers.setdefault((reading.number, page), []).append(span)

    @property
    def are_closed(self) -> bool:
        """Whether the beginning is joined to the end."""
        return self._joined.root(_START) == self._joined.root(_END)

    def open_seams(self) -> list[int]:
        """Positions in the last pass behind which the chain is broken, from 0."""
        reading = self.readings[-1]
        pages = sorted(reading.sizes)
        roots = [self._joined.root((reading.number, page)) for page in pages]
        seams = [
            reading.start_of(page)
            for (before, after), page in zip(pairwise(roots), pages[1:], strict=True)
            if before != after
        ]
        if roots and roots[-1] != self._joined.root(_END):
            seams.append(reading.start_of(pages[-1]) + reading.sizes[pages[-1]])
        return seams

    def is_gone(self, reading: Reading, key: str) -> bool:
        """Whether a later run holds what was on either side of this row, and not the row."""
        place = reading.places[key]
        spans = self._covers.get((reading.number, page_of(place)), ())
        return any(low < index_of(place) < high for low, high in spans)


def _is_last(page: AniPage, end: int, *, is_short: bool) -> bool:
    """Whether a single look came to the end of the listing, and nothing on it says otherwise.

    A pass reads on until nothing comes; behind a look nobody looks, and a total may be too small.
    """
    if page.can_next_page is True:
        return False
    return end == page.total_anis or (is_short and end >= (page.total_anis or 0))


def _stretches(ids: Sequence[str], places: dict[str, int]) -> Iterator[Stretch]:
    """Where at least ``SAME`` rows follow one another as they did in another pass."""
    found = [places.get(key, -2 * index) for index, key in enumerate(ids, 1)]
    begin = 0
    for index in range(1, len(found) + 1):
        if index == len(found) or found[index] != found[index - 1] + 1:
            if index - begin >= SAME and found[begin] >= 0:
                yield begin, found[begin], index - begin
            begin = index


def window(position: int, most: int) -> tuple[int, int]:
    """The page, and its page size, that has a position near its middle; the largest there is.

    Example:
        >>> window(3000, most=1000)  # rows 2646 to 3527
        (4, 882)
    """
    sizes = range(most, 2 * SAME, -1)
    middle = (size for size in sizes if 2 * size <= 5 * (position % size) <= 3 * size)
    size = next(middle, most)
    return position // size + 1, size
