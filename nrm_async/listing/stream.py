"""Pages and rows, fetched ahead by plain tasks and given out in order."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Final, Literal, Self, TypeAlias

from nrm_async.errors import (
    ClientStateError,
    InventoryDriftError,
    NRMError,
    RateLimitError,
    ResponseError,
    ServerError,
    TransportError,
)
from nrm_async.listing.course import Course, Spots
from nrm_async.listing.drift import Drift, Noticer
from nrm_async.models import Ani, AniPage, MalformedRow

ReadPage: TypeAlias = Callable[[], AniPage]
FetchPage: TypeAlias = Callable[[int], Awaitable[ReadPage]]
Fetched: TypeAlias = ReadPage | Exception
Spawn: TypeAlias = Callable[[Coroutine[Any, Any, Fetched]], "asyncio.Task[Fetched]"]

OnStreamDrift: TypeAlias = Literal["report", "raise"]

_log: Final = logging.getLogger("nrm_async.listing")

# What befalls one page and not all of them.
_UNREADABLE: Final = (TransportError, ServerError, ResponseError, RateLimitError)


class _Closing(ABC):
    """Closes itself at the end of ``async with``."""

    @abstractmethod
    async def aclose(self) -> None:
        """Stop reading and wait until no task of this stream is left. Safe to call twice."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


class PageStream(_Closing, AsyncIterator[AniPage]):
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
        course: Course | Spots | None = None,
    ) -> None:
        self._fetch_page = fetch_page
        self._spawn = spawn
        self._prefetch = prefetch
        self._skip_unreadable = skip_unreadable
        self._missing: list[NRMError] = []
        self._course = course or Course(page_size)
        self._window: deque[asyncio.Task[Fetched]] = deque()
        self._asked = 0
        self._is_reading = False

    @property
    def missing(self) -> tuple[NRMError, ...]:
        """Why pages are missing, if any are; each error tells its ``page``."""
        return tuple(self._missing)

    @property
    def window(self) -> int:
        """Most pages fetched ahead."""
        return self._prefetch

    @property
    def requests(self) -> int:
        """Pages asked for so far, answered or not."""
        return self._asked

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
            await asyncio.sleep(0)  # what came meanwhile is read in a round of its own
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
            if self._can_skip(number) and isinstance(error, _UNREADABLE):
                self._missing.append(error)
                self._course.skip(number)
                return None
            self._stop()
            raise

    def _can_skip(self, number: int) -> bool:
        return self._skip_unreadable and self._course.may_miss(number)

    def _observe(self, page: AniPage) -> bool:
        is_new = self._course.observe(page)
        self._top_up(self._prefetch)
        if not self._course.goes_on:
            self._cancel()  # what was asked for beyond the end
        return is_new

    def _stop(self) -> None:
        self._course.stop()
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


class AniStream(_Closing, AsyncIterator[Ani]):
    """The numbers of a listing, in page order: an async iterator, and an async context manager.

    Up to ``prefetch`` pages are fetched ahead, concurrently. Leaving the loop early is fine.

    A stream cannot repair what shifts under it, so it notices: see ``drift``. What it noticed is
    logged as a warning at its end too, by the logger ``nrm_async.listing``. Acting on numbers
    while they are read, as in ``pause_many(client.anis())``, shifts the pages under the reader:
    read the inventory first, act second.

    Args:
        pages: The pages to take the rows from.
        on_drift: ``"report"`` notices and reads on; ``"raise"`` stops at the first sign.
        acted: How many actions the client has sent so far.

    Raises:
        InventoryDriftError: While it is read, if ``on_drift`` is ``"raise"``.
    """

    def __init__(
        self,
        pages: PageStream,
        on_drift: OnStreamDrift = "report",
        acted: Callable[[], int] = int,
    ) -> None:
        self._pages = pages
        self._on_drift = on_drift
        self._acted = acted
        self._acted_before: int | None = None
        self._has_told = False
        self._noticer = Noticer(pages.window + 1)
        self._rows: Iterator[Ani] = iter(())
        self._malformed: list[MalformedRow] = []

    @property
    def malformed(self) -> tuple[MalformedRow, ...]:
        """Rows passed over so far because they could not be understood."""
        return tuple(self._malformed)

    @property
    def drift(self) -> Drift:
        """What was noticed of pages that shift, so far; at the end of the stream, in all."""
        return self._noticer.drift

    def pages(self) -> PageStream:
        """The same listing page by page, with the envelopes; drift is not noticed there."""
        return self._pages

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Ani:
        while True:
            for row in self._rows:
                return row
            page = await self._next_page()
            self._malformed.extend(page.malformed)
            self._rows = iter(self._noticer.first_time(page.data))

    async def _next_page(self) -> AniPage:
        if self._acted_before is None:
            self._acted_before = self._acted()
        try:
            page = await anext(self._pages)
        except StopAsyncIteration:
            self._noticer.end()
            self._tell()
            raise
        self._noticer.observe(page)
        self._look_for_actions()
        if self.drift and self._on_drift == "raise":
            await self.aclose()
            self._tell()
        return page

    def _look_for_actions(self) -> None:
        """Say it when the reader acts on what is still being read."""
        if self._acted() != self._acted_before and self._noticer.see_action():
            _log.warning(
                "actions are sent while numbers are streamed, which shifts the pages under the "
                "stream: read the inventory first, act second"
            )

    def _tell(self) -> None:
        """Say what was noticed, once."""
        if not self.drift or self._has_told:
            return
        self._has_told = True
        text = f"the listing changed while it was streamed: {self.drift}"
        _log.warning(text)
        if self._on_drift == "raise":
            raise InventoryDriftError(text)

    async def aclose(self) -> None:
        """Stop reading and wait until no task of this stream is left. Safe to call twice."""
        await self._pages.aclose()
