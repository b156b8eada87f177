"""One request to the API from its arrival to its end: planned, answered, delayed, sent, booked."""

import asyncio
from typing import Final

import attrs
from aiohttp import hdrs, web
from attrs import define

from nrm_async.sandbox.api import Call, Endpoints, Reply, RequestError, error_reply
from nrm_async.sandbox.api.parsing import ani_in
from nrm_async.sandbox.books import Books, Ending, Seen
from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.faults import Drift, Engine, Hang, Moment, Plan, Reset, Truncate
from nrm_async.sandbox.http import faulty
from nrm_async.sandbox.http.server import read_body, response_of
from nrm_async.sandbox.state import State
from nrm_async.sandbox.values import Endpoint

_NOTHING: Final = Reply(0, b"")
_UNPLANNED: Final = Plan()


@define
class Visits:
    """What happens to requests to the API.

    Attributes:
        endpoints: What answers.
        state: What drifts.
        books: Where it is written down.
        clock: When it happened.
        engine: What goes wrong.
        latency: Seconds added to each answer.
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
        """Answer one request, or do what its fault says instead."""
        arrival = self.books.arrive(endpoint, self.clock.now())
        number = arrival.number
        reply, plan = _NOTHING, _UNPLANNED
        seen: Seen = "left"
        try:
            plan = self._plan(endpoint)
            reply = await self._reply(request, endpoint, number, plan)
            if delay := self.latency + plan.delay:
                await asyncio.sleep(delay)
            seen = "answer"
            if plan.ending is None:
                return response_of(reply, _request_id(number))
            seen = _seen(plan)
            return await _end(request, plan, response_of(reply, _request_id(number)))
        finally:
            ending = Ending(reply.ani, reply.status, reply.words, reply.applied, plan.name, seen)
            self.books.end(arrival, ending)

    def broken(self, reply: Reply) -> web.Response:
        """Answer what could not be read as HTTP."""
        arrival = self.books.arrive(None, self.clock.now())
        self.books.end(arrival, Ending(None, reply.status, reply.words, seen="answer"))
        return response_of(reply, _request_id(arrival.number))

    def _plan(self, endpoint: Endpoint | None) -> Plan:
        if endpoint is None or not self.engine.is_busy:
            return _UNPLANNED
        time = asyncio.get_running_loop().time()
        here = self.books.in_flight(endpoint)
        return self.engine.plan(endpoint, Moment(time, self.books.in_flight(), here))

    async def _reply(
        self, request: web.BaseRequest, endpoint: Endpoint | None, number: int, plan: Plan
    ) -> Reply:
        try:
            if plan.ending is not None and not faulty.lets_through(plan.ending):
                body = await read_body(request)
                return faulty.instead(plan.ending, attrs.evolve(_NOTHING, ani=ani_in(body)))
            reply = await self._answer(request, endpoint, number, plan)
        except RequestError as error:
            reply = error_reply(error)
        return reply if plan.ending is None else faulty.instead(plan.ending, reply)

    async def _answer(
        self, request: web.BaseRequest, endpoint: Endpoint | None, number: int, plan: Plan
    ) -> Reply:
        authorization = request.headers.get(hdrs.AUTHORIZATION, "")
        name = self.endpoints.admit(Call(request.method, endpoint, authorization))
        if name != "anis":
            return self.endpoints.act(name, await read_body(request), number)
        for drift, drawn in plan.drift:
            self._drift(drift, drawn)
        return self.endpoints.listing(request.query)

    def _drift(self, drift: Drift, drawn: float) -> None:
        for _ in range(drift.rows):
            if drift.change != "join" and len(self.state):
                self.state.leave(int(drawn * len(self.state)))
            if drift.change != "leave":
                self.state.join()


def _seen(plan: Plan) -> Seen:
    fault = plan.ending
    if isinstance(fault, Reset):
        return "reset"
    if isinstance(fault, Hang):
        return "nothing"
    return "part of it" if isinstance(fault, Truncate) else "answer"


async def _end(request: web.BaseRequest, plan: Plan, response: web.Response) -> web.Response:
    fault = plan.ending
    if isinstance(fault, Reset):
        faulty.reset(request)
    if isinstance(fault, Hang):
        await faulty.hang(request, fault)
    if isinstance(fault, Truncate) and not fault.silent:
        await faulty.truncate(request, fault, response)
    return response


def _request_id(number: int) -> str:
    return f"sandbox-{number:08d}"
