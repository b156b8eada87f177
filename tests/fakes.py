"""What stands in for the API in tests, and how a client reaches it.

- ``FakeAPI``: a transport with the API's state, faults, and a record of what was applied. No
  sockets. Where a function is enough, use the public ``nrm_async.testing.MockTransport``.
- ``StubAPI``: an HTTP server on loopback that gives the reply a test sets.
- ``tests.faults.server.FaultServer``: a server that also breaks HTTP, TLS and TCP.
"""

import asyncio
import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from enum import Enum
from typing import Any, Final, TypeAlias, TypeVar

import attrs
import looptime
from aiohttp import web

from nrm_async import (
    Action,
    Activate,
    Ani,
    AniPage,
    ConfirmPolicy,
    NotSentError,
    NRMClient,
    NRMError,
    Pause,
    Remediate,
    RetryPolicy,
    TransportError,
)
from nrm_async.models import ACTIVE
from nrm_async.testing import CallContext, Request, Response, json_response

T = TypeVar("T")
Handler: TypeAlias = Callable[[web.Request], web.StreamResponse | Awaitable[web.StreamResponse]]

API_KEY: Final = "test-key-0123456789"
ACTIVE_ANI: Final = "2000000001"
RESTING_ANI: Final = "2000000002"
PAST: Final = "2025-01-26"

# Reading back and retries without waiting.
FAST_CONFIRM: Final = ConfirmPolicy(settle=0.001, reads=2)
FAST_RETRY: Final = RetryPolicy(max_retries=2, max_batch_retries=2, base=0)

STATUS_WORDS: Final = {"/pause": "paused", "/activate": "active", "/remediate": "received request"}


# --- values ----------------------------------------------------------------------------------


def numbers(count: int) -> list[str]:
    """Return different phone numbers, the same ones each time."""
    return [str(2_000_000_000 + number) for number in range(count)]


def make_action(kind: str, ani: str | None = None, note: object = None) -> Action:
    """Return an action; without a number, one that a ``FaultServer`` accepts."""
    text = None if note is None else str(note)
    if kind == "pause":
        return Pause(ani or ACTIVE_ANI, note=text)
    if kind == "activate":
        return Activate(ani or RESTING_ANI, date=PAST, note=text)
    return Remediate(ani or ACTIVE_ANI, note=text)


def make_row(number: int, **fields: Any) -> Ani:
    """Return the row at this position of an inventory."""
    return Ani(id=number, phone=str(2_000_000_000 + number), **fields)


