"""Reading the inventory: one page, a stream, the whole, or one number."""

from collections.abc import Callable
from datetime import timedelta

from nrm_async import listing
from nrm_async._wire import MAX_PAGE_SIZE, page_request
from nrm_async.actions import AniLike, normalize_ani, normalize_prefix
from nrm_async.client.base import ClientBase, at_least_one
from nrm_async.errors import InvalidRequestError
from nrm_async.inventory import Inventory
from nrm_async.listing import (
    AniStream,
    InventoryWatch,
    OnDrift,
    OnError,
    OnStreamDrift,
    Source,
)
from nrm_async.models import Ani, AniPage


class Reading(ClientBase):
    """The part of a client that reads."""

    async def list_anis(
        self, *, page: int = 1, page_size: int = MAX_PAGE_SIZE, number: str | None = None
    ) -> AniPage:
        """Read one page of the inventory (``GET /anis``).

        Args:
            page: Which page, from 1.
            page_size: Rows on a page, 1 to 1000.
            number: Only numbers that begin with these digits; punctuation does not matter.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.
            AuthenticationError: The key is missing, invalid or of the wrong type.
            APIError: The API answered with another error, after all retries.
            TransportError: No answer came, after all retries.
            ResponseError: The answer is not a page.

        Example::

            page = await client.list_anis(page_size=100)
            print(page.total_anis, [ani.phone for ani in page])
        """
        return (await self._calls.fetch_page(page, page_size, number, self._flight()))()

    def anis(
        self,
        *,
        number: str | None = None,
        page_size: int = MAX_PAGE_SIZE,
        prefetch: int | None = None,
        on_drift: OnStreamDrift = "report",
    ) -> AniStream:
        """Stream the inventory in page order, fetching pages ahead concurrently.

        Page 1 is read first, then up to ``prefetch`` pages at once. Memory is bounded by that
        window, and leaving the loop early leaks nothing. A stream cannot repair what shifts
        while it is read, so it notices: what it noticed is its ``drift``, and a warning of the
        logger ``nrm_async.listing`` at its end. Acting on numbers while they are read moves
        them under the reader: inventory first, act second.

        Args:
            number: Only numbers that begin with these digits.
            page_size: Rows on a page, 1 to 1000.
            prefetch: Pages in the window; ``None`` takes the client's ``max_concurrency``.
            on_drift: ``"report"`` reads on, ``"raise"`` stops with an ``InventoryDriftError``,
                at the first sign that pages shifted.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.

        While it is read, it raises what ``list_anis`` raises.

        Example::

            stream = client.anis(number="234")
            async for ani in stream:
                print(ani.phone, ani.block_rate)
            print("noticed:", stream.drift)
        """
        _check_choice("on_drift", on_drift, ("report", "raise"))
        pages = self._source(number, page_size, prefetch).pages()
        return AniStream(pages, on_drift, lambda: self._calls.acted)

    async def inventory(
        self,
        *,
        number: str | None = None,
        page_size: int = MAX_PAGE_SIZE,
        on_drift: OnDrift = "repair",
    ) -> Inventory:
        """Read the whole inventory, and know whether it is complete.

        Args:
            number: Only numbers that begin with these digits.
            page_size: Rows on a page, 1 to 1000.
            on_drift: ``"repair"`` reads again until the inventory is known to be complete, at
                most four times: until two passes agree, or pages are shown to fit together
                over all passes and every row that stood throughout is in one. ``"report"``
                reads once. Both hand over what they have, and it tells whether it is
                ``complete``, and which pages are ``missing``. ``"raise"`` reads twice and
                raises if the passes differ or a page cannot be read. A single page is read
                once: one answer is one moment.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.
            InventoryDriftError: Two passes differ and ``on_drift`` is ``"raise"``.
            NRMError: What ``list_anis`` raises.

        Example::

            inventory = await client.inventory()
            print(len(inventory), inventory.complete)
        """
        _check_choice("on_drift", on_drift, ("repair", "report", "raise"))
        source = self._source(number, page_size, None)
        return await listing.read_inventory(source, on_drift)

    def watch(
        self,
        *,
        every: float | timedelta,
        number: str | None = None,
        start: Inventory | None = None,
        page_size: int = MAX_PAGE_SIZE,
        jitter: float = 0.1,
        on_error: OnError | None = None,
    ) -> InventoryWatch:
        """Read the inventory again and again, and say what changed.

        Reads begin ``every`` so many seconds, counted from the begin of the one before; one that
        takes longer is followed at once, never overlapped. Diffs without changes are not given
        out. It ends only when the client closes.

        Args:
            every: Seconds from one read to the next, or a ``timedelta``.
            number: Only numbers that begin with these digits.
            start: An inventory to compare the first read with, such as a saved one; with
                ``number``, what of it begins with these digits. Without it, the first read is
                what the second is compared with.
            page_size: Rows on a page, 1 to 1000.
            jitter: By what share each pause is longer or shorter, at random, so that many
                watches do not read at the same moment; from 0 to below 1.
            on_error: Called with the error of each read that fails, plain or async. Failed
                reads are logged in any case, and the watch goes on.

        Returns:
            An async iterator of ``InventoryDiff``. It has the newest ``inventory``, too.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.

        Example::

            saved = await client.inventory()
            await client.pause("2345678901")
            async for found in client.watch(every=300, start=saved):
                print(len(found.added), "new,", len(found.removed), "gone")
                for change in found.status_changes:
                    print(change)
                break
        """
        page_request(1, page_size, number)  # a bad argument is told now, not at the first read
        if number is not None and isinstance(start, Inventory):
            prefix = normalize_prefix(number)
            start = start.where(lambda ani: ani.phone.startswith(prefix))
        return InventoryWatch(
            lambda: self.inventory(number=number, page_size=page_size),
            every=every,
            start=start,
            jitter=jitter,
            on_error=on_error,
        )

    async def find_ani(self, ani: AniLike) -> Ani | None:
        """Look one number up, exactly; ``None`` if it is not in the inventory.

        The API's filter is a prefix, so longer numbers may match it; they are passed over.

        Raises:
            InvalidRequestError: ``ani`` is no phone number; nothing was sent.
            NRMError: What ``list_anis`` raises.

        Example::

            ani = await client.find_ani("+1 (234) 567-8901")
            print(ani.status_label if ani else "not ours")
        """
        return await self._calls.find(normalize_ani(ani), self._flight)

    def _source(self, number: str | None, page_size: int, prefetch: int | None) -> Source:
        page_request(1, page_size, number)  # a bad argument is told now, not at the first row

        async def fetch(page: int, size: int) -> Callable[[], AniPage]:
            return await self._calls.fetch_page(page, size, number, self._flight())

        at_once = at_least_one("prefetch", prefetch, self._settings.max_concurrency)
        return Source(fetch, self._session.spawn, page_size, at_once, self.find_ani)


def _check_choice(name: str, value: object, choices: tuple[str, ...]) -> None:
    if value not in choices:
        *others, last = map(repr, choices)
        raise InvalidRequestError(f"{name} must be {', '.join(others)} or {last}, not {value!r}")
