"""Where pages come from: what a reader needs to know of a client."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import TypeAlias

import attrs

from nrm_async.errors import NRMError
from nrm_async.listing.course import Spots
from nrm_async.listing.stream import PageStream, ReadPage, Spawn
from nrm_async.models import Ani

FetchSized: TypeAlias = Callable[[int, int], Awaitable[ReadPage]]
Found: TypeAlias = Ani | None
Spot: TypeAlias = tuple[int, int]  # a page, and the page size that it is counted in


@attrs.frozen(eq=False, repr=False)
class Source:
    """Opens streams over the pages of one listing.

    Attributes:
        fetch: Fetches a page, from 1, in pages of so many rows.
        spawn: Starts a task.
        page_size: Rows to ask for on each page.
        at_once: Most requests in flight.
        find: Looks one number up; ``None`` where that cannot be done.
    """

    fetch: FetchSized
    spawn: Spawn
    page_size: int
    at_once: int
    find: Callable[[str], Awaitable[Found]] | None = None

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

    async def find_all(self, phones: Mapping[str, str]) -> dict[str, Found]:
        """Look numbers up, by keys of the caller's; one that cannot be told is left out."""
        found: dict[str, Found] = {}
        waiting = iter(phones.items() if self.find else ())
        while some := dict(islice(waiting, self.at_once)):
            answers = await asyncio.gather(*[self._find(phone) for phone in some.values()])
            found |= {
                key: answer
                for key, answer in zip(some, answers, strict=True)
                if not isinstance(answer, NRMError)
            }
        return found

    async def _find(self, phone: str) -> Found | NRMError:
        try:
            return await self.find(phone) if self.find else None
        except NRMError as error:
            return error
