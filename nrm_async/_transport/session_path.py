"""Send requests through an aiohttp session, with all of its features."""

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from nrm_async._context import CallContext
from nrm_async._transport.body import READ_AHEAD, read_body
from nrm_async._transport.compat import sends_through_aiohttp, unaccepted
from nrm_async._transport.connector import current_call
from nrm_async._transport.redact import Redactor
from nrm_async._transport.session import headers_of
from nrm_async._wire import Request, Response
from nrm_async.config import Settings
from nrm_async.errors import NotSentError, NRMError

# Arguments to omit if a session, subclassed or patched for an older aiohttp, does not accept them.
_OPTIONAL: Final = {"upload_tracker", "read_bufsize"}


class SessionPath:
    """Sender that uses ``session.request()``, which supports proxies, tracing and mocks."""

    def __init__(
        self, settings: Settings, session: aiohttp.ClientSession, timeout: aiohttp.ClientTimeout
    ) -> None:
        self._session = session
        self._timeout = timeout
        self._base_url: Final = settings.base_url
        self._proxy: Final = settings.proxy
        self._headers = {"Authorization": settings.api_key.header, **headers_of(settings)}

    async def exchange(
        self, request: Request, context: CallContext, redact: Redactor
    ) -> Response | NRMError:
        """Send the request once and read the whole response; aiohttp's exceptions propagate."""
        # Counts how often aiohttp sends: aiohttp repeats a read if the connection is lost.
        tracker = aiohttp.UploadTracker()
        options = self._options(request, tracker)
        refused = unaccepted(self._session, options)
        if needed := refused - _OPTIONAL:
            context.maybe_sent = False
            error = NotSentError(
                f"the session's request() does not take {', '.join(sorted(needed))}"
            )
            error.permanent = True
            return error
        context.maybe_sent = True  # until our own connector reports otherwise
        current_call.set(context)
        try:
            return await self._exchange(
                request,
                context,
                redact,
                {name: value for name, value in options.items() if name not in refused},
            )
        finally:
            current_call.set(None)
            if tracker.attempts > 1:
                context.attempts += tracker.attempts - 1
            elif not tracker.attempts and sends_through_aiohttp(self._session):
                context.maybe_sent = False  # for example, a trace hook raised or a recorder refused

    def _options(self, request: Request, tracker: aiohttp.UploadTracker) -> dict[str, Any]:
        options: dict[str, Any] = {
            "params": request.query,
            "data": request.body,
            "headers": self._headers,
            "timeout": self._timeout,
            "proxy": self._proxy,
            "allow_redirects": False,
            "raise_for_status": False,
            "read_bufsize": READ_AHEAD,
            "upload_tracker": tracker,
        }
        if not request.safe and getattr(self._session, "_middlewares", True):
            options["middlewares"] = ()  # the caller's middlewares might send an action twice
        return options

    async def _exchange(
        self, request: Request, context: CallContext, redact: Redactor, options: Mapping[str, Any]
    ) -> Response | NRMError:
        url = self._base_url + request.path
        async with self._session.request(request.method, url, **options) as response:
            context.status = response.status
            body = await read_body(response.content, request, response.status)
            if isinstance(body, NRMError):
                response.close()
                return body
            return redact.response(response.status, body, response.headers)
