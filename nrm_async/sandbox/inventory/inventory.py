"""The current rows: a row source, the changes made to it, and the listing order."""

from array import array
from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import Final, Protocol

import msgspec

from nrm_async.sandbox.values import Row

# Up to this inventory size, encoded rows are cached, using about 70 MB. In larger inventories, no
# rows are cached, so that all pages take the same time.
_MOST_CACHED: Final = 100_000
_MOST_PREFIXES: Final = 16
_AFTER_ANY_DIGIT: Final = ":"  # sorts after "9", to end a prefix range

_encode: Final = msgspec.json.Encoder().encode


class RowSource(Protocol):
    """A source of initial rows, generated or imported, and of rows to add later."""

    @property
    def count(self) -> int:
        """The number of initial rows."""

    @property
    def longest(self) -> int:
        """The length of the longest phone number."""

    def phone(self, index: int) -> str:
        """Return the phone number of a row."""

    def index_of(self, phone: str) -> int | None:
        """Return the index of a current or future row with this phone number, or None."""

    def status(self, index: int) -> str:
        """Return the initial status code of a row."""

    def row(self, index: int) -> Row:
        """Return the initial values of a row."""


class ListingOrder:
    """A mapping from listing positions to row indices, updated when rows are added or removed.

    Added rows are first, newest first, followed by the initial rows. A client that pages by offset
    therefore misses a row for each row removed before its position, and reads a row twice for each
    row added.

    Memory use depends only on the number of changes. Finding a position takes logarithmic time in
    the number of removed rows.
    """

    def __init__(self, count: int) -> None:
        self._initial = count
        self._removed_initial: list[int] = []  # in ascending order
        self._removed: set[int] = set()
        self._added: list[int] = []  # oldest first; excludes removed rows
        self.next_index = count

    def __len__(self) -> int:
        return self._initial - len(self._removed_initial) + len(self._added)

    def __contains__(self, index: int) -> bool:
        return 0 <= index < self.next_index and index not in self._removed

    def add(self, index: int) -> None:
        """Add a new row at the front."""
        self._added.append(index)
        self.next_index = index + 1

    def remove(self, index: int) -> None:
        """Remove a row permanently."""
        self._removed.add(index)
        if index < self._initial:
            insort(self._removed_initial, index)
        else:
            self._added.remove(index)

    def added(self) -> list[int]:
        """Return the indices of the added rows, newest first."""
        return self._added[::-1]

    def indices(self, start: int, stop: int) -> list[int]:
        """Return the indices at positions ``start`` to ``stop``, like a slice."""
        added = self._added[::-1]
        indices = added[start:stop]
        start, stop = max(start - len(added), 0), max(stop - len(added), 0)
        return indices + list(self._initial_indices(start, stop - start))

    def _initial_indices(self, position: int, most: int) -> Iterator[int]:
        removed = self._removed_initial
        if not removed:
            return iter(range(position, min(position + most, self._initial)))
        # Count the removed rows before this position by bisection: removed[k] - k rows remain
        # before the k-th removed row, and that number never decreases with k.
        before = bisect_right(range(len(removed)), position, key=lambda k: removed[k] - k)
        gaps = chain(removed[before:], [self._initial])
        return islice(_between(position + before, gaps), most)


def _between(start: int, gaps: Iterator[int]) -> Iterator[int]:
    for gap in gaps:
        yield from range(start, gap)
        start = gap + 1


class Inventory:
    """The current rows, accessible by index, phone number and listing position.

    Only changes and caches are stored.
    """

    def __init__(self, source: RowSource) -> None:
        self._source = source
        self._order = ListingOrder(source.count)
        self._changes: dict[int, Row] = {}
        self._encoded: dict[int, bytes] = {}
        self._has_text_ids = False
        self._by_phone: array[int] | None = None
        self._matches: OrderedDict[str, Sequence[int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def index_of(self, phone: str) -> int | None:
        """Return the index of this phone number, or None if it is not in the inventory."""
        index = self._source.index_of(phone)
        return index if index is not None and index in self._order else None

    def index_at(self, position: int) -> int:
        """Return the index at a listing position."""
        return self._order.indices(position, position + 1)[0]

    def phone(self, index: int) -> str:
        """Return the phone number of a row."""
        return self._source.phone(index)

    def status(self, index: int) -> str:
        """Return the current status code of a row."""
        change = self._changes.get(index)
        return self._source.status(index) if change is None else str(change["status"])

    def row(self, index: int) -> Row:
        """Return the current values of a row as a new dictionary."""
        row, change = self._source.row(index), self._changes.get(index)
        return row if change is None else {**row, **change}

    def update(self, index: int, fields: Row) -> None:
        """Update some values of a row."""
        self._changes[index] = {**self._changes.get(index, {}), **fields}
        self._encoded.pop(index, None)

    def add(self) -> int:
        """Add a number at the front, and return its index."""
        index = self._order.next_index
        while self._source.index_of(self._source.phone(index)) != index:
            index += 1  # an imported row already has that phone number
        self._order.add(index)
        self._matches.clear()
        return index

    def remove(self, index: int) -> None:
        """Remove a number."""
        self._order.remove(index)
        self._matches.clear()

    def count_matching(self, prefix: str) -> int:
        """Return the number of phone numbers that start with ``prefix``."""
        return len(self._matching(prefix)) if prefix else len(self._order)

    def indices(self, start: int, stop: int, prefix: str = "") -> Sequence[int]:
        """Return a slice of the indices of phone numbers that start with ``prefix``."""
        if not prefix:
            return self._order.indices(start, stop)
        return self._matching(prefix)[start:stop]

    def encoded(self, index: int, *, text_ids: bool = False) -> bytes:
        """Return the current row as JSON, with a string id if ``text_ids`` is true."""
        if text_ids is not self._has_text_ids:
            self._encoded.clear()
            self._has_text_ids = text_ids
        encoded = self._encoded.get(index)
        if encoded is None:
            row = self.row(index)
            encoded = _encode({**row, "id": str(row["id"])} if text_ids else row)
            if self._source.count <= _MOST_CACHED:
                self._encoded[index] = encoded
        return encoded

    def prepare(self) -> None:
        """Sort the phone numbers and fill the cache, so that the first requests are fast."""
        self._sorted_by_phone()
        if self._source.count <= _MOST_CACHED:
            for index in self._order.indices(0, len(self._order)):
                self.encoded(index, text_ids=self._has_text_ids)

    def _matching(self, prefix: str) -> Sequence[int]:
        """Return the matching indices in listing order. Recent results are cached."""
        matches = self._matches.get(prefix)
        if matches is None:
            matches = self._matches[prefix] = self._search(prefix)
            if len(self._matches) > _MOST_PREFIXES:
                self._matches.popitem(last=False)
        return matches

    def _search(self, prefix: str) -> Sequence[int]:
        if len(prefix) >= self._source.longest:  # at most one number can match
            index = self.index_of(prefix)
            return () if index is None else (index,)
        phone, by_phone = self._source.phone, self._sorted_by_phone()
        low = bisect_left(by_phone, prefix, key=phone)
        high = bisect_left(by_phone, prefix + _AFTER_ANY_DIGIT, key=phone)
        initial = sorted(index for index in by_phone[low:high] if index in self._order)
        added = (index for index in self._order.added() if phone(index).startswith(prefix))
        return array("q", [*added, *initial])

    def _sorted_by_phone(self) -> "array[int]":
        """Return the initial indices sorted by phone number. The result is cached."""
        if self._by_phone is None:
            self._by_phone = array("q", sorted(range(self._source.count), key=self._source.phone))
        return self._by_phone
