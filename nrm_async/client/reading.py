"""Reading the inventory: one page, a stream, the whole, or one number."""

from collections.abc import Callable

from nrm_async import listing
from nrm_async._wire import MAX_PAGE_SIZE, page_request
from nrm_async.actions import AniLike, normalize_ani
from nrm_async.client.base import ClientBase, at_least_one
from nrm_async.errors import InvalidRequestError
from nrm_async.inventory import Inventory
from nrm_async.listing import AniStream, OnDrift, Source
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
    ) -> AniStream:
        """Stream the inventory in page order, fetching pages ahead concurrently.

        Page 1 is read first, then up to ``prefetch`` pages at once. Memory is bounded by that
        window, and leaving the loop early leaks nothing. A stream cannot repair what shifts
        while it is read: act on an ``inventory()``, not on a stream.

        Args:
            number: Only numbers that begin with these digits.
            page_size: Rows on a page, 1 to 1000.
            prefetch: Pages in the window; ``None`` takes the client's ``max_concurrency``.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.

        While it is read, it raises what ``list_anis`` raises.

        Example::

            async for ani in client.anis(number="234"):
                print(ani.phone, ani.block_rate)
        """
        return AniStream(self._source(number, page_size, prefetch).pages())

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
            on_drift: ``"repair"`` reads all pages until two passes agree, at most four;
                ``"report"`` reads once. Both hand over what they have, and it tells whether it
                is ``complete``, and which pages are ``missing``. ``"raise"`` reads twice and
                raises if the passes differ or a page cannot be read.

        Raises:
            InvalidRequestError: An argument breaks its rule; nothing was sent.
            InventoryDriftError: Two passes differ and ``on_drift`` is ``"raise"``.
            NRMError: What ``list_anis`` raises.

        Example::

            inventory = await client.inventory()
            print(len(inventory), inventory.complete)
        """
        if on_drift not in ("repair", "report", "raise"):
            raise InvalidRequestError(
                f"on_drift must be 'repair', 'report' or 'raise', not {on_drift!r}"
            )

        source = self._source(number, page_size, None)
        return await listing.read_inventory(source, on_drift)

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
