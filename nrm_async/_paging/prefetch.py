"""Fetch pages concurrently, ahead of the reader, and return them in order."""

import asyncio
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from types import TracebackType
from typing import Any, Final, Protocol, Self, TypeAlias

from nrm_async._paging.cursor import Cursor
from nrm_async.errors import (
    ClientStateError,
    NRMError,
    RateLimitError,
    RejectedError,
    ResponseError,
    ServerError,
    TransportError,
)
from nrm_async.models import AniPage

DecodePage: TypeAlias = Callable[[], AniPage]


class FetchPage(Protocol):
    """Protocol of the function that fetches a page and returns a function to decode it.

    Decoding is a separate step because it takes milliseconds for a page of 1,000 rows. Each page
    is decoded only when the reader reaches it, so that several pages that arrive together do not
    block the event loop one after the other.
    """

    def __call__(self, page_number: int, page_size: int, /) -> Awaitable[DecodePage]:
        """Fetch a page, numbered from 1, and return a function that decodes it."""


Fetched: TypeAlias = DecodePage | Exception
Spawn: TypeAlias = Callable[[Coroutine[Any, Any, Fetched]], "asyncio.Task[Fetched]"]

# Errors that affect a single page; any other error would affect every page.
_PAGE_ERRORS: Final = (TransportError, ServerError, ResponseError, RateLimitError)


class AsyncResource(ABC):
    """Base class of objects that ``async with`` closes."""

    @abstractmethod
    async def aclose(self) -> None:
        """Stop reading, and wait for the tasks of this stream. May be called more than once."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()


class PageStream(AsyncResource, AsyncIterator[AniPage]):
    """Async iterator over the pages of a listing, in order; also an async context manager.

    Background tasks prefetch a window of pages. Leaving the loop early is safe: the tasks are
    cancelled when the stream is closed or garbage-collected, or when its client is closed. If the
    reader is cancelled, no page is lost, and iteration can continue.

    Example::

        async for page in client.anis().pages():
            print(page.page, len(page), page.total_anis)
    """

    def __init__(
        self,
        fetch_page: FetchPage,
        spawn: Spawn,
        cursor: Cursor,
        *,
        prefetch: int,
        skip_unreadable: bool = False,
    ) -> None:
        self._fetch_page = fetch_page
        self._spawn = spawn
        self._cursor = cursor
        self._prefetch = prefetch
        self._skip_unreadable = skip_unreadable
        self._missing: list[NRMError] = []
        self._window: deque[asyncio.Task[Fetched]] = deque()
        self._requested = 0
        self._is_reading = False

    @property
    def missing(self) -> tuple[NRMError, ...]:
        """The errors of skipped pages; the ``page`` of each error is the page number."""
        return tuple(self._missing)

    @property
    def window(self) -> int:
        """The maximum number of prefetched pages."""
        return self._prefetch

    @property
    def requests(self) -> int:
        """The number of page requests so far, including unsuccessful ones."""
        return self._requested

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
        if not self._requested:
            self._fill_window(self._prefetch)
        while self._cursor.has_more:
            await asyncio.wait((self._window[0],))
            # The first page of the window has arrived, so start another request before decoding
            # blocks the event loop. The page remains in the window until it is decoded, so
            # cancellation does not lose it.
            self._fill_window(self._prefetch + 1)
            await asyncio.sleep(0)  # send the new request
            await asyncio.sleep(0)  # receive data that arrived meanwhile
            page = self._take_head()
            self._fill_window(self._prefetch)  # the last page may have changed
            if page is not None:
                return page
        raise StopAsyncIteration

    def _fill_window(self, size: int) -> None:
        """Prefetch up to this many pages, and cancel pages prefetched past the end."""
        last = min(self._requested - len(self._window) + size, self._cursor.last_page)
        while self._requested < last:
            self._requested += 1
            page_number, page_size = self._cursor.spot(self._requested)
            self._window.append(self._spawn(_fetch(self._fetch_page, page_number, page_size)))
        if not self._cursor.has_more:
            self._cancel_window()

    def _take_head(self) -> AniPage | None:
        """Decode the first page of the window, or return ``None`` if it is skipped or not new."""
        task = self._window.popleft()
        if task.cancelled():
            self._stop()
            raise ClientStateError("the client was closed while the listing was read")
        try:
            fetched = task.result()
            if isinstance(fetched, Exception):
                raise fetched  # noqa: TRY301 - handled like a decoding error
            page = fetched()
        except Exception as error:
            if not self._skip(error):
                self._stop()
                raise
            return None
        return page if self._cursor.observe(page) else None

    def _skip(self, error: Exception) -> bool:
        page_number = self._requested - len(self._window)
        if isinstance(error, RejectedError) and self._cursor.ends_before(page_number, error.status):
            return True
        if not self._skip_unreadable or not isinstance(error, _PAGE_ERRORS):
            return False
        if not self._cursor.skip(page_number):
            return False
        self._missing.append(error)
        return True

    def _stop(self) -> None:
        self._cursor.stop()
        self._cancel_window()

    def _cancel_window(self) -> None:
        for task in self._window:
            if not task.get_loop().is_closed():  # cancelling would raise, maybe in __del__
                task.cancel()
        self._window.clear()

    async def aclose(self) -> None:
        """Stop reading, and wait for the tasks of this stream. May be called more than once."""
        tasks = tuple(self._window)
        self._stop()
        if tasks:
            await asyncio.wait(tasks)

    def __del__(self) -> None:
        self._cancel_window()


async def _fetch(fetch_page: FetchPage, page_number: int, page_size: int) -> Fetched:
    """Return errors as values, so that asyncio does not log abandoned tasks that failed."""
    try:
        return await fetch_page(page_number, page_size)
    except Exception as error:  # noqa: BLE001 - raised when the reader reaches the page
        return error
