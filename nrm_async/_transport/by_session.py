"""The path through aiohttp's session, with all that it has to offer."""

from typing import Final

import aiohttp

from nrm_async._transport.body import READ_AHEAD, read_body
from nrm_async._transport.progress import Progress, in_progress
from nrm_async._transport.scrub import Scrubber
from nrm_async._transport.session import headers_of
from nrm_async._wire import Request, Response
from nrm_async.config import Settings
from nrm_async.errors import NRMError


class SessionPath:
    """Exchanges through a session's public ``request``: what proxies, tracing and mocks need."""

    def __init__(
        self, settings: Settings, session: aiohttp.ClientSession, timeout: aiohttp.ClientTimeout
    ) -> None:
        self._session = session
        self._timeout = timeout
        self._base_url: Final = settings.base_url
        self._proxy: Final = settings.proxy
        self._headers = {"Authorization": settings.api_key.header, **headers_of(settings)}

    async def exchange(
        self, request: Request, progress: Progress, scrub: Scrubber
    ) -> Response | NRMError:
        """Send once and read the answer to its end; exceptions are aiohttp's own."""
        progress.flight.is_exposed = True  # until our own connector knows better
        in_progress.set(progress)
        # aiohttp itself repeats a read whose connection died under it: that counts too.
        tracker = aiohttp.UploadTracker() if request.repeatable else None
        try:
            return await self._exchange(request, progress, scrub, tracker)
        finally:
            in_progress.set(None)
            if tracker is not None and tracker.attempts > 1:
                progress.flight.attempts += tracker.attempts - 1

    async def _exchange(
        self,
        request: Request,
        progress: Progress,
        scrub: Scrubber,
        tracker: aiohttp.UploadTracker | None,
    ) -> Response | NRMError:
        async with self._session.request(
            request.method,
            self._base_url + request.path,
            params=request.query,
            data=request.body,
            headers=self._headers,
            timeout=self._timeout,
            proxy=self._proxy,
            allow_redirects=False,
            raise_for_status=False,
            read_bufsize=READ_AHEAD,
            upload_tracker=tracker,
            # A lent session's middlewares might send an action twice, and nobody would know.
            middlewares=None if request.repeatable else (),
        ) as answer:
            progress.status = answer.status
            body = await read_body(answer.content, request, answer.status)
            if isinstance(body, NRMError):
                answer.close()
                return body
            return scrub.response(answer.status, body, answer.headers)
