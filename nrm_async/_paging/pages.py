"""Open streams over one listing, and look up single numbers."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from itertools import islice

import attrs

from nrm_async._paging.cursor import FixedPages, PageCursor, Spot
from nrm_async._paging.prefetch import FetchPage, PageStream, Spawn
from nrm_async.errors import NRMError, RejectedError, ResponseError
from nrm_async.inventory import matches_ani
from nrm_async.models import Ani, MalformedRow


async def find(fetch_page: FetchPage, page_size: int, ani: str) -> Ani | None:
    """Return the row of a number, or ``None``, reading pages in order until it is found.

    Raises:
        ResponseError: The number was not found, but a malformed row may contain it.
    """
    cursor = PageCursor(page_size)
    malformed: list[MalformedRow] = []
    page_number = 0
    while cursor.has_more:
        page_number += 1
        try:
            page = (await fetch_page(page_number, page_size))()
        except RejectedError as error:
            if not cursor.ends_before(page_number, error.status):
                raise
            break
        cursor.observe(page)
        for row in page:
            if matches_ani(row, ani):
                return row
        malformed.extend(
            bad for bad in page.malformed if bad.phone is None or matches_ani(bad, ani)
        )
    if malformed:
        raise ResponseError(f"the row of {ani} cannot be read: {malformed[0]}")
    return None


@attrs.frozen(eq=False, repr=False)
class PageSource:
    """Factory for streams over the pages of one listing.

    Attributes:
        fetch_page: Fetches one page.
        spawn: Starts a task.
        page_size: Number of rows to request per page.
        concurrency: Maximum number of requests in flight.
        find: Looks up one number; ``None`` if look-ups are not available.
    """

    fetch_page: FetchPage
    spawn: Spawn
    page_size: int
    concurrency: int
    find: Callable[[str], Awaitable[Ani | None]] | None = None

    def pages(self, page_size: int | None = None, *, skip_unreadable: bool = False) -> PageStream:
        """Open a stream over all pages."""
        return PageStream(
            self.fetch_page,
            self.spawn,
            PageCursor(page_size or self.page_size),
            prefetch=self.concurrency,
            skip_unreadable=skip_unreadable,
        )

    def spots(self, spots: Sequence[Spot]) -> PageStream:
        """Open a stream over the given pages, skipping unreadable ones."""
        return PageStream(
            self.fetch_page,
            self.spawn,
            FixedPages(spots),
            prefetch=self.concurrency,
            skip_unreadable=True,
        )

    async def find_all(self, phones: Mapping[str, str]) -> dict[str, Ani | None]:
        """Look up the given numbers, and return the rows by key, omitting failed look-ups."""
        found: dict[str, Ani | None] = {}
        remaining = iter(phones.items() if self.find else ())
        while group := dict(islice(remaining, self.concurrency)):
            answers = await asyncio.gather(*[self._find(phone) for phone in group.values()])
            found |= {
                key: answer
                for key, answer in zip(group, answers, strict=True)
                if not isinstance(answer, NRMError)
            }
        return found

    async def _find(self, phone: str) -> Ani | NRMError | None:
        try:
            return await self.find(phone) if self.find else None
        except NRMError as error:
            return error
