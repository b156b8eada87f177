"""Client with a stub transport, to measure the client without a network."""

import asyncio
import json
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar

import attrs
import looptime

from benchmarks.servers import Server
from nrm_async import NRMClient, NRMError
from nrm_async._context import CallContext
from nrm_async._wire import Request, Response

T = TypeVar("T")
Exchange: TypeAlias = Callable[[Request], Awaitable[Response | NRMError]]

WORDS = {"/pause": "paused", "/activate": "active", "/remediate": "received request"}


def applied(request: Request) -> Response:
    """Return a response that applies an action, or an empty page for a read."""
    if request.body is None:
        return Response(200, b'{"count":0,"total_anis":0,"total_pages":0,"data":[]}')
    ani = json.loads(request.body)["ani"]
    return Response(
        200, b'{"status":"%s","ani":"%s"}' % (WORDS[request.path].encode(), ani.encode())
    )


def too_many(retry_after: int | None) -> Response:
    """Return a 429, optionally with a ``Retry-After`` in seconds."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(429, b'{"message":"too many requests"}', headers)


class StubTransport:
    """Transport that calls a function for each request, and counts attempts."""

    most_connections: int | None = None

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def send(self, request: Request, context: CallContext) -> Response | NRMError:
        """Pass the request to the function and return its response or error."""
        context.attempts += 1
        context.maybe_sent = True
        answer = await self._exchange(request)
        context.maybe_sent = isinstance(answer, NRMError) and answer.maybe_applied
        return answer

    async def aclose(self) -> None:
        """Do nothing, because there are no connections."""

    def drop(self) -> None:
        """Do nothing, because there are no connections."""


@asynccontextmanager
async def stubbed(exchange: Exchange, **settings: Any) -> AsyncIterator[NRMClient]:
    """Open a client whose requests go to ``exchange``."""
    transport = StubTransport(exchange)
    async with NRMClient("a-key-of-the-benchmarks", transport=transport, **settings) as nrm:
        yield nrm


@attrs.define
class Limited:
    """Server with a limit and a latency that records accepted and refused calls.

    Attributes:
        server: The limit.
        latency: Seconds until each response.
        names_a_time: Whether refusals have a ``Retry-After``, in whole seconds.
        accepted: Event loop time of each accepted call.
        refused: Number of refused calls.
    """

    server: Server
    latency: float
    names_a_time: bool
    accepted: list[float] = attrs.field(factory=list)
    refused: int = 0
    _inside: int = 0

    async def __call__(self, request: Request) -> Response:
        """Accept or refuse a request, and respond after the latency."""
        now = asyncio.get_running_loop().time()
        wait = self.server(now, self._inside)
        if wait is not None:
            self.refused += 1
            await asyncio.sleep(self.latency)
            return too_many(max(1, math.ceil(wait)) if self.names_a_time else None)
        self._inside += 1
        try:
            await asyncio.sleep(self.latency)
        finally:
            self._inside -= 1
        self.accepted.append(now)
        return applied(request)

    @property
    def refused_share(self) -> float:
        """Share of refusals among all responses."""
        return self.refused / max(1, self.refused + len(self.accepted))


def on_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on an event loop with virtual time, with seeded jitter."""
    random.seed(1)
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        return runner.run(work)
