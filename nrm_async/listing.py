"""Concurrent pages, given out in order: what reads ``GET /anis`` from the first page to the last.

A callable that fetches one page comes in; pages, rows or a whole inventory come out. Page 1 is
read first, because it announces the rest; then a window of pages is fetched ahead, and topped
up as pages are taken from it, so memory is bounded by the window. Where the listing ends is
decided by ``Course``, which has no I/O.

What is fetched is decoded only when its turn comes. Decoding a page of 1,000 rows takes
milliseconds: pages that arrive together neither block the event loop in a row nor hold up the
requests for the pages behind them.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

import attrs

from nrm_async.errors import (
    ClientStateError,
    InventoryDriftError,
    NRMError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)
from nrm_async.inventory import Inventory, is_number
from nrm_async.models import Ani, AniPage, MalformedRow

__all__ = ["AniStream", "OnDrift", "PageStream"]

OnDrift: TypeAlias = Literal["repair", "report", "raise"]
ReadPage: TypeAlias = Callable[[], AniPage]
FetchPage: TypeAlias = Callable[[int], Awaitable[ReadPage]]
Fetched: TypeAlias = ReadPage | Exception
Spawn: TypeAlias = Callable[[Coroutine[Any, Any, Fetched]], "asyncio.Task[Fetched]"]

# Far beyond any account (100 million rows at full pages); it only ends a server that never does.
_MAX_PAGES: Final = 100_000

# Pages without new rows may lie between others, where rows are deleted or a server stumbles. So
# many in a row are the end, whatever was announced; behind what was announced, fewer.
_MOST_BARREN: Final = 8
_MOST_BARREN_BEYOND: Final = 2

_MAX_PASSES: Final = 4

# What befalls one page and not all of them.
_UNREADABLE: Final = (TransportError, ServerError, ResponseError, RateLimitError)


@attrs.define
class Course:
    """Where a listing stands: shown each page in turn, it knows how far to read and when to end.

    The server's ``can_next_page``, ``total_pages`` and ``total_anis`` are known to contradict
    each other, so none of them is trusted alone. As long as any of them says that there is
    more, reading goes on; pages without new rows end it all the same.

    Attributes:
        page_size: Rows asked for on each page.
        goes_on: Whether there may be more pages.
    """

    page_size: int
    goes_on: bool = True
    _seen: int = 0
    _announced: int = 0
    _rows: int = 0
    _fullest: int = 0
    _barren: int = 0
    _pages: set[int] = attrs.field(factory=set)

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


class PageStream(AsyncIterator[AniPage]):
    """The pages of a listing, in order: an async iterator, and an async context manager.

    Pages are fetched by plain tasks in a window ahead of the reader. Leaving early needs no
    ceremony: the tasks are cancelled when the stream is dropped, closed, or its client closes.
    Cancelling the reader loses no page: the stream can be read on.
    """

    def __init__(
        self,
        fetch_page: FetchPage,
        spawn: Spawn,
        *,
        page_size: int,
        prefetch: int,
        skip_unreadable: bool = False,
    ) -> None:
        self._fetch_page = fetch_page
        self._spawn = spawn
        self._prefetch = prefetch
        self._skip_unreadable = skip_unreadable
        self._missing: list[NRMError] = []
        self._course = Course(page_size)
        self._window: deque[asyncio.Task[Fetched]] = deque()
        self._asked = 0
        self._is_reading = False

    @property
    def missing(self) -> tuple[NRMError, ...]:
        """Why pages are missing, if any are; each error tells its ``page``."""
        return tuple(self._missing)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> AniPage:
        if self._is_reading:
            raise RuntimeError("the stream is already being read by another task")
        self._is_reading = True
        try:
            return await self._next_new_page()
        finally:
            self._is_reading = False

    async def _next_new_page(self) -> AniPage:
        while self._course.goes_on:
            self._top_up(self._prefetch)
            await asyncio.wait((self._window[0],))
            # The first one is here, so one more may be asked for, and goes out before the
            # decoding takes the loop. Until it is taken, nothing is lost by cancellation.
            self._top_up(self._prefetch + 1)
            await asyncio.sleep(0)
            page = self._take()
            if page is not None and self._observe(page):
                return page
        raise StopAsyncIteration

    def _top_up(self, size: int) -> None:
        """Ask for as many pages as a window of this size has room for."""
        while len(self._window) < size and self._asked < self._course.horizon:
            self._asked += 1
            self._window.append(self._spawn(_caught(self._fetch_page, self._asked)))

    def _take(self) -> AniPage | None:
        """The first page of the window, or ``None`` if it is missing and may be."""
        task = self._window.popleft()
        number = self._asked - len(self._window)
        if task.cancelled():
            self._stop()
            raise ClientStateError("the client was closed while the listing was read")
        try:
            return _read(task.result())
        except Exception as error:
            if number > 1 and self._skip_unreadable and isinstance(error, _UNREADABLE):
                self._missing.append(error)
                self._course.skip(number)
                return None
            self._stop()
            raise

    def _observe(self, page: AniPage) -> bool:
        is_new = self._course.observe(page)
        self._top_up(self._prefetch)
        if not self._course.goes_on:
            self._cancel()  # what was asked for beyond the end
        return is_new

    def _stop(self) -> None:
        self._course.goes_on = False
        self._cancel()

    def _cancel(self) -> None:
        for task in self._window:
            if not task.get_loop().is_closed():
                task.cancel()
        self._window.clear()

    async def aclose(self) -> None:
        """Stop reading and wait until no task of this stream is left. Safe to call twice."""
        tasks = tuple(self._window)
        self._stop()
        if tasks:
            await asyncio.wait(tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    def __del__(self) -> None:
        self._cancel()


async def _caught(fetch_page: FetchPage, page: int) -> Fetched:
    """An error as a value: a task that nobody asks any more must not complain."""
    try:
        return await fetch_page(page)
    except Exception as error:  # noqa: BLE001 - it is raised where the page's turn comes
        return error


def _read(fetched: Fetched) -> AniPage:
    if isinstance(fetched, Exception):
        raise fetched
    return fetched()


class AniStream(AsyncIterator[Ani]):
    """The numbers of a listing, in page order: an async iterator, and an async context manager.

    Up to ``prefetch`` pages are fetched ahead, concurrently. Leaving the loop early is fine.
    Acting on numbers while they are read shifts the pages under the reader: read the whole
    inventory first, act second.
    """

    def __init__(self, pages: PageStream) -> None:
        self._pages = pages
        self._rows: Iterator[Ani] = iter(())
        self._malformed: list[MalformedRow] = []

    @property
    def malformed(self) -> tuple[MalformedRow, ...]:
        """Rows passed over so far because they could not be understood."""
        return tuple(self._malformed)

    def pages(self) -> PageStream:
        """The same listing page by page, with the envelopes."""
        return self._pages

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Ani:
        while True:
            for row in self._rows:
                return row
            page = await anext(self._pages)
            self._malformed.extend(page.malformed)
            self._rows = iter(page)

    async def aclose(self) -> None:
        """Stop reading and wait until no task of this stream is left. Safe to call twice."""
        await self._pages.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


async def find(fetch_page: FetchPage, page_size: int, ani: str) -> Ani | None:
    """The row of one number, read page after page until it is there.

    Raises:
        ResponseError: A row that cannot be understood may be the one.
    """
    course = Course(page_size)
    unclear: list[MalformedRow] = []
    while course.goes_on:
        page = (await fetch_page(course.horizon))()
        course.observe(page)
        for row in page:
            if is_number(row, ani):
                return row
        unclear.extend(bad for bad in page.malformed if bad.phone is None or is_number(bad, ani))
    if unclear:
        raise ResponseError(f"the row of {ani} cannot be read: {unclear[0]}")
    return None


@attrs.define
class _Pass:
    """One pass over all pages, and the signs of change that it saw."""

    rows: dict[str, Ani] = attrs.field(factory=dict)
    malformed: list[MalformedRow] = attrs.field(factory=list)
    totals: set[int | None] = attrs.field(factory=set)
    missing: tuple[NRMError, ...] = ()
    duplicates: int = 0
    pages: int = 0

    def add(self, page: AniPage) -> None:
        self.pages += 1
        self.totals.add(page.total_anis)
        self.malformed.extend(page.malformed)
        before = len(self.rows)
        for row in page.data:
            self.rows.setdefault(str(row.id), row)
        self.duplicates += len(page.data) - (len(self.rows) - before)

    @property
    def has_drifted(self) -> bool:
        read = len(self.rows) + len(self.malformed)
        return self.duplicates > 0 or bool(self.totals - {None, read})

    @property
    def lacks_rows(self) -> bool:
        """Whether more rows were announced, on every page, than came."""
        known = [total for total in self.totals if total is not None]
        return bool(known) and len(self.rows) + len(self.malformed) < min(known)

    def agrees_with(self, other: "_Pass") -> bool:
        """Whether both passes found the same rows, and all of them."""
        return not (self.missing or other.missing) and self.rows.keys() == other.rows.keys()


async def read_inventory(open_pages: Callable[[], PageStream], on_drift: OnDrift) -> Inventory:
    """Read all pages, and again until two passes agree where that is asked for.

    Raises:
        InventoryDriftError: Two passes did not agree, and ``on_drift`` is ``"raise"``.
    """
    started = asyncio.get_running_loop().time()
    limit = {"report": 1, "raise": 2, "repair": _MAX_PASSES}[on_drift]
    passes: list[_Pass] = []
    consistent = False
    while len(passes) < limit and not consistent:
        passes.append(await _read_all(open_pages()))
        consistent = len(passes) > 1 and passes[-1].agrees_with(passes[-2])
    if on_drift == "raise" and not consistent:
        raise InventoryDriftError(
            f"the inventory changed while it was read: {len(passes[0].rows)} numbers in the "
            f"first pass, {len(passes[-1].rows)} in the second, or other ones"
        )
    return _inventory(
        passes, consistent=consistent, elapsed=asyncio.get_running_loop().time() - started
    )


async def _read_all(pages: PageStream) -> _Pass:
    whole = _Pass()
    async with pages:
        async for page in pages:
            whole.add(page)
        whole.missing = pages.missing
    return whole


def _inventory(passes: list[_Pass], *, consistent: bool, elapsed: float) -> Inventory:
    last = passes[-1]
    return Inventory(
        rows=tuple(last.rows.values()),
        complete=_is_complete(last, consistent=consistent),
        consistent=consistent,
        passes=len(passes),
        pages=sum(one.pages for one in passes),
        duplicates=last.duplicates,
        malformed=tuple(last.malformed),
        missing=last.missing,
        elapsed=elapsed,
    )


def _is_complete(last: _Pass, *, consistent: bool) -> bool:
    if last.malformed or last.missing or last.lacks_rows:
        return False
    return consistent or not last.has_drifted
