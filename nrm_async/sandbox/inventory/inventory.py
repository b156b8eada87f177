"""The rows as they stand now: what they began as, what has changed, and in which order they are."""

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final, Protocol

import msgspec

from nrm_async.sandbox.inventory.order import Order
from nrm_async.sandbox.values import Row

# Up to this size encoded rows are kept, about 70 MB of them; above it none are, so that no page
# is faster than another.
_MOST_ENCODED: Final = 100_000
_MOST_PREFIXES: Final = 16
_AFTER_ANY_DIGIT: Final = ":"  # sorts after "9": closes the range of a prefix

_encode: Final = msgspec.json.Encoder().encode


class Source(Protocol):
    """Where rows begin: made from a seed, or loaded from a file."""

    @property
    def count(self) -> int:
        """How many rows there are in the beginning."""

    @property
    def longest(self) -> int:
        """Digits of the longest phone."""

    def phone(self, index: int) -> str:
        """The phone of a row."""

    def find(self, phone: str) -> int | None:
        """The index that this phone has, or would have; None where no row can have it."""

    def status(self, index: int) -> str:
        """The status code that a row begins with."""

    def row(self, index: int) -> Row:
        """A row as it begins."""


class Inventory:
    """Rows by index, by phone and by position; only changes and what was looked at take memory."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._order = Order(source.count)
        self._changes: dict[int, Row] = {}
        self._encoded: dict[int, bytes] = {}
        self._has_text_ids = False
        self._by_phone: array[int] | None = None
        self._matches: OrderedDict[str, Sequence[int]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._order)

    def find(self, phone: str) -> int | None:
        """The index of this phone; None when it is not in the inventory."""
        index = self._source.find(phone)
        return index if index is not None and index in self._order else None

    def phone(self, index: int) -> str:
        """The phone at this index."""
        return self._source.phone(index)

    def status(self, index: int) -> str:
        """The status code at this index now."""
        change = self._changes.get(index)
        return self._source.status(index) if change is None else str(change["status"])

    def row(self, index: int) -> Row:
        """The row at this index now; a new one each time."""
        row, change = self._source.row(index), self._changes.get(index)
        return row if change is None else {**row, **change}

    def change(self, index: int, fields: Row) -> None:
        """Give these fields of a row other values."""
        self._changes[index] = {**self._changes.get(index, {}), **fields}
        self._encoded.pop(index, None)

    def join(self) -> int:
        """A number joins in front of all others; its index."""
        index = self._order.next_index
        while self._source.find(self._source.phone(index)) != index:
            index += 1  # a loaded row has that phone already
        self._order.join(index)
        self._matches.clear()
        return index

    def leave(self, index: int) -> None:
        """The number at this index is no longer there."""
        self._order.leave(index)
        self._matches.clear()

    def at(self, position: int) -> int:
        """The index at a position in the order of the listing."""
        return self._order.indices(position, position + 1)[0]

    def matching(self, prefix: str) -> int:
        """How many phones begin with these digits; all of them, without any."""
        return len(self._order) if not prefix else len(self._found(prefix))

    def indices(self, start: int, stop: int, prefix: str = "") -> Sequence[int]:
        """The indices at these positions among those whose phone begins with ``prefix``."""
        if not prefix:
            return self._order.indices(start, stop)
        return self._found(prefix)[start:stop]

    def encoded(self, index: int, *, text_ids: bool = False) -> bytes:
        """The row at this index now, as JSON; with its id as text where wanted."""
        if text_ids is not self._has_text_ids:
            self._encoded.clear()
            self._has_text_ids = text_ids
        found = self._encoded.get(index)
        if found is None:
            found = _encoded(self.row(index), text_ids)
            if self._source.count <= _MOST_ENCODED:
                self._encoded[index] = found
        return found

    def prepare(self) -> None:
        """Sort and encode now, and not when somebody waits for it: answers then take even time."""
        self._sorted()
        if self._source.count <= _MOST_ENCODED:
            for index in self._order.indices(0, len(self._order)):
                self.encoded(index, text_ids=self._has_text_ids)

    def _found(self, prefix: str) -> Sequence[int]:
        """All that match, in the order of the listing; the last few answers are kept."""
        found = self._matches.get(prefix)
        if found is None:
            found = self._matches[prefix] = self._search(prefix)
            if len(self._matches) > _MOST_PREFIXES:
                self._matches.popitem(last=False)
        return found

    def _search(self, prefix: str) -> Sequence[int]:
        if len(prefix) >= self._source.longest:  # how a client looks one number up
            whole = self.find(prefix)
            return () if whole is None else (whole,)
        phone, by_phone = self._source.phone, self._sorted()
        low = bisect_left(by_phone, prefix, key=phone)
        high = bisect_left(by_phone, prefix + _AFTER_ANY_DIGIT, key=phone)
        first = sorted(index for index in by_phone[low:high] if index in self._order)
        joined = (index for index in self._order.joined() if phone(index).startswith(prefix))
        return array("q", [*joined, *first])

    def _sorted(self) -> "array[int]":
        """The indices in the order of their phones; made when a prefix is first asked for."""
        if self._by_phone is None:
            self._by_phone = array("q", sorted(range(self._source.count), key=self._source.phone))
        return self._by_phone


def _encoded(row: Row, text_ids: bool) -> bytes:
    return _encode({**row, "id": str(row["id"])} if text_ids else row)
