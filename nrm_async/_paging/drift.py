"""Detect rows that shift between pages during a stream; no I/O.

A stream reads each page once, so it cannot repair a listing that changes, and it cannot detect
every change: equally many insertions and deletions leave the total unchanged.
"""

from collections import deque
from collections.abc import Set as AbstractSet

import attrs

from nrm_async._values import Value
from nrm_async.models import Ani, AniPage


@attrs.frozen(eq=False, repr=False)
class Drift(Value):
    """Signs that a listing changed while it was streamed; falsy if there are none.

    The absence of signs does not prove that no row was missed. Only ``inventory()`` can prove
    that.

    Attributes:
        totals: Each new value of the total that the pages announced; a single value if all
            pages agree.
        repeated: Number of rows dropped because a recent page already contained them.
        short_pages: Pages that have fewer rows than an earlier page, but are not the last.
        came: Number of rows received, including unreadable ones.
        ended: Whether the stream was read to its end.
        acted: Whether the same client sent actions during the stream. Actions alone are not
            drift, but they shift rows: read the inventory first, then act.

    Example:
        >>> bool(Drift(totals=(50,), came=50, ended=True))
        False
        >>> print(Drift(totals=(50, 49), came=49, ended=True))
        total changed 50 -> 49
    """

    totals: tuple[int, ...] = ()
    repeated: int = 0
    short_pages: tuple[int, ...] = ()
    came: int = 0
    ended: bool = False
    acted: bool = False

    def __bool__(self) -> bool:
        return bool(self._signs())

    def __str__(self) -> str:
        text = ", ".join(self._signs()) or "nothing"
        hint = "; actions were sent meanwhile: read the inventory first, act second"
        return text + (hint if self.acted else "")

    def _signs(self) -> list[str]:
        signs = []
        if len(self.totals) > 1:
            signs.append(f"total changed {' -> '.join(map(str, self.totals))}")
        if self.repeated:
            signs.append(f"repeated rows: {self.repeated}")
        if self.short_pages:
            signs.append(f"short pages: {', '.join(map(str, self.short_pages))}")
        if self.ended and len(self.totals) == 1 and self.came != self.totals[0]:
            signs.append(f"{self.came} of {self.totals[0]} rows arrived")
        return signs


class RecentIds:
    """The ids on the most recent pages.

    A shift repeats rows only on neighbouring pages, so older ids are discarded to save memory.
    """

    def __init__(self, pages: int) -> None:
        self._max_pages = pages
        self._pages: deque[set[str]] = deque()  # each id is only in the set of its latest page
        self._ids = set[str]()

    def add(self, ids: set[str]) -> AbstractSet[str]:
        """Add the ids of the next page, and return those that were already on a recent page."""
        duplicates = ids & self._ids
        if duplicates:
            for page in self._pages:
                page.difference_update(duplicates)
        self._pages.append(ids)
        self._ids |= ids
        if len(self._pages) > self._max_pages:
            self._ids -= self._pages.popleft()
        return duplicates


class DriftDetector:
    """Detector that compares the pages of a stream, in order.

    Args:
        pages: Number of preceding pages to compare each page with.
    """

    def __init__(self, pages: int) -> None:
        self._recent = RecentIds(pages)
        self._totals: tuple[int, ...] = ()
        self._repeated = 0
        self._short_pages: tuple[int, ...] = ()
        self._row_count = 0
        self._has_ended = False
        self._has_acted = False
        self._last_page_number = 0
        self._last_page_rows = 0
        self._fullest = 0

    @property
    def drift(self) -> Drift:
        """The signs detected so far."""
        return Drift(
            totals=self._totals,
            repeated=self._repeated,
            short_pages=self._short_pages,
            came=self._row_count,
            ended=self._has_ended,
            acted=self._has_acted,
        )

    def observe(self, page: AniPage) -> tuple[Ani, ...]:
        """Process the next page, and return its rows without those on recent pages."""
        rows, page_number = page.data, page.page
        page_rows = len(rows) + len(page.malformed)
        ids = {str(row.id) for row in rows}
        duplicates = self._recent.add(ids)
        repeated = len(duplicates) + len(rows) - len(ids)
        self._repeated += repeated
        self._row_count += page_rows - repeated
        if page.total_anis is not None and self._totals[-1:] != (page.total_anis,):
            self._totals += (page.total_anis,)
        # A page is short only if another page follows, so the previous page is checked now. The
        # pages in between had no new rows.
        is_short = 0 < self._last_page_rows < self._fullest
        first = self._last_page_number + (not is_short)
        if first < page_number:
            self._short_pages += tuple(range(first, page_number))
        self._last_page_number, self._last_page_rows = page_number, page_rows
        self._fullest = max(self._fullest, page_rows)
        if not duplicates:
            return rows
        return tuple([row for row in rows if str(row.id) not in duplicates])

    def end(self) -> None:
        """Record that all pages were read."""
        self._has_ended = True

    def record_action(self) -> bool:
        """Record that an action was sent, and return whether it is the first one."""
        is_first = not self._has_acted
        self._has_acted = True
        return is_first
