"""The API request handler, which plans faults, processes requests and records their outcomes.

The second half of the module produces the fault responses.
"""

import asyncio
import math
import socket
import struct
import time
from collections.abc import Mapping
from email.utils import formatdate
from typing import Final, NoReturn

import attrs
import msgspec
from aiohttp import hdrs, web
from attrs import define

from nrm_async.sandbox.api import Endpoints, Reply, RequestError, error_reply
from nrm_async.sandbox.api.parsing import ani_of
from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.faults import (
    ConcurrencyCap,
    Drift,
    Engine,
    Fault,
    Hang,
    Plan,
    RateCap,
    Reset,
    ServerFailure,
    ServerLoad,
    TooManyRequests,
    Truncate,
)
from nrm_async.sandbox.history import Books, Ending, OpenRequest, Seen
from nrm_async.sandbox.http.server import read_body, to_response
from nrm_async.sandbox.state import State
from nrm_async.sandbox.values import Endpoint

_NO_REPLY: Final = Reply(0, b"")
_NO_PLAN: Final = Plan()
_PROXY_PAGE: Final = b"<html><head><title>Bad Gateway</title></head><body>Bad Gateway</body></html>"
_RETRY_AFTER_FORMS: Final[Mapping[str, str]] = {
    "huge": "99999999999",
    "negative": "-5",
    "nan": "NaN",
    "garbage": "soon",
}


@define
class ApiHandler:
    """A handler for API requests.

    Attributes:
        endpoints: The API endpoints.
        state: The state, which drift faults change.
        books: The history, which records each request.
        clock: The clock for arrival times.
        engine: The fault engine.
        latency: Seconds to wait before each response.
    """

    endpoints: Endpoints
    state: State
    books: Books
    clock: Clock
    engine: Engine
    latency: float

    async def handle(
        self, request: web.BaseRequest, endpoint: Endpoint | None
    ) -> web.StreamResponse:
        """Handle a request or simulate a failure, and record the outcome."""
        opened = self.books.arrive(endpoint, self.clock.now())
        reply, plan = _NO_REPLY, _NO_PLAN
        seen: Seen = "left"
        try:
            plan = self._plan(endpoint)
            reply = await self._reply(request, opened, plan)
            if delay := self.latency + plan.delay:
                await asyncio.sleep(delay)
            seen = "answer"
            response = to_response(reply, _request_id(opened))
            if plan.fault is not None:
                seen = _seen(plan.fault)
                await _fail(request, plan.fault, response)
            return response
        finally:
            ending = Ending(reply.ani, reply.status, reply.words, reply.applied, plan.name, seen)
            self.books.end(opened, ending)

    def handle_malformed(self, reply: Reply) -> web.Response:
        """Convert a reply to a malformed HTTP request, and record the request."""
        opened = self.books.arrive(None, self.clock.now())
        self.books.end(opened, Ending(None, reply.status, reply.words, seen="answer"))
        return to_response(reply, _request_id(opened))

    def _plan(self, endpoint: Endpoint | None) -> Plan:
        if endpoint is None or not self.engine.is_busy:
            return _NO_PLAN
        now = asyncio.get_running_loop().time()
        here = self.books.in_flight(endpoint)
        return self.engine.plan(endpoint, ServerLoad(now, self.books.in_flight(), here))

    async def _reply(self, request: web.BaseRequest, opened: OpenRequest, plan: Plan) -> Reply:
        fault = plan.fault
        try:
            if fault is not None and not _reaches_api(fault):
                body = await read_body(request)
                return _fault_reply(fault, attrs.evolve(_NO_REPLY, ani=ani_of(body)))
            reply = await self._call_api(request, opened, plan)
        except RequestError as error:
            reply = error_reply(error)
        return reply if fault is None else _fault_reply(fault, reply)

    async def _call_api(self, request: web.BaseRequest, opened: OpenRequest, plan: Plan) -> Reply:
        authorization = request.headers.get(hdrs.AUTHORIZATION, "")
        endpoint = self.endpoints.authorize(request.method, opened.endpoint, authorization)
        if endpoint != "anis":
            return self.endpoints.act(endpoint, await read_body(request), opened.number)
        for drift, random in plan.drift:
            self._drift(drift, random)
        return self.endpoints.list_anis(request.query)

    def _drift(self, drift: Drift, random: float) -> None:
        for _ in range(drift.rows):
            if drift.change != "join" and len(self.state):
                self.state.leave(int(random * len(self.state)))
            if drift.change != "leave":
                self.state.join()


