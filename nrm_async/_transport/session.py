"""Create and close the client's own session, and inspect a session passed by the caller."""

import contextlib
import ssl
from typing import TypeAlias

import aiohttp

from nrm_async._transport.connector import Connector
from nrm_async.config import Settings, tls_context

HTTPSession: TypeAlias = aiohttp.ClientSession


def new_session(settings: Settings) -> HTTPSession:
    """Create a session. Call this function inside the event loop that will use the session."""
    context = tls_context(settings.ssl_context, None)  # validated again, because it is mutable
    return aiohttp.ClientSession(
        # No limit: the admission queue limits requests, so that none wait inside aiohttp.
        connector=Connector(limit=0, ssl=True if context is None else context),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def headers_of(settings: Settings) -> dict[str, str]:
    """Return the headers sent with every request, except ``Authorization``."""
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": settings.user_agent,
    }


def verifies_tls(session: HTTPSession) -> bool:
    """Return whether a session verifies certificates and host names."""
    setting = getattr(session.connector, "_ssl", True)  # aiohttp has no public attribute for it
    if isinstance(setting, ssl.SSLContext):
        return setting.verify_mode is not ssl.CERT_NONE and setting.check_hostname
    return setting is not False


def most_connections(session: HTTPSession) -> int | None:
    """Return the session's limit on concurrent connections, or ``None``."""
    connector = session.connector
    if connector is None:
        return None
    limits = [limit for limit in (connector.limit, connector.limit_per_host) if limit]
    return min(limits, default=None)


def drop(session: HTTPSession) -> None:
    """Close the session without waiting, to prevent aiohttp's warning about unclosed sessions."""
    connector = session.connector
    session.detach()
    if connector is not None:
        # The event loop and its sockets may already be closed.
        with contextlib.suppress(RuntimeError):
            connector._close()  # noqa: SLF001 - the public close() must be awaited
