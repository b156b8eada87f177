"""Mock transport that calls a function instead of the network."""

import inspect
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import TypeAlias

from nrm_async._context import CallContext
from nrm_async._wire import Request, Response
from nrm_async.errors import NRMError

Reply: TypeAlias = Response | NRMError
Handler: TypeAlias = Callable[[Request], Reply | Awaitable[Reply]]


class MockTransport:
    """Transport that calls a function for each request instead of using the network.

    The rest of the client works as usual, including limits, retries, confirmation and decoding.

    Args:
        handler: A plain or async function, called with each ``Request``. It returns a
            ``Response`` (see ``json_response``), or returns or raises a transport error:
            ``NotSentError`` if nothing was sent, ``TransportError`` if the request may have
            arrived. Any other exception is considered a bug in the test, and
            propagates to the caller.

    Attributes:
        requests: All requests received so far, in order.

    Example:
        >>> import asyncio
        >>> from nrm_async import NRMClient
        >>> def handler(request):
        ...     return json_response({"status": "paused", "ani": request.json["ani"]})
        >>> async def main():
        ...     async with NRMClient("any-key", transport=MockTransport(handler)) as client:
        ...         return await client.pause("(234) 567-8901")
        >>> asyncio.run(main()).status
        'paused'
    """

    most_connections: int | None = None

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[Request] = []

    async def send(self, request: Request, context: CallContext) -> Response | NRMError:
        """Pass the request to the handler, and return its response or error."""
        self.requests.append(request)
        context.attempts += 1
        try:
            answer = self._handler(request)
            reply = await answer if inspect.isawaitable(answer) else answer
        except NRMError as error:
            reply = error.with_traceback(None)
        if isinstance(reply, NRMError):
            return reply
        if not isinstance(reply, Response):
            raise TypeError(
                f"the handler must return a Response or an NRMError, not {type(reply).__name__}"
            )
        if any(name != name.lower() for name in reply.headers):
            headers = {name.lower(): value for name, value in reply.headers.items()}
            return Response(reply.status, reply.body, headers)
        return reply

    async def aclose(self) -> None:
        """Do nothing, because there are no connections."""

    def drop(self) -> None:
        """Do nothing, because there are no connections."""


def json_response(
    payload: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """Return a response with a JSON body.

    Example:
        >>> json_response({"message": "slow down"}, 429, {"Retry-After": "2"}).status
        429
    """
    return Response(status, json.dumps(payload).encode(), headers or {})
