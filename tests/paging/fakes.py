"""Sources of pages for the tests of paging: no sockets, and errors on request."""

import asyncio
from collections.abc import Callable
from functools import partial

import attrs

from nrm_async import AniPage, PageStream
from nrm_async._paging import DecodePage, PageSource
from tests.conftest import make_page, make_row

PAGE_SIZE = 10


@attrs.define
class PageServer:
    """Serves pages after a delay, and records requests and concurrency.

    Attributes:
        pages: Makes the page with this number when it is decoded; it may raise.
        latency: Seconds until a page arrives.
    """

    pages: Callable[[int], AniPage]
    latency: float = 0.1
    requested: list[int] = attrs.field(factory=list)
    in_flight: int = 0
    max_in_flight: int = 0

    async def fetch_page(self, page_number: int, _page_size: int = PAGE_SIZE) -> DecodePage:
        self.requested.append(page_number)
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            await asyncio.sleep(self.latency)
            return partial(self.pages, page_number)
        finally:
            self.in_flight -= 1

    def source(self, concurrency: int = 4) -> PageSource:
        return PageSource(self.fetch_page, asyncio.create_task, PAGE_SIZE, concurrency)

    def stream(self, prefetch: int = 4) -> PageStream:
        return self.source(prefetch).pages()


def honest_server(total: int) -> PageServer:
    """A server of this many rows whose envelopes are right."""
    return PageServer(lambda number: make_page(number, PAGE_SIZE, total))


class ShrinkingListing:
    """Fifty rows; the first one is deleted after page 2, in each of the first passes."""

    def __init__(self, deletions: int) -> None:
        self.rows = [make_row(number) for number in range(50)]
        self.deletions = deletions

    def page(self, page_number: int) -> AniPage:
        first = (page_number - 1) * PAGE_SIZE
        rows = tuple(self.rows[first : first + PAGE_SIZE])
        total = len(self.rows)
        if page_number == 2 and self.deletions:
            self.deletions -= 1
            del self.rows[0]
        return attrs.evolve(make_page(page_number, PAGE_SIZE, total), data=rows)

    def source(self) -> PageSource:
        return PageServer(self.page, latency=0).source(concurrency=1)
