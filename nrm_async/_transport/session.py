"""How a session of our own is made and dropped, and whether another's is safe."""

import contextlib
import ssl
from typing import TypeAlias

import aiohttp

from nrm_async._transport.connector import Connector
from nrm_async.config import Settings, tls_context

HTTPSession: TypeAlias = aiohttp.ClientSession


def new_session(settings: Settings) -> HTTPSession:
    """A session of our own. Must be called inside the event loop that uses it."""
    context = tls_context(settings.ssl_context, None)  # it may have been weakened meanwhile
    return aiohttp.ClientSession(
        # No limit: the pool admits, and nothing may queue inside aiohttp.
        connector=Connector(limit=0, ssl=True if context is None else context),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


def headers_of(settings: Settings) -> dict[str, str]:
    """What every request says of itself, but for the key."""
    return {
        "Content-Type": "application/json",
        "Accept": "application/json",
        "User-Agent": settings.user_agent,
    }


def verifies_tls(session: HTTPSession) -> bool:
    """Whether a session of the caller's checks certificates and host names."""
    setting = getattr(session.connector, "_ssl", True)  # there is no public way to ask
    if isinstance(setting, ssl.SSLContext):
        return setting.verify_mode is not ssl.CERT_NONE and setting.check_hostname
    return setting is not False


def most_connections(session: HTTPSession) -> int | None:
    """How many connections a session allows at once, if it sets a limit."""
    connector = session.connector
    if connector is None:
        return None
    limits = [limit for limit in (connector.limit, connector.limit_per_host) if limit]
    return min(limits, default=None)


def drop(session: HTTPSession) -> None:
    """Close without waiting: however the client is lost, aiohttp has nothing to complain of."""
    connector = session.connector
    session.detach()
    if connector is not None:
        # Its loop may be closed already, and its sockets with it.
        with contextlib.suppress(RuntimeError):
            connector._close()  # noqa: SLF001 - the public close() must be awaited
