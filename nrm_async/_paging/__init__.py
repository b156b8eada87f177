"""Read all pages of ``GET /anis``, as a stream of pages or rows, or as a whole inventory.

The caller provides the I/O by implementing the ``FetchPage`` protocol. Page 1 is read first,
because it announces the number of pages. Then a window of pages is prefetched and refilled as
pages are consumed, so memory use is bounded by the window. Each page is decoded only when the
reader reaches it.

::

    cursor    selection of the pages to request, and detection of the end; no I/O
    prefetch  stream of pages in order, fetched ahead of the reader
    drift     detection of rows that shift between pages during a read; no I/O
    streams   stream of rows in page order
    pages     streams over all pages or single pages, and look-up of one number
    order     detection of a server-side sort by a unique key; no I/O
    overlap   chain of overlapping pages, in which no row is lost; no I/O
    proof     proofs that an inventory is complete, and explanations if there is none; no I/O
    snapshot  reading of a whole inventory until it is proven complete
    watch     periodic reading of an inventory, and its changes
"""

from nrm_async._paging.drift import Drift
from nrm_async._paging.pages import PageSource, find
from nrm_async._paging.prefetch import DecodePage, FetchPage, PageStream
from nrm_async._paging.snapshot import OnDrift, read_inventory
from nrm_async._paging.streams import AniStream, OnStreamDrift
from nrm_async._paging.watch import InventoryWatch, OnError

__all__ = [
    "AniStream",
    "DecodePage",
    "Drift",
    "FetchPage",
    "InventoryWatch",
    "OnDrift",
    "OnError",
    "OnStreamDrift",
    "PageSource",
    "PageStream",
    "find",
    "read_inventory",
]
