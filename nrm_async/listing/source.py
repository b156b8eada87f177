"""Where pages come from: what a reader needs to know of a client."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeAlias

import attrs

from nrm_async.listing.course import Spots
from nrm_async.listing.stream import PageStream, ReadPage, Spawn

FetchSized: TypeAlias = Callable[[int, int], Awaitable[ReadPage]]
Spot: TypeAlias = tuple[int, int]  # a page, and the page size that it is counted in


@attrs.frozen
class Source:
    """Opens streams over the pages of one listing.

    Attributes:
        fetch: Fetches a page, from 1, in pages of so many rows.
        spawn: Starts a task.
        page_size: Rows to ask for on each page.
        at_once: Most pages in flight.
    """

    fetch: FetchSized
    spawn: Spawn
    page_size: int
    at_once: int

    def pages(self, page_size: int | None = None, *, skip_unreadable: bool = False) -> PageStream:
        """All pages, in order."""
        size = page_size or self.page_size
        return PageStream(
            lambda page: self.fetch(page, size),
            self.spawn,
            page_size=size,
            prefetch=self.at_once,
            skip_unreadable=skip_unreadable,
        )

    def spots(self, spots: Sequence[Spot]) -> PageStream:
        """Single pages, each counted in its own page size; what cannot be read is left out."""
        return PageStream(
            partial(self._fetch_spot, spots),
            self.spawn,
            page_size=self.page_size,
            prefetch=self.at_once,
            skip_unreadable=True,
            course=Spots(len(spots)),
        )

    async def _fetch_spot(self, spots: Sequence[Spot], number: int) -> ReadPage:
        return await self.fetch(*spots[number - 1])
