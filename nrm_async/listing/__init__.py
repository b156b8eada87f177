"""Concurrent pages, given out in order: what reads ``GET /anis`` from the first page to the last.

A callable that fetches one page comes in; pages, rows or a whole inventory come out. Page 1 is
read first, because it announces the rest; then a window of pages is fetched ahead, and topped
up as pages are taken from it, so memory is bounded by the window. Where the listing ends is
decided by ``Course``, which has no I/O.

What is fetched is decoded only when its turn comes. Decoding a page of 1,000 rows takes
milliseconds: pages that arrive together neither block the event loop in a row nor hold up the
requests for the pages behind them.

::

    course   how far to read, and when to end: no I/O
    drift    what a stream can notice of pages that shift: no I/O
    stream   pages and rows, fetched ahead and given out in order
    source   opens such streams: over all pages, or over single spots
    reading  one pass: rows by id, where each was seen, what was odd: no I/O
    seams    whether pages fit together, shown from what is on them: no I/O
    merge    every row as it was last seen: no I/O
    whole    a whole inventory, read until it is known to be complete
    one      one number
    watch    an inventory read again and again: what changed each time
"""

from nrm_async.listing.course import Course
from nrm_async.listing.drift import Drift
from nrm_async.listing.one import find
from nrm_async.listing.source import Source
from nrm_async.listing.stream import AniStream, OnStreamDrift, PageStream
from nrm_async.listing.watch import InventoryWatch, OnError
from nrm_async.listing.whole import OnDrift, read_inventory

__all__ = [
    "AniStream",
    "Course",
    "Drift",
    "InventoryWatch",
    "OnDrift",
    "OnError",
    "OnStreamDrift",
    "PageStream",
    "Source",
    "find",
    "read_inventory",
]
