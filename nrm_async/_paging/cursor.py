"""Select the pages to request and detect the end of a listing; no I/O."""

from collections.abc import Sequence
from typing import Final, Protocol, TypeAlias

from nrm_async.errors import ResponseError
from nrm_async.models import AniPage

Spot: TypeAlias = tuple[int, int]  # page number and page size

# Safeguard against endless listings, far beyond any account (100 million rows on full pages).
_MAX_PAGES: Final = 100_000

# Maximum number of consecutive pages without new rows. Deleted rows or server errors can cause such
# pages in the middle of a listing. The limit is lower past the last announced page.
_MAX_EMPTY_STREAK: Final = 8
_MAX_EMPTY_STREAK_PAST_END: Final = 2

# Response statuses that can mean that a page is past the end.
_NOT_FOUND: Final = 404
_NO_SUCH_PAGE: Final = frozenset({200, 400, _NOT_FOUND, 416, 422})


class Cursor(Protocol):
    """Interface that selects the next page to request and detects the end.

    The pages of a stream are numbered from 1 in request order.
    """

    @property
    def has_more(self) -> bool:
        """Whether there may be more pages."""

    @property
    def last_page(self) -> int:
        """The last page to request, according to the pages read so far."""

    def spot(self, page_number: int) -> Spot:
        """Return the request parameters for this page."""

    def observe(self, page: AniPage, /) -> bool:
        """Process the next page in order, and return whether to yield it."""

    def skip(self, page_number: int) -> bool:
        """Skip an unreadable page, or return ``False`` if the stream needs that page."""

    def ends_before(self, page_number: int, status: int, /) -> bool:
        """Return whether a refused page is past the end; if so, stop."""

    def stop(self) -> None:
        """Stop requesting pages."""


class PageCursor:
    """Cursor that follows a listing from page 1 to its end, even if the page envelopes are wrong.

    The server's ``can_next_page``, ``total_pages`` and ``total_anis`` are known to contradict
    each other, so none of them is trusted alone. The listing continues while any of these fields
    announces more pages, but several consecutive pages without new rows always end it.

    Attributes:
        page_size: Number of rows requested per page.
        has_more: Whether there may be more pages.
        last_page: The last page to request, according to the pages read so far; 0 at the end.
    """

    def __init__(self, page_size: int) -> None:
        self.page_size = page_size
        self.has_more = True
        self.last_page = 1
        self._announced = 0
        self._rows = 0
        self._fullest = 0
        self._empty_streak = 0
        self._fingerprints: set[int] = set()
        self._latest: AniPage | None = None

    def spot(self, page_number: int) -> Spot:
        """Return the page number with the page size of this cursor."""
        return page_number, self.page_size

    def observe(self, page: AniPage) -> bool:
        """Process the next page in order, and return whether to yield it.

        Raises:
            ResponseError: The listing does not end.
        """
        self._latest = page
        row_count = len(page.data) + len(page.malformed)
        is_new = self._is_new(page)
        if is_new:
            self._empty_streak = 0
            self._rows += row_count
        else:
            self._empty_streak += 1
        pages_by_rows = -(-(page.total_anis or 0) // self.page_size)
        announced = max(self._announced, page.total_pages or 0, pages_by_rows)
        self._announced = min(announced, _MAX_PAGES)
        if not self._is_more_announced(page, row_count):
            self.stop()
        elif page.page >= _MAX_PAGES:
            self.stop()
            raise ResponseError(f"the listing does not end: page {_MAX_PAGES:,} is not the last")
        else:
            self.last_page = max(self._announced, page.page + 1)
        self._fullest = max(self._fullest, row_count)
        return is_new or page.page == 1

    def skip(self, page_number: int) -> bool:
        """Skip an unreadable page, and stop if it is the last page announced so far.

        Page 1 cannot be skipped, because it announces the number of pages.
        """
        if page_number == 1:
            return False
        if page_number >= self._announced:
            self.stop()
        return True

    def ends_before(self, page_number: int, status: int) -> bool:
        """Return whether a refused page is past the end; if so, stop.

        Some servers refuse such a page instead of returning an empty one. A refusal is the end
        only if the previous page announced no further pages. Earlier announcements are ignored,
        because the listing may have shrunk. Any other refusal is an error: treating it as the
        end would silently truncate the listing.
        """
        page = self._latest
        if page is None or status not in _NO_SUCH_PAGE:
            return False
        pages_by_rows = -(-(page.total_anis or 0) // self.page_size)
        if page_number <= max(page.page, page.total_pages or 0, pages_by_rows):
            return False
        lacks_rows = page.total_anis is not None and self._rows < page.total_anis
        if page.total_pages is not None:
            # Two of the three fields announce more pages, so only "not found" is the end.
            is_end = status == _NOT_FOUND or not (lacks_rows and page.can_next_page is True)
        elif page.total_anis is not None:
            is_end = not lacks_rows
        else:
            is_end = page.can_next_page is not True
        if is_end:
            self.stop()
        return is_end

    def stop(self) -> None:
        """Stop requesting pages."""
        self.has_more = False
        self.last_page = 0

    def _is_more_announced(self, page: AniPage, row_count: int) -> bool:
        if page.page < self._announced:
            return self._empty_streak < _MAX_EMPTY_STREAK
        if self._empty_streak:
            return page.can_next_page is True and self._empty_streak < _MAX_EMPTY_STREAK_PAST_END
        if page.can_next_page is True or self._lacks_rows(page, row_count):
            return True
        # Without enough information in the envelope, a full page is not assumed to be the last.
        is_vague = page.can_next_page is None and None in (page.total_pages, page.total_anis)
        return is_vague and row_count >= self.page_size

    def _lacks_rows(self, page: AniPage, row_count: int) -> bool:
        """Return whether fewer rows arrived than announced, and nothing contradicts the total.

        A server may return fewer rows per page than requested. However, a page is the last one
        if it is shorter than an earlier page and both other fields identify it as the last.
        """
        if page.total_anis is None or self._rows >= page.total_anis:
            return False
        is_end = page.can_next_page is False and page.total_pages is not None
        return not is_end or 0 < self._fullest <= row_count

    def _is_new(self, page: AniPage) -> bool:
        """Return whether the page has rows and does not repeat an earlier page."""
        ids = frozenset([row.id for row in page.data])
        fingerprint = hash((len(ids), ids))  # saves memory: one integer per page
        is_repeat = bool(ids) and fingerprint in self._fingerprints
        self._fingerprints.add(fingerprint)
        return bool(page.malformed) or (bool(ids) and not is_repeat)


class FixedPages:
    """Cursor over a fixed list of pages, regardless of their content.

    Attributes:
        last_page: Number of pages; 0 after ``stop``.
    """

    def __init__(self, spots: Sequence[Spot]) -> None:
        self.last_page = len(spots)
        self._spots = spots
        self._done = 0

    @property
    def has_more(self) -> bool:
        """Whether there are more pages."""
        return self._done < self.last_page

    def spot(self, page_number: int) -> Spot:
        """Return the request parameters for this page."""
        return self._spots[page_number - 1]

    def observe(self, _page: AniPage) -> bool:
        """Count the page; every page is yielded."""
        self._done += 1
        return True

    def skip(self, page_number: int) -> bool:
        """Skip an unreadable page, because no page depends on another."""
        self._done = page_number
        return True

    def ends_before(self, _page_number: int, _status: int) -> bool:
        """Return ``False``, because a page that was read before cannot be past the end."""
        return False

    def stop(self) -> None:
        """Stop requesting pages."""
        self.last_page = 0
