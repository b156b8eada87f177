"""Detect from the rows of responses whether the server sorts by a unique key; no I/O.

Rows cannot move in a list that is sorted by a unique, constant key: ``id`` or ``phone``. In any
other order they can. A sort by a column with ties may break them differently in each response,
replicas may disagree, and an update moves a row in a sort by modification time. The sort order of
the API is not documented, so it is inferred from the rows.
"""

from collections.abc import Callable, Sequence
from itertools import islice
from operator import attrgetter, gt, lt
from typing import Any, Final, TypeAlias

from nrm_async.models import Ani

_Values: TypeAlias = Sequence[Any] | None


def _numbers(rows: Sequence[Ani], ids: Sequence[str]) -> _Values:
    """Return the ids as numbers, or ``None`` if they are not all numbers."""
    if isinstance(rows[0].id, int):
        return list(map(_ID, rows))
    return [int(id_) for id_ in ids] if all(map(_is_number, ids)) else None


def _is_number(id_: str) -> bool:
    return id_.isascii() and id_.removeprefix("-").isdecimal()


def _texts(_rows: Sequence[Ani], ids: Sequence[str]) -> _Values:
    return ids


def _phones(rows: Sequence[Ani], _ids: Sequence[str]) -> _Values:
    return list(map(_PHONE, rows))


_ID: Final = attrgetter("id")
_PHONE: Final = attrgetter("phone")
_KEYS: Final = (_numbers, _texts, _phones)


class _SortedBy:
    """Detector of a sort by one key."""

    def __init__(self, key: Callable[[Sequence[Ani], Sequence[str]], _Values]) -> None:
        self._key = key
        self._before: Callable[[Any, Any], bool] | None = None  # None if unknown
        self._ends: tuple[Any, Any] | None = None

    def add(self, rows: Sequence[Ani], ids: Sequence[str], *, is_next: bool) -> bool:
        """Add a non-empty response, and return whether all responses so far are sorted alike."""
        values = self._key(rows, ids)
        try:
            return values is not None and self._is_sorted(values, is_next=is_next)
        except TypeError:  # a mix of numeric and text ids
            return False

    def _is_sorted(self, values: Sequence[Any], *, is_next: bool) -> bool:
        first, last = values[0], values[-1]
        before = lt if first < last else gt
        if len(values) > 1:
            if self._before not in (None, before):
                return False
            self._before = before
            if not all(map(before, values, islice(values, 1, None))):
                return False
        return not is_next or self._continues(first, last)

    def _continues(self, first: Any, last: Any) -> bool:
        """Return whether the first and last keys follow or equal those of the previous page."""
        ends, self._ends = self._ends, (first, last)
        if ends is None:
            return True
        if self._before is None and first != ends[0]:  # pages with a single row
            self._before = lt if ends[0] < first else gt
        if self._before is None:
            return True
        return not (self._before(first, ends[0]) or self._before(last, ends[1]))

    @property
    def has_direction(self) -> bool:
        """Whether the sort direction is known."""
        return self._before is not None

    def rewind(self) -> None:
        """Start again from the first page."""
        self._ends = None


class KeyOrder:
    """Detector of a server-side sort by a unique key.

    The rows of each response must be strictly sorted by the same key, in the same direction. In
    addition, the first and last keys must not decrease from page to page: in a sort by status and
    then by id, a page with a single status is sorted by id too.

    Attributes:
        holds: Whether at least two rows were compared, and all responses so far are sorted by
            ``id``, as numbers or as text, or by ``phone``.

    Example:
        >>> order = KeyOrder()
        >>> order.add_page([Ani(1, "3"), Ani(5, "2")], ["1", "5"])
        >>> order.holds
        True
        >>> order.add_page([Ani(3, "4"), Ani(2, "1")], ["3", "2"])
        >>> order.holds
        False
    """

    def __init__(self) -> None:
        self._candidates = [_SortedBy(key) for key in _KEYS]

    @property
    def holds(self) -> bool:
        return any(candidate.has_direction for candidate in self._candidates)

    def begin_pass(self) -> None:
        """Begin a pass: the next page is the first."""
        for candidate in self._candidates:
            candidate.rewind()

    def add_page(self, rows: Sequence[Ani], ids: Sequence[str]) -> None:
        """Add the next page of a pass, with the ids of its rows as text."""
        self._add(rows, ids, is_next=True)

    def add_spot_read(self, rows: Sequence[Ani], ids: Sequence[str]) -> None:
        """Add a response that does not follow the previous one."""
        self._add(rows, ids, is_next=False)

    def _add(self, rows: Sequence[Ani], ids: Sequence[str], *, is_next: bool) -> None:
        if rows:
            self._candidates = [
                one for one in self._candidates if one.add(rows, ids, is_next=is_next)
            ]


def count_displaced(before: Sequence[str], after: dict[str, int]) -> int:
    """Count the rows that come before their predecessor in another order.

    Example:
        >>> count_displaced(["a", "b", "c"], {"a": 0, "c": 1, "b": 2})
        1
    """
    positions = [after[id_] for id_ in before if id_ in after]
    return sum(map(gt, positions, islice(positions, 1, None)))
