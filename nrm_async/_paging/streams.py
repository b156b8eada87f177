"""Stream rows in page order, detecting rows that shift between pages."""

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Final, Literal, Self, TypeAlias

from nrm_async._paging.drift import Drift, DriftDetector
from nrm_async._paging.prefetch import AsyncResource, PageStream
from nrm_async._validation import check_choice
from nrm_async.errors import InventoryDriftError
from nrm_async.models import Ani, MalformedRow

OnStreamDrift: TypeAlias = Literal["report", "raise"]

_log: Final = logging.getLogger("nrm_async.listing")


class AniStream(AsyncResource, AsyncIterator[Ani]):
    """Async iterator over the rows of a listing, in page order; also an async context manager.

    Up to ``prefetch`` pages are fetched ahead, concurrently. Leaving the loop early is safe. A
    stream can be iterated only once.

    A stream cannot repair the effects of rows that shift during the read, but it detects many
    shifts: see ``drift``. If it detects any, it logs a warning at its end with the logger
    ``nrm_async.listing``. Acting on numbers during the stream, as in
    ``pause_many(client.anis())``, shifts rows on the pages that have not been read yet: read the
    inventory first, then act.

    Args:
        pages: The stream of pages to read.
        on_drift: What to do at the first sign of drift: ``"report"`` continues, ``"raise"``
            raises ``InventoryDriftError``.
        action_count: Function that returns the number of actions the client has sent so far.

    Raises:
        InventoryDriftError: While iterating, if ``on_drift`` is ``"raise"``.

    Example::

        async with client.anis(number="234") as stream:
            async for ani in stream:
                print(ani.phone)
    """

    def __init__(
        self,
        pages: PageStream,
        on_drift: OnStreamDrift = "report",
        action_count: Callable[[], int] = int,
    ) -> None:
        self._pages = pages
        self._on_drift = check_choice("on_drift", on_drift, ("report", "raise"))
        self._action_count = action_count
        self._actions_before: int | None = None
        self._has_reported = False
        self._detector = DriftDetector(pages.window + 1)
        self._rows: Iterator[Ani] = iter(())
        self._malformed: list[MalformedRow] = []

    @property
    def malformed(self) -> tuple[MalformedRow, ...]:
        """The rows skipped so far because they could not be decoded."""
        return tuple(self._malformed)

    @property
    def drift(self) -> Drift:
        """The signs so far that the listing changed during the read."""
        return self._detector.drift

    def pages(self) -> PageStream:
        """Return the underlying stream of pages, which does not detect drift."""
        return self._pages

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Ani:
        while True:
            for row in self._rows:
                return row
            self._rows = iter(await self._next_rows())

    async def _next_rows(self) -> tuple[Ani, ...]:
        if self._actions_before is None:
            self._actions_before = self._action_count()
        try:
            page = await anext(self._pages)
        except StopAsyncIteration:
            self._detector.end()
            self._report_drift()
            raise
        rows = self._detector.observe(page)
        if self._action_count() != self._actions_before and self._detector.record_action():
            _log.warning(
                "actions are sent while numbers are streamed, which shifts the pages under the "
                "stream: read the inventory first, act second"
            )
        if self._on_drift == "raise" and self.drift:
            await self.aclose()
            self._report_drift()
        self._malformed.extend(page.malformed)
        return rows

    def _report_drift(self) -> None:
        """Log the drift once, if there is any, and raise it if requested."""
        drift = self.drift
        if not drift or self._has_reported:
            return
        self._has_reported = True
        text = f"the listing changed while it was streamed: {drift}"
        _log.warning(text)
        if self._on_drift == "raise":
            raise InventoryDriftError(text)

    async def aclose(self) -> None:
        """Stop reading, and wait for the tasks of this stream. May be called more than once."""
        await self._pages.aclose()