def make_page(page: int, page_size: int, total: int, **wrong: Any) -> AniPage:
    """Return a page of an inventory of ``total`` rows; ``wrong`` replaces envelope fields."""
    rows = range((page - 1) * page_size, min(page * page_size, total))
    pages = -(-total // page_size)
    envelope: dict[str, Any] = {
        "count": len(rows),
        "total_anis": total,
        "total_pages": pages,
        "can_next_page": page < pages,
        "can_prev_page": page > 1,
    }
    data = tuple(make_row(number) for number in rows)
    return AniPage(data=data, page=page, page_size=page_size, **(envelope | wrong))


# --- the state of the API --------------------------------------------------------------------


@attrs.define
class Account:
    """The API's state machine: which numbers are in service, and which were remediated.

    A pause is accepted only for an active number, an activation only for a resting one, a
    remediation once.

    Attributes:
        active: Whether each number of the inventory is in service.
        remediated: The numbers that were remediated.
    """

    active: dict[str, bool] = attrs.field(factory=dict)
    remediated: set[str] = attrs.field(factory=set, init=False)

    def apply(self, path: str, ani: str) -> bool:
        """Apply an action if the state of its number allows, and return whether it was applied."""
        if path == "/remediate":
            if ani not in self.active or ani in self.remediated:
                return False
            self.remediated.add(ani)
            return True
        if self.active.get(ani) is not (path == "/pause"):
            return False
        self.active[ani] = path == "/activate"
        return True

    def reply(self, path: str, ani: str, *, is_applied: bool) -> dict[str, Any]:
        """Return the API's reply to an action that was applied or refused."""
        if is_applied:
            return {"status": STATUS_WORDS[path], "ani": ani}
        if path == "/remediate" and ani in self.remediated:
            return {"status": "within cooldown", "ani": ani}
        return {"success": False, "message": "not in that state"}

    def list_page(self, page: int, page_size: int, prefix: str) -> dict[str, Any]:
        """Return a page of the inventory."""
        anis = [ani for ani in self.active if ani.startswith(prefix)]
        shown = anis[(page - 1) * page_size : page * page_size]
        return {
            "count": len(shown),
            "total_anis": len(anis),
            "total_pages": -(-len(anis) // page_size),
            "can_next_page": page * page_size < len(anis),
            "can_prev_page": page > 1,
            "data": [json_row(ani, is_active=self.active[ani]) for ani in shown],
        }


def json_row(ani: str, *, is_active: bool = True, **fields: object) -> dict[str, object]:
    """Return a row of the inventory as the API writes it."""
    status = ACTIVE if is_active else "COOLING_OFF"
    return {"id": int(ani), "phone": ani, "status": status, "blockRate": 1.5, **fields}


# --- without sockets -------------------------------------------------------------------------


class Fate(Enum):
    """What happens to a request; *before* and *after* say whether the API had processed it."""

    NORMAL = "normal"
    NOT_SENT = "not sent"
    LOST_BEFORE = "lost before"
    LOST_AFTER = "lost after"
    LATE = "lost, and processed later"
    FAILED_BEFORE = "5xx before"
    FAILED_AFTER = "5xx after"
    THROTTLED = "429"
    TIMED_OUT_BEFORE = "408 before"
    TIMED_OUT_AFTER = "408 after"
    MIXED_UP_BEFORE = "another number's reply before"
    MIXED_UP_AFTER = "another number's reply after"
    GARBLED = "garbage after"


_PROCESSED: Final = frozenset(
    {
        Fate.NORMAL,
        Fate.LOST_AFTER,
        Fate.FAILED_AFTER,
        Fate.TIMED_OUT_AFTER,
        Fate.MIXED_UP_AFTER,
        Fate.GARBLED,
    }
)


def no_fault(request: Request) -> Fate:
    """Let every request succeed."""
    return Fate.NORMAL


def first(*fates: Fate) -> Callable[[Request], Fate]:
    """Apply these fates to the first requests, in order, and none to later ones."""
    remaining = iter(fates)
    return lambda request: next(remaining, Fate.NORMAL)


def first_actions(*fates: Fate) -> Callable[[Request], Fate]:
    """Apply these fates to the first actions, in order, and none to later ones or to reads."""
    remaining = iter(fates)
    return lambda request: next(remaining, Fate.NORMAL) if request.body else Fate.NORMAL


@attrs.define
class FakeAPI(Account):
    """A transport that is the API itself, with a fault for each request and a record of them.

    Actions are told apart by their ``note``.

    Attributes:
        fate: Decides what happens to a request.
        patience: After how many more requests for its number a late action is processed.
        wait: Awaited three times for each request: to connect, on its way, and on its way back.
        received: How often each action arrived without a reply that proves it was turned away.
        applied: How often each action was applied.
        redundant: Actions whose number was already in the desired state when they arrived.
        arrivals: The actions that arrived for each number, in order.
        sent: How often each action was sent, or failed to be sent.
        overlaps: Numbers with two requests in flight at the same time.
        requests: All requests that arrived.
    """

    fate: Callable[[Request], Fate] = no_fault
    patience: Callable[[], int] = lambda: 1
    wait: Callable[[], Coroutine[Any, Any, None]] = lambda: asyncio.sleep(0)
    received: Counter[str] = attrs.field(factory=Counter)
    applied: Counter[str] = attrs.field(factory=Counter)
    redundant: set[str] = attrs.field(factory=set)
    arrivals: dict[str, list[str]] = attrs.field(factory=dict)
    sent: Counter[str] = attrs.field(factory=Counter)
    overlaps: list[str] = attrs.field(factory=list)
    requests: list[Request] = attrs.field(factory=list)
    most_connections: int | None = None
    _in_flight: Counter[str] = attrs.field(factory=Counter)
    _late: dict[str, list[tuple[int, str, str]]] = attrs.field(factory=dict)

    async def send(self, request: Request, context: CallContext) -> Response | NRMError:
        """Connect, process the request as its fate says, and return the reply."""
        context.attempts += 1
        context.maybe_sent = False
        fields = json.loads(request.body or b"{}")
        ani, note = str(fields.get("ani", "")), str(fields.get("note", ""))
        if ani and self._in_flight[ani]:
            self.overlaps.append(ani)
        self._in_flight[ani] += 1
        self.sent[note] += 1
        try:
            await self.wait()
            fate = self.fate(request)
            if fate is Fate.NOT_SENT:
                return NotSentError("the request was not sent: no connection")
            context.maybe_sent = True
            self._receive(request, ani, note, fate)
            await self.wait()
            reply = self._process(request, ani, note, fate)
            await self.wait()
            return reply
        finally:
            self._in_flight[ani] -= 1

    async def aclose(self) -> None:
        """Do nothing: no connection is open."""

    def drop(self) -> None:
        """Do nothing: no connection is open."""

    def apply_late(self) -> None:
        """Process all late actions now."""
        for ani in list(self._late):
            self._apply_late(ani, everything=True)

    def _receive(self, request: Request, ani: str, note: str, fate: Fate) -> None:
        self.requests.append(request)
        if not ani:
            return
        arrivals = self.arrivals.setdefault(ani, [])
        if not arrivals or arrivals[-1] != note:
            # No client could tell an earlier late action from the next one for the same number.
            self._apply_late(ani, everything=True)
            arrivals.append(note)
            desired = {"/pause": False, "/activate": True}.get(request.path)
            if desired is not None and self.active.get(ani) is desired:
                self.redundant.add(note)
        if fate is not Fate.THROTTLED:
            self.received[note] += 1

    def _process(self, request: Request, ani: str, note: str, fate: Fate) -> Response | NRMError:
        number = ani or (request.query or {}).get("number", "")
        self._apply_late(number, everything=False)
        if fate is Fate.LATE and ani:
            self._late.setdefault(ani, []).append((self.patience(), request.path, note))
        payload: dict[str, Any] = {"message": "try again"}
        if not ani:
            # Reads are for whole numbers, and scanning the inventory for each would take long.
            found = {number: self.active[number]} if number in self.active else {}
            payload = Account(found).list_page(1, 1000, number)
        elif fate in _PROCESSED:
            payload = self._act(request.path, ani, note)
        match fate:
            case Fate.LOST_BEFORE | Fate.LOST_AFTER | Fate.LATE:
                return TransportError("no usable answer: the connection was reset")
            case Fate.FAILED_BEFORE | Fate.FAILED_AFTER:
                return json_response(payload, 502)
            case Fate.THROTTLED:
                return json_response(payload, 429)
            case Fate.TIMED_OUT_BEFORE | Fate.TIMED_OUT_AFTER:
                return json_response(payload, 408)
            case Fate.MIXED_UP_BEFORE | Fate.MIXED_UP_AFTER if ani:
                return json_response({"status": STATUS_WORDS[request.path], "ani": "9999999999"})
            case Fate.NORMAL:
                return json_response(payload)
        return Response(200, b"<html>hello</html>")

    def _act(self, path: str, ani: str, note: str) -> dict[str, Any]:
        is_applied = self.apply(path, ani)
        if is_applied:
            self.applied[note] += 1
        return self.reply(path, ani, is_applied=is_applied)

    def _apply_late(self, ani: str, *, everything: bool) -> None:
        for patience, path, note in self._late.pop(ani, []):
            if everything or patience <= 1:
                self._act(path, ani, note)
            else:
                self._late.setdefault(ani, []).append((patience - 1, path, note))


@asynccontextmanager
async def open_client(api: FakeAPI, **settings: Any) -> AsyncIterator[NRMClient]:
    """Open a client of the fake API that retries and reads back without waiting."""
    chosen: dict[str, Any] = {
        "confirm": ConfirmPolicy(settle=0, reads=2),
        "retry": RetryPolicy(base=0),
        "max_concurrency": 8,
    } | settings
    async with NRMClient(API_KEY, transport=api, **chosen) as nrm:
        yield nrm


def close_gate(nrm: NRMClient, seconds: float) -> None:
    """Let nothing be sent for a while, as a ``Retry-After`` does."""
    nrm._runtime.queue._limiter.close_gate(asyncio.get_running_loop().time() + seconds)


# --- over sockets ----------------------------------------------------------------------------


@attrs.define
class StubAPI:
    """Gives the reply that a test sets to every request, and records the requests."""

    url: str = ""
    answer: Handler = attrs.field(default=lambda request: web.json_response({}))
    requests: list[web.Request] = attrs.field(factory=list)
    bodies: list[bytes] = attrs.field(factory=list)

    def reply(
        self, body: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        """Reply with this body from now on: text as it is, anything else as JSON."""
        text = body if isinstance(body, str) else json.dumps(body)
        kind = "text/html" if isinstance(body, str) else "application/json"
        self.answer = lambda request: web.Response(
            text=text, status=status, content_type=kind, headers=headers
        )

    @asynccontextmanager
    async def serve(self) -> AsyncIterator["StubAPI"]:
        """Listen on loopback, at ``url``."""
        app = web.Application()
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}/nrm"
            yield self
        finally:
            await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        self.bodies.append(await request.read())
        answer = self.answer(request)
        return answer if isinstance(answer, web.StreamResponse) else await answer


async def apply_pause(request: web.Request) -> web.Response:
    """Reply to a pause as the API does when it applies it."""
    return web.json_response({"status": "paused", "ani": (await request.json())["ani"]})


def connect(url: str, api_key: str = API_KEY, **settings: Any) -> NRMClient:
    """Return a client of this server that retries and reads back without waiting."""
    chosen: dict[str, Any] = {"confirm": FAST_CONFIRM, "retry": FAST_RETRY} | settings
    return NRMClient(api_key, base_url=url, **chosen)


# --- the event loop --------------------------------------------------------------------------


def on_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine where waiting takes no time but has an end, with seeded jitter.

    Nothing here waits for I/O, so the clock advances without looptime's 42 idle turns of the loop.
    """

    async def bounded() -> T:
        async with asyncio.timeout(1e6):
            return await work

    random.seed(1)
    with asyncio.Runner(loop_factory=lambda: looptime.new_event_loop(noop_cycles=0)) as runner:
        return runner.run(bounded())


async def settled(turns: int = 200) -> None:
    """Let everything happen that needs no time to pass."""
    for _ in range(turns):
        await asyncio.sleep(0)


async def forever() -> None:
    """Wait until cancelled."""
    await asyncio.Event().wait()