def _request_id(opened: OpenRequest) -> str:
    return f"sandbox-{opened.number:08d}"


# Fault responses


def _reaches_api(fault: Fault) -> bool:
    """Return whether the API still processes a request with this fault."""
    if isinstance(fault, Reset | Hang | ServerFailure):
        return fault.applied
    return not isinstance(fault, TooManyRequests | RateCap | ConcurrencyCap)


def _fault_reply(fault: Fault, reply: Reply) -> Reply:
    """Return the reply to send instead of ``reply``, with the same phone number."""
    if isinstance(fault, TooManyRequests | RateCap | ConcurrencyCap):
        return _error(reply, 429, "Too many requests", _retry_after(fault.retry_after))
    if isinstance(fault, ServerFailure):
        headers = _retry_after(fault.retry_after)
        if not fault.html:
            return _error(reply, fault.status, "Service failure", headers)
        html = {"Content-Type": "text/html", **headers}
        return attrs.evolve(
            reply, status=fault.status, body=_PROXY_PAGE, words="Bad Gateway", headers=html
        )
    if isinstance(fault, Reset | Hang):
        return attrs.evolve(reply, status=0, words="")
    if isinstance(fault, Truncate) and fault.silent:
        return attrs.evolve(reply, body=_cut(reply.body, fault.keep))
    return reply


def _error(reply: Reply, status: int, message: str, headers: Mapping[str, str]) -> Reply:
    body = msgspec.json.encode({"success": False, "message": message})
    return attrs.evolve(reply, status=status, body=body, words=message, headers=headers)


def _retry_after(value: float | str | None) -> Mapping[str, str]:
    if value is None or value == "none":
        return {}
    if isinstance(value, str) and value.startswith("date"):
        _, _, seconds = value.partition(":")
        # Use the system clock, as the Date header does: clients cannot see the sandbox's clock.
        return {"Retry-After": formatdate(math.ceil(time.time()) + int(seconds or 1), usegmt=True)}
    return {"Retry-After": _RETRY_AFTER_FORMS.get(str(value), str(value))}


def _cut(body: bytes, share: float) -> bytes:
    """Return the first ``share`` of a body, omitting at least one byte."""
    return body[: min(int(len(body) * share), len(body) - 1)]


def _seen(fault: Fault) -> Seen:
    match fault:
        case Reset():
            return "reset"
        case Hang():
            return "nothing"
        case Truncate():
            return "part of it"
        case _:
            return "answer"


async def _fail(request: web.BaseRequest, fault: Fault, response: web.Response) -> None:
    """Disrupt the connection if the fault requires it; otherwise return."""
    match fault:
        case Reset():
            _reset(request)
        case Hang():
            await _hang(request, fault)
        case Truncate(silent=False):
            await _truncate(request, fault, response)


def _reset(request: web.BaseRequest) -> NoReturn:
    transport = request.transport
    if transport is not None:
        sock: socket.socket | None = transport.get_extra_info("socket")
        if sock is not None:  # with a linger time of 0, closing sends RST instead of FIN
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    raise ConnectionResetError


async def _hang(request: web.BaseRequest, fault: Hang) -> NoReturn:
    """Send nothing until the client disconnects, the sandbox stops or the time is up."""
    if fault.seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(fault.seconds)
    if request.transport is not None:
        request.transport.close()
    raise ConnectionResetError


async def _truncate(request: web.BaseRequest, fault: Truncate, response: web.Response) -> NoReturn:
    """Send the Content-Length of the full body but only part of the body, then disconnect."""
    body = response.body
    assert isinstance(body, bytes)  # noqa: S101 - replies have a bytes body
    part = web.StreamResponse(status=response.status, headers=response.headers)
    part.content_length = len(body)
    await part.prepare(request)
    await part.write(_cut(body, fault.keep))
    if request.transport is not None:
        request.transport.close()
    raise ConnectionResetError
