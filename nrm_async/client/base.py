"""What every part of the client stands on: settings, lifecycle, deadlines."""

import asyncio
import os
import ssl
from types import TracebackType
from typing import Self

from nrm_async._calls import Calls
from nrm_async._flight import Flight
from nrm_async._session import ClientState, Session
from nrm_async._transport import HTTPSession, verifies_tls
from nrm_async.config import (
    ApiKey,
    ConfirmPolicy,
    OnUnknown,
    RetryPolicy,
    Settings,
    Timeouts,
    check_on_unknown,
)
from nrm_async.errors import ConfigurationError, InvalidRequestError
from nrm_async.events import Events, Observer, check_observer
from nrm_async.stats import ClientStats


class ClientBase:
    """Settings and lifecycle of a client."""

    def __init__(
        self,
        api_key: str | None = None,
        *,
        base_url: str | None = None,
        max_concurrency: int = 16,
        max_rate: float | None = None,
        timeout: float | Timeouts = 30.0,
        retry: RetryPolicy | None = None,
        session: HTTPSession | None = None,
        user_agent: str | None = None,
        proxy: str | None = None,
        confirm: ConfirmPolicy | None = None,
        on_unknown: OnUnknown = "confirm",
        ssl_context: ssl.SSLContext | None = None,
        ca_bundle: str | os.PathLike[str] | None = None,
        on_event: Observer | None = None,
    ) -> None:
        # From here on no frame holds the bare key: tracebacks may be shown with their locals.
        key = ApiKey.take(api_key)
        del api_key
        if isinstance(key, ConfigurationError):
            raise key
        self._settings = Settings.resolve(
            key,
            base_url=base_url,
            max_concurrency=max_concurrency,
            max_rate=max_rate,
            timeout=timeout,
            retry=retry,
            confirm=confirm,
            on_unknown=on_unknown,
            proxy=proxy,
            user_agent=user_agent,
            ssl_context=ssl_context,
            ca_bundle=ca_bundle,
        )
        lent = _usable(session, self._settings)
        self._session = Session(self._settings, lent, Events(check_observer(on_event)))
        self._calls = Calls(self._session, self._settings.confirm)

    def __repr__(self) -> str:
        if not hasattr(self, "_session"):  # a traceback may show one that was refused
            return "<NRMClient, not made>"
        settings = self._settings
        return (
            f"<NRMClient {settings.base_url} max_concurrency={settings.max_concurrency} "
            f"{self.state.value}>"
        )

    @property
    def state(self) -> ClientState:
        """Where the client is in its life: unopened, opened or closed."""
        return self._session.state

    def stats(self) -> ClientStats:
        """What the client is doing at this moment, and what it has done so far: a snapshot.

        It costs little, and may be taken before the first call and after the last.

        Example::

            stats = client.stats()
            print(stats.in_flight, "in flight,", stats.waiting, "waiting,", stats.outcomes)
        """
        return self._session.stats()

    async def __aenter__(self) -> Self:
        self._session.enter()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections and end what is still being read. Safe to call twice."""
        await self._session.aclose()

    def _on_unknown(self, value: OnUnknown | None) -> OnUnknown:
        return self._settings.on_unknown if value is None else check_on_unknown(value)

    def _flight(self) -> Flight:
        return Flight(self._deadline())

    def _deadline(self) -> float | None:
        limit = self._settings.timeouts.call
        return None if limit is None else asyncio.get_running_loop().time() + limit


def _usable(session: HTTPSession | None, settings: Settings) -> HTTPSession | None:
    if session is None:
        return None
    if not isinstance(session, HTTPSession):
        raise ConfigurationError(
            f"session must be an aiohttp.ClientSession, not {type(session).__name__}"
        )
    if getattr(session, "auth", None) is not None:  # aiohttp 4 drops it
        raise ConfigurationError("session must not have auth of its own: the API key is sent")
    if settings.ssl_context is not None:
        raise ConfigurationError("ssl_context and ca_bundle belong to the session's own connector")
    if not verifies_tls(session):
        raise ConfigurationError("session must verify TLS: the key would go to anybody")
    return session


def at_least_one(name: str, value: object, default: int) -> int:
    """The number, or the default where it is left out; refused if it is below 1."""
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InvalidRequestError(f"{name} must be a whole number of at least 1, not {value!r}")
    return value
