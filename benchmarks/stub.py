"""A client over a stub transport: all of the client's own work, and no network."""

import asyncio
import json
import math
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeAlias, TypeVar
from unittest import mock

import attrs
import looptime

from benchmarks.servers import Server
from nrm_async import NRMClient, NRMError
from nrm_async._flight import Flight
from nrm_async._wire import Request, Response

T = TypeVar("T")
Exchange: TypeAlias = Callable[[Request], Awaitable[Response | NRMError]]

WORDS = {"/pause": "paused", "/activate": "active", "/remediate": "received request"}


def applied(request: Request) -> Response:
    """The answer that an action is given which is applied; a page without rows for a read."""
    if request.body is None:
        return Response(200, b'{"count":0,"total_anis":0,"total_pages":0,"data":[]}')
    ani = json.loads(request.body)["ani"]
    return Response(
        200, b'{"status":"%s","ani":"%s"}' % (WORDS[request.path].encode(), ani.encode())
    )


def too_many(retry_after: int | None) -> Response:
    """A 429, with a ``Retry-After`` of so many seconds or without."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Response(429, b'{"message":"too many requests"}', headers)


class StubTransport:
    """Stands where the real one would, and keeps the same books of each attempt."""

    most_connections: int | None = None

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange

    async def send(self, request: Request, flight: Flight) -> Response | NRMError:
        """Exchange one request for its answer."""
        flight.attempts += 1
        flight.is_exposed = True
        answer = await self._exchange(request)
        flight.is_exposed = isinstance(answer, NRMError) and answer.maybe_applied
        return answer

    async def aclose(self) -> None:
        """Nothing is open."""

    def drop(self) -> None:
        """And nothing to drop."""


@asynccontextmanager
async def stubbed(exchange: Exchange, **settings: Any) -> AsyncIterator[NRMClient]:
    """A client whose requests go to ``exchange``."""
    where = "nrm_async._session.network.Transport"
    with mock.patch(where, return_value=StubTransport(exchange)):
        async with NRMClient("a-key-of-the-benchmarks", **settings) as nrm:
            yield nrm


@attrs.define
class Limited:
    """A server with a limit behind some latency, and its books.

    Attributes:
        server: What it takes.
        latency: Seconds until any answer.
        names_a_time: Whether it says ``Retry-After``, in whole seconds.
        accepted: When each call was accepted, by the loop's clock.
        refused: Calls refused.
    """

    server: Server
    latency: float
    names_a_time: bool
    accepted: list[float] = attrs.field(factory=list)
    refused: int = 0
    _inside: int = 0

    async def __call__(self, request: Request) -> Response:
        """Take a request or turn it away; the answer comes after the latency."""
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
        """Refusals among all answers."""
        return self.refused / max(1, self.refused + len(self.accepted))


def on_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run it on an event loop where waiting takes no time, with the same jitter each time."""
    random.seed(1)
    with asyncio.Runner(loop_factory=looptime.new_event_loop) as runner:
        return runner.run(work)
