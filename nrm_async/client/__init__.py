"""The client: the public face over the session, the listing and the batch rooms.

It checks what callers ask for and says it in the other rooms' terms; it decides nothing about
retries, paging or outcomes itself.

::

    base      settings, lifecycle, and what the other three share
    reading   pages, streams, inventories, single numbers
    acting    one action on one number
    batches   actions on many numbers
    client    all of it: NRMClient
"""

from nrm_async.client.client import NRMClient

__all__ = ["NRMClient"]
