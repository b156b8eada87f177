"""How far to read, and when to end: decided page by page, without I/O."""

from typing import Final

from nrm_async.errors import ResponseError
from nrm_async.models import AniPage

# Far beyond any account (100 million rows at full pages); it only ends a server that never does.
_MAX_PAGES: Final = 100_000

# Pages without new rows may lie between others, where rows are deleted or a server stumbles. So
# many in a row are the end, whatever was announced; behind what was announced, fewer.
_MOST_BARREN: Final = 8
_MOST_BARREN_BEYOND: Final = 2


class Course:
    """Where a listing stands: shown each page in turn, it knows how far to read and when to end.

    The server's ``can_next_page``, ``total_pages`` and ``total_anis`` are known to contradict
    each other, so none of them is trusted alone. As long as any of them says that there is
    more, reading goes on; pages without new rows end it all the same.

    Attributes:
        page_size: Rows asked for on each page.
        goes_on: Whether there may be more pages.
    """

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self.goes_on = True
        self._seen = 0
        self._announced = 0
        self._rows = 0
        self._fullest = 0
        self._barren = 0
        self._pages: set[int] = set()

    @property
    def horizon(self) -> int:
        """The last page worth asking for, as far as is known now."""
        return max(self._announced, self._seen + 1) if self.goes_on else 0

    def observe(self, page: AniPage) -> bool:
        """Take the next page in order; say whether it has anything new to give out.

        Raises:
            ResponseError: The listing has no end.
        """
        is_new = self._is_new(page)
        size = len(page.data) + len(page.malformed)
        self._barren = 0 if is_new else self._barren + 1
        self._rows += size if is_new else 0
        self._seen = page.page
        self._announced = max(self._announced, _pages_announced(page, self.page_size))
        self.goes_on = self._says_more(page, size)
        self._fullest = max(self._fullest, size)
        if self.goes_on and self._seen >= _MAX_PAGES:
            self.goes_on = False
            raise ResponseError(f"the listing does not end: page {_MAX_PAGES:,} is not the last")
        return is_new or page.page == 1

    def stop(self) -> None:
        """Ask for nothing more."""
        self.goes_on = False

    def may_miss(self, page: int) -> bool:
        """Whether there is a way on without this page: the first one announces the rest."""
        return page > 1

    def skip(self, page: int) -> None:
        """Go on behind a page that cannot be read, as far as the pages before it told."""
        self._seen = page
        self.goes_on = page < self._announced

    def _says_more(self, page: AniPage, size: int) -> bool:
        if page.page < self._announced:
            return self._barren < _MOST_BARREN
        if self._barren:
            return page.can_next_page is True and self._barren < _MOST_BARREN_BEYOND
        return (
            page.can_next_page is True or self._lacks_rows(page, size) or self._is_open(page, size)
        )

    def _lacks_rows(self, page: AniPage, size: int) -> bool:
        """Whether rows are announced that have not come, and nothing speaks against them.

        A server may give fewer rows on a page than it was asked for. But where both other
        fields say that this is the end, and the page is shorter than others were, it is.
        """
        if page.total_anis is None or self._rows >= page.total_anis:
            return False
        is_end = page.can_next_page is False and page.total_pages is not None
        return not is_end or 0 < self._fullest <= size

    def _is_open(self, page: AniPage, size: int) -> bool:
        """Whether the page is full, and too little is announced to take it for the last."""
        is_vague = page.can_next_page is None and None in (page.total_pages, page.total_anis)
        return is_vague and size >= self.page_size

    def _is_new(self, page: AniPage) -> bool:
        """Whether the page has rows, and is not one of the others over again."""
        ids = frozenset([row.id for row in page.data])
        fingerprint = hash((len(ids), ids))  # a number for each page, not its rows
        is_repeat = bool(ids) and fingerprint in self._pages
        self._pages.add(fingerprint)
        return bool(page.malformed) or (bool(ids) and not is_repeat)


def _pages_announced(page: AniPage, page_size: int) -> int:
    by_rows = -(-(page.total_anis or 0) // page_size)
    return min(max(page.total_pages or 0, by_rows), _MAX_PAGES)


class Spots:
    """A course over so many places that are known beforehand, whatever is found there.

    Attributes:
        horizon: How many places there are.
    """

    def __init__(self, horizon: int) -> None:
        self.horizon = horizon
        self._seen = 0

    @property
    def goes_on(self) -> bool:
        """Whether there are more places."""
        return self._seen < self.horizon

    def stop(self) -> None:
        """Look at no more of them."""
        self.horizon = 0

    def may_miss(self, number: int) -> bool:  # noqa: ARG002 - as of a course over pages
        """Any place can be left out."""
        return True

    def observe(self, page: AniPage) -> bool:  # noqa: ARG002 - as of a course over pages
        """Count it; it is given out in any case."""
        self._seen += 1
        return True

    def skip(self, number: int) -> None:
        """Go on behind a place that cannot be read."""
        self._seen = number
