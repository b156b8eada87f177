"""Prove from the rows on pages that no row was lost between them; no I/O.

Offset paging reads a list in pieces while rows are added and removed, so a row can be missed
between two pages. This module proves that no row was missed, as follows.

Each response is a *run*: rows that were adjacent in the list at one moment. Two runs *overlap* if
they contain the same rows. Consider a row that was present during the whole read and kept its
order relative to the other rows. It is either before or after the rows of an overlap, and on the
same side in both runs. In a chain of overlapping runs from the start of the list to its end, there
is a run in which the row is after the first overlap and before the second. That run is a single
response, so it contains the row.

Therefore, **if the start is connected to the end, every row that kept its relative order is in
some run.** If all rows keep their order, this proves that an inventory is complete: see
``proof.py``.

The pages of one pass are adjacent and share no rows. Passes with a different page size, and *spot
reads* across page boundaries, overlap them. An overlap consists of several rows that are
consecutive in both runs and close to their earlier position.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Final, TypeAlias

import attrs

from nrm_async._paging.cursor import Spot
from nrm_async._paging.order import KeyOrder
from nrm_async.errors import NRMError
from nrm_async.models import Ani, AniPage, MalformedRow

PositionedRow: TypeAlias = tuple[int, Ani]  # number of preceding rows, and the row

# A position key has the page number in its high bits and the index on the page in its low bits.
# For a million rows, integers take less memory and time than tuples. Two rows are consecutive on
# one page if and only if their keys differ by 1. The last row of a page and the first row of the
# next one are not consecutive, because a row may have been missed between them.
_INDEX_BITS: Final = 20
_INDEX_MASK: Final = (1 << _INDEX_BITS) - 1


def position_key(page_number: int, index: int) -> int:
    """Return the key of a row at this index, from 0, on this page."""
    return page_number << _INDEX_BITS | index


def page_number_of(key: int) -> int:
    """Return the page number in a position key."""
    return key >> _INDEX_BITS


def index_of(key: int) -> int:
    """Return the index on the page, from 0, in a position key."""
    return key & _INDEX_MASK


@attrs.define(eq=False, repr=False)
class Pass:
    """One pass over all pages.

    Attributes:
        number: Pass number, from 1.
        page_size: Number of rows requested per page.
        stride: Number of rows from the start of a page to the start of the next; less than
            ``page_size`` if the server returns fewer rows.
        rows: Rows by ``id``, in page order, without those that a later pass also found.
        position_keys: First position of each row, in page order: see ``position_key``.
        row_counts: Number of rows on each page, including unreadable ones.
        reaches_end: Whether the last page was the end of the listing when it was read.
        ends_short: Whether the last page was not full.
        exceeds_total: Whether a page has rows beyond the total that the page announces.
        totals: Totals announced by the pages.
        duplicates: Number of rows that had occurred earlier in this pass.
        malformed: Rows that could not be decoded.
        missing: Errors of the pages that could not be read.
        spot_rows: Rows of the spot reads and look-ups after this pass, each with its position.
        spot_totals: Totals announced by those spot reads.
        spot_malformed: Rows of those spot reads that could not be decoded.
    """

    number: int
    page_size: int
    stride: int = 0
    rows: dict[str, Ani] = attrs.field(factory=dict)
    position_keys: dict[str, int] = attrs.field(factory=dict)
    row_counts: dict[int, int] = attrs.field(factory=dict)
    reaches_end: bool = False
    ends_short: bool = False
    exceeds_total: bool = False
    totals: set[int | None] = attrs.field(factory=set)
    duplicates: int = 0
    malformed: list[MalformedRow] = attrs.field(factory=list)
    missing: tuple[NRMError, ...] = ()
    spot_rows: dict[str, PositionedRow] = attrs.field(factory=dict)
    spot_totals: set[int | None] = attrs.field(factory=set)
    spot_malformed: list[MalformedRow] = attrs.field(factory=list)

    def add(self, page: AniPage) -> tuple[str, ...]:
        """Add the next page in order, and return its ids."""
        row_count = len(page.data) + len(page.malformed)
        self.stride = min(self.page_size, self.row_counts.get(1, self.page_size)) or self.page_size
        self.row_counts[page.page] = row_count
        self.totals.add(page.total_anis)
        self.malformed.extend(page.malformed)
        ids = tuple([str(row.id) for row in page.data])
        known = len(self.position_keys)
        for key, (id_, row) in enumerate(
            zip(ids, page.data, strict=True), position_key(page.page, 0)
        ):
            if id_ not in self.position_keys:
                self.rows[id_] = row
                self.position_keys[id_] = key
        self.duplicates += len(ids) - (len(self.position_keys) - known)
        self.ends_short = row_count < self.stride
        if page.total_anis is None:
            self.reaches_end = self.ends_short
        else:
            end = self.start_of(page.page) + row_count
            self.reaches_end = end >= page.total_anis
            self.exceeds_total |= end > page.total_anis
        return ids

    def forget(self, ids: Iterable[str]) -> None:
        """Drop rows that a later pass has found, but keep their positions."""
        for id_ in ids:
            self.rows.pop(id_, None)

    def add_spot_read(self, page: AniPage) -> None:
        """Add a spot read that followed this pass."""
        start = (page.page - 1) * page.page_size
        for position, row in enumerate(page.data, start):
            self.spot_rows[str(row.id)] = position, row
        self.spot_totals.add(page.total_anis)
        if page.total_anis is not None:
            self.exceeds_total |= start + len(page.data) > page.total_anis
        self.spot_malformed.extend(page.malformed)

    def start_of(self, page_number: int) -> int:
        """Return the number of rows before a page, assuming that no row has moved."""
        return (page_number - 1) * self.stride

    def position_of(self, key: int) -> int:
        """Return the number of rows before a position, assuming that no row has moved."""
        return self.start_of(page_number_of(key)) + index_of(key)

    def add_lookup(self, id_: str, row: Ani, seen_in: "Pass") -> None:
        """Add a row that was looked up after this pass, at its last known position."""
        if id_ in seen_in.position_keys:
            position = seen_in.position_of(seen_in.position_keys[id_])
            self.spot_rows.setdefault(id_, (position, row))

    @property
    def places(self) -> int:
        """The number of rows on all pages, including duplicates and malformed rows."""
        return sum(self.row_counts.values())

    @property
    def page_starts(self) -> tuple[int, ...]:
        """The number of rows before each page, except for the first page."""
        return tuple(accumulate(self.row_counts.values()))[:-1]

    @property
    def rows_read(self) -> int:
        """The number of different rows received, including unreadable ones."""
        return len(self.position_keys) + len(self.malformed)

    @property
    def lacks_rows(self) -> bool:
        """Whether fewer rows were received than every page announced."""
        totals = [total for total in self.totals if total is not None]
        return bool(totals) and self.rows_read < min(totals)

    def agrees_with(self, other: "Pass") -> bool:
        """Return whether both passes found the same rows, and nothing contradicts that.

        The rows must be in the same order, or as many as every page announced. In both cases, no
        row that was present between the passes is missing from both of them.
        """
        if self.missing or other.missing or self.position_keys.keys() != other.position_keys.keys():
            return False
        is_same_order = list(self.position_keys) == list(other.position_keys)
        return is_same_order or self.totals | other.totals == {self.rows_read}


# Number of consecutive rows that two overlapping runs must share. Numbers are moved singly, or in
# bulk by some property, but hardly ever eight adjacent rows together by a few positions.
MIN_OVERLAP: Final = 8

# Smaller pages have no room for an overlap at each end and shifted rows in between.
MIN_STRIDE: Final = 4 * MIN_OVERLAP

# Maximum shift of the rows of an overlap, in pages. Insertions and deletions during a read shift
# rows by a short distance. A block of rows that was moved elsewhere must not count as an overlap.
_MAX_SHIFT_PAGES: Final = 4

_START: Final = "start"
_END: Final = "end"

SharedRows: TypeAlias = tuple[int, int, int]  # first index, first position key, row count


class _UnionFind:
    """Sets of runs that are connected, directly or through other runs."""

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def root(self, node: Hashable) -> Hashable:
        while (parent := self._parents.get(node, node)) != node:
            self._parents[node] = self._parents.get(parent, parent)
            node = parent
        return node

    def union(self, one: Hashable, other: Hashable) -> None:
        self._parents[self.root(one)] = self.root(other)


class OverlapGraph:
    """The overlaps between all runs of one inventory.

    Attributes:
        passes: The passes so far, including the current one.
        spot_reads: Number of spot reads.
        key_order: Detector of a sort by a unique key.
    """

    def __init__(self) -> None:
        self.passes: list[Pass] = []
        self.spot_reads = 0
        self.key_order = KeyOrder()
        self._connected = _UnionFind()
        # By pass and page number: first and last index of the rows shared with each later run.
        self._shared_spans: dict[tuple[int, int], list[tuple[int, int]]] = {}

    def begin_pass(self, page_size: int) -> Pass:
        """Begin a pass over all pages, and make it the current one."""
        current = Pass(len(self.passes) + 1, page_size)
        self.passes.append(current)
        self.key_order.begin_pass()
        return current

    def add_page(self, page: AniPage) -> None:
        """Add the next page of the current pass."""
        *earlier, current = self.passes
        ids = current.add(page)
        self.key_order.add_page(page.data, ids)
        for pass_ in earlier:
            pass_.forget(ids)
        run = (current.number, page.page)
        if page.page == 1:
            self._connected.union(run, _START)
        self._connect(run, ids, current.start_of(page.page), earlier)

    def end_pass(self) -> None:
        """Connect the last page of the current pass to the end, if it certainly is the last."""
        current = self.passes[-1]
        if current.reaches_end and current.row_counts and not current.missing:
            self._connected.union((current.number, max(current.row_counts)), _END)

    def add_spot_read(self, page: AniPage) -> None:
        """Add a spot read that followed the last pass."""
        self.passes[-1].add_spot_read(page)
        self.spot_reads += 1
        run = ("spot read", self.spot_reads)
        start = (page.page - 1) * page.page_size
        row_count = len(page.data) + len(page.malformed)
        if page.page == 1:
            self._connected.union(run, _START)
        if _is_last(page, start + row_count, is_short=row_count < page.page_size):
            self._connected.union(run, _END)
        ids = tuple([str(row.id) for row in page.data])
        self.key_order.add_spot_read(page.data, ids)
        self._connect(run, ids, start, self.passes)

    def shift(self, page: AniPage) -> int | None:
        """Return how far the rows of a spot read have moved since the last pass, if known."""
        last, start = self.passes[-1], (page.page - 1) * page.page_size
        for index, key, _ in _shared_rows([str(row.id) for row in page.data], last.position_keys):
            return start + index - last.position_of(key)
        return None

    def _connect(
        self, run: Hashable, ids: Sequence[str], start: int, passes: Iterable[Pass]
    ) -> None:
        """Connect a run to the pages that it overlaps in these passes."""
        for pass_ in passes:
            spans: dict[int, tuple[int, int]] = {}
            for index, key, count in _shared_rows(ids, pass_.position_keys):
                shift = start + index - pass_.position_of(key)
                if abs(shift) > _MAX_SHIFT_PAGES * pass_.stride:
                    continue
                page_number, first = page_number_of(key), index_of(key)
                self._connected.union(run, (pass_.number, page_number))
                low, high = spans.get(page_number, (first, first))
                spans[page_number] = min(low, first), max(high, first + count - 1)
            for page_number, span in spans.items():
                self._shared_spans.setdefault((pass_.number, page_number), []).append(span)

    @property
    def is_connected(self) -> bool:
        """Whether the start of the list is connected to its end."""
        return self._connected.root(_START) == self._connected.root(_END)

    def gaps(self) -> list[int]:
        """Return the positions in the last pass, from 0, at which the chain is broken."""
        last = self.passes[-1]
        page_numbers = sorted(last.row_counts)
        roots = [self._connected.root((last.number, number)) for number in page_numbers]
        gaps = [
            last.start_of(number)
            for (before, after), number in zip(pairwise(roots), page_numbers[1:], strict=True)
            if before != after
        ]
        if roots and roots[-1] != self._connected.root(_END):
            gaps.append(last.start_of(page_numbers[-1]) + last.row_counts[page_numbers[-1]])
        return gaps

    def is_removed(self, seen_in: Pass, id_: str) -> bool:
        """Return whether a later run contains both neighbours of this row, but not the row."""
        key = seen_in.position_keys[id_]
        spans = self._shared_spans.get((seen_in.number, page_number_of(key)), ())
        return any(low < index_of(key) < high for low, high in spans)


def _is_last(page: AniPage, end: int, *, is_short: bool) -> bool:
    """Return whether a spot read reached the end of the listing, and no field contradicts that.

    Unlike a pass, a spot read is not followed by a request for the next page, and its total may
    be too small.
    """
    if page.can_next_page is True:
        return False
    return end == page.total_anis or (is_short and end >= (page.total_anis or 0))


def _shared_rows(ids: Sequence[str], position_keys: dict[str, int]) -> Iterator[SharedRows]:
    """Yield the sequences of at least ``MIN_OVERLAP`` rows that are consecutive in both runs."""
    # Unknown rows get the keys -2, -4, -6, ..., which are never consecutive, so an unknown row
    # always ends a sequence.
    keys = [position_keys.get(id_, -2 * count) for count, id_ in enumerate(ids, 1)]
    begin = 0
    for index in range(1, len(keys) + 1):
        if index == len(keys) or keys[index] != keys[index - 1] + 1:
            if index - begin >= MIN_OVERLAP:
                yield begin, keys[begin], index - begin
            begin = index


def spot_around(position: int, max_page_size: int) -> Spot:
    """Return the largest possible page that has a position near its middle.

    The API does not return arbitrary ranges of rows, only page ``k`` of size ``s``: rows
    ``(k - 1) * s`` to ``k * s``. So the size determines where a page begins, and this function
    searches for a suitable size. ``position % size`` is the index of the position on its page. It
    changes irregularly with the size, so no formula exists for the largest size that puts the
    index between 2/5 and 3/5 of the page. The search tries few sizes, and runs once per gap.

    Example:
        >>> spot_around(3000, max_page_size=1000)  # rows 2646 to 3527
        (4, 882)
    """
    for size in range(max_page_size, 2 * MIN_OVERLAP, -1):
        if 2 * size <= 5 * (position % size) <= 3 * size:
            return position // size + 1, size
    return position // max_page_size + 1, max_page_size
