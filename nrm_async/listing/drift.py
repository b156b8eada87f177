"""What a stream can notice of pages that shift under it; no I/O.

A stream reads each page once, so it cannot repair anything, and it cannot notice everything: as
many rows inserted as deleted leave all totals as they were. It says what it saw.
"""

from collections import deque
from collections.abc import Set as AbstractSet

import attrs

from nrm_async._values import Value
from nrm_async.models import Ani, AniPage


@attrs.frozen(eq=False, repr=False)
class Drift(Value):
    """What a stream noticed, so far or at its end; ``False`` in a condition if nothing.

    Nothing noticed is no proof that nothing was missed: only an ``inventory()`` has one.

    Attributes:
        totals: The numbers of rows that pages announced, as they changed; one if they agree.
        repeated: Rows left out because they had come already, on one of the pages just before.
        short_pages: Pages with fewer rows than others before them, though rows followed.
        came: Rows that came, those that could not be read included.
        ended: Whether the stream was read to its end.
        acted: Whether actions were sent by the same client while it was read. That alone is
            no drift, but it moves rows: read the inventory first, act second.
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
        signs = {
            f"totals went {' -> '.join(map(str, self.totals))}": len(self.totals) > 1,
            f"{self.repeated} rows came twice": self.repeated > 0,
            f"pages {', '.join(map(str, self.short_pages))} were short": bool(self.short_pages),
            f"{self.came} rows came of {self.totals[-1] if self.totals else 0}": self._is_off(),
        }
        return [sign for sign, is_seen in signs.items() if is_seen]

    def _is_off(self) -> bool:
        return self.ended and len(self.totals) == 1 and self.came != self.totals[0]


class _Recent:
    """The ids of the last so many pages: a shift repeats rows on neighbours.

    So there is no need to remember a whole listing.
    """

    def __init__(self, pages: int) -> None:
        self._most = pages
        self._pages: deque[set[str]] = deque()  # each id is on the last page that had it
        self._ids = set[str]()

    def add(self, ids: set[str]) -> AbstractSet[str]:
        """Take the ids of the next page; those of them that had come already."""
        again = ids & self._ids
        if again:
            for page in self._pages:
                page.difference_update(again)
        self._pages.append(ids)
        self._ids |= ids
        if len(self._pages) > self._most:
            self._ids -= self._pages.popleft()
        return again


class Noticer:
    """Looks at the pages of a stream in order.

    Args:
        pages: How many of them it remembers.

    Attributes:
        repeats: Ids on the last page that had come already.
        drift: What was noticed so far.
    """

    def __init__(self, pages: int) -> None:
        self._recent = _Recent(pages)
        self.repeats: AbstractSet[str] = frozenset()
        self.drift = Drift()
        self._page = 0
        self._size = 0
        self._fullest = 0

    def observe(self, page: AniPage) -> None:
        """Take the next page."""
        ids = {str(row.id) for row in page.data}
        self.repeats = self._recent.add(ids)
        twice = len(self.repeats) + len(page.data) - len(ids)
        size = len(page.data) + len(page.malformed)
        self.drift = attrs.evolve(
            self.drift,
            totals=self._totals(page),
            repeated=self.drift.repeated + twice,
            short_pages=self.drift.short_pages + self._short_before(page),
            came=self.drift.came + size - twice,
        )
        self._page, self._size = page.page, size
        self._fullest = max(self._fullest, size)

    def end(self) -> None:
        """Note that all pages were read."""
        self.drift = attrs.evolve(self.drift, ended=True)

    def see_action(self) -> bool:
        """Note that an action was sent; whether that is news."""
        is_news = not self.drift.acted
        self.drift = attrs.evolve(self.drift, acted=True)
        return is_news

    def first_time(self, rows: tuple[Ani, ...]) -> tuple[Ani, ...]:
        """The rows of the last page without those that had come already."""
        if not self.repeats:
            return rows
        return tuple([row for row in rows if str(row.id) not in self.repeats])

    def _totals(self, page: AniPage) -> tuple[int, ...]:
        before = self.drift.totals
        if page.total_anis is None or before[-1:] == (page.total_anis,):
            return before
        return (*before, page.total_anis)

    def _short_before(self, page: AniPage) -> tuple[int, ...]:
        """The pages before this one that turn out not to be the last, and have too few rows."""
        is_short = 0 < self._size < self._fullest
        first = self._page if is_short else self._page + 1
        return tuple(range(first, page.page))
