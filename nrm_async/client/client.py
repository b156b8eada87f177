"""``NRMClient``: reading, acting and batches in one."""

from nrm_async.client.acting import Acting
from nrm_async.client.batches import Batches
from nrm_async.client.reading import Reading


class NRMClient(Reading, Acting, Batches):
    """An async session manager for the NRM API.

    All requests of one client, listings, single actions and batches together, share one pool
    of ``max_concurrency`` places and one HTTP session, which is opened by the first request
    and belongs to the event loop that made it. Close the client with ``async with`` or
    ``aclose()``.

    Args:
        api_key: The API key; ``None`` reads ``OUTBOUNDIQ_API_KEY``. It is shown nowhere.
        base_url: Where the API is; ``None`` reads ``NRM_BASE_URL``, else it is the vendor's.
            https only, except to a loopback host.
        max_concurrency: Most requests in flight at once, over the whole client.
        max_rate: Most requests a second, from the first one on; ``None`` sets no such limit.
        timeout: Seconds for one attempt, from its admission to the pool, or ``Timeouts``.
        retry: When to try again; ``None`` takes the defaults of ``RetryPolicy``.
        session: An aiohttp session of yours to send with, with its own cookies and connector,
            whose limit of connections counts too; it is never closed here.
        user_agent: Appended to the ``User-Agent`` header, as in ``"dialer/2.1"``.
        proxy: URL of an HTTP proxy. Proxy variables of the environment are not read.
        confirm: How the truth about a lost answer is looked for; ``None`` takes the defaults
            of ``ConfirmPolicy``.
        on_unknown: What to do if the answer to an action is lost: ``"confirm"`` by reading the
            number back, or ``"report"`` at once.
        ssl_context: A TLS context of yours; it must verify. There is no way not to verify.
        ca_bundle: A file of PEM certificates to verify with instead of the system's.
        on_event: Called with each event of ``nrm_async.events``, in the event loop: a plain
            function, and a quick one. What it raises is logged and ignored.

    Raises:
        ConfigurationError: A setting breaks its rule; the message names it.

    Example::

        async with NRMClient() as client:
            inventory = await client.inventory()
            report = await client.pause_many(
                ani for ani in inventory if ani.is_active and ani.is_blocked_at(25, min_dials=200)
            )
            print(report.counts)

    Source: NRM API documentation (v2), "Authentication" and the page of each endpoint.
    """
