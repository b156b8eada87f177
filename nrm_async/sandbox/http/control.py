"""What is not NRM: health, books, faults, clock and switches, for tests in any language.

At the server's root, so that nothing of it can be mistaken for the API. It needs no key: it listens
on this machine only, and turns away what a browser sends for pages of somewhere else.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, Protocol, TypeAlias

import attrs
import msgspec
from aiohttp import web

from nrm_async.sandbox import checks
from nrm_async.sandbox.api import Reply, RequestError, Switches, error_reply
from nrm_async.sandbox.api.openapi import description
from nrm_async.sandbox.books import Books, RequestEntry
from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.faults import Engine, fault_of
from nrm_async.sandbox.http import asked
from nrm_async.sandbox.http.asked import Query
from nrm_async.sandbox.http.server import read_body, response_of
from nrm_async.sandbox.state import State
from nrm_async.sandbox.values import ACTIONS, ENDPOINTS, PageRequest

PREFIXES: Final = ("/health", "/openapi.json", "/books", "/control")

_HEADERS: Final = {"Cache-Control": "no-store"}


class Controlled(Protocol):
    """What can be controlled."""

    switches: Switches

    @property
    def url(self) -> str:
        """The base URL of the API."""

    @property
    def page_size_max(self) -> int:
        """Largest size of a page."""

    @property
    def state(self) -> State:
        """The numbers."""

    @property
    def books(self) -> Books:
        """What was asked and applied."""

    @property
    def clock(self) -> Clock:
        """What time it is."""

    @property
    def faults(self) -> Engine:
        """What goes wrong."""

    def __len__(self) -> int: ...

    def reset(self) -> None:
        """Begin anew."""


Action: TypeAlias = "Callable[[Control, Query, Any, str], object]"


@attrs.frozen
class Control:
    """The endpoints outside the API.

    Attributes:
        sandbox: What they look at and change.
    """

    sandbox: Controlled

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; everything that is wrong with it is a 4xx with a message."""
        try:
            asked.check_caller(request.headers)
            path, rest = _route(request.path)
            action = _action(request.method, path)
            body = await read_body(request) if request.method == "POST" else b""
            answer = action(self, request.query, asked.decoded(body), rest)
            reply = Reply(200, msgspec.json.encode(answer), headers=_HEADERS)
        except RequestError as error:
            reply = error_reply(error)
        except (ValueError, TypeError, OverflowError) as error:
            reply = error_reply(RequestError(400, str(error)))
        return response_of(reply)

    def health(self, _query: Query, _body: Any, _rest: str) -> object:
        """That it runs, and with what."""
        return {"status": "ok", "anis": len(self.sandbox), "requests": self._requests()}

    def openapi(self, _query: Query, _body: Any, _rest: str) -> object:
        """The description of the API."""
        first = self.sandbox.state.page(PageRequest(page=1, page_size=1)).rows
        ani = msgspec.json.decode(first[0])["phone"] if first else "2345678901"
        return description(self.sandbox.url, ani, self.sandbox.page_size_max)

    def books(self, _query: Query, _body: Any, _rest: str) -> object:
        """The books in figures."""
        books = self.sandbox.books
        return {
            "requests": self._requests(),
            "requests_to": {name: books.times_requested(name) for name in ENDPOINTS},
            "applied": {name: books.times_applied(name) for name in ACTIONS},
            "in_flight": books.in_flight(),
            "max_in_flight": books.max_in_flight,
        }

    def applied(self, query: Query, _body: Any, _rest: str) -> object:
        """Applied actions, oldest first."""
        asked.check_known(query, ("action", "ani", "since", "limit"))
        action, ani = asked.one_of(query, "action", ACTIONS), asked.ani_in(query)
        since, limit = asked.window(query)
        books = self.sandbox.books
        return {
            "count": books.times_applied(action, ani),
            "entries": books.applied(action, ani, since=since, limit=limit),
        }

    def requests(self, query: Query, _body: Any, _rest: str) -> object:
        """Requests and how they ended, oldest first."""
        asked.check_known(query, ("endpoint", "ani", "status", "since", "limit"))
        endpoint, ani = asked.one_of(query, "endpoint", ENDPOINTS), asked.ani_in(query)
        status = asked.number_in(query, "status", None, 0)
        since, limit = asked.window(query)
        books = self.sandbox.books
        found = books.requests(endpoint, ani, status=status, since=since, limit=limit)
        return {"entries": [_flat(entry) for entry in found]}

    def faults(self, _query: Query, _body: Any, _rest: str) -> object:
        """The faults at work, and how often each hit."""
        return {"faults": [one.told() for one in self.sandbox.faults.injected]}

    def inject(self, query: Query, body: Any, rest: str) -> object:
        """Put one fault or several to work: objects, or texts as on the command line."""
        wanted = body.get("faults", body) if isinstance(body, dict) else body
        specs = wanted if isinstance(wanted, list) else [wanted]
        faults = [fault_of(spec) for spec in specs]  # all of them, before any is put to work
        for fault in faults:
            self.sandbox.faults.inject(fault)
        return self.faults(query, body, rest)

    def end_faults(self, query: Query, body: Any, rest: str) -> object:
        """End one fault by its id, or all."""
        if not rest:
            self.sandbox.faults.clear()
        elif not (rest.isdecimal() and self.sandbox.faults.remove(int(rest[:18]))):
            raise RequestError(404, "No such fault")
        return self.faults(query, body, "")

    def clock(self, _query: Query, _body: Any, _rest: str) -> object:
        """What time it is."""
        clock = self.sandbox.clock
        return {"now": clock.now(), "frozen": clock.is_frozen}

    def turn(self, query: Query, body: Any, rest: str) -> object:
        """Set it, advance it by seconds, freeze it or let it run, in this order."""
        turns = asked.an_object(body, ("set", "advance", "frozen"))
        clock = self.sandbox.clock
        when = msgspec.convert(turns["set"], datetime) if "set" in turns else None
        by = timedelta(seconds=checks.seconds("advance", turns.get("advance", 0)))
        frozen = msgspec.convert(turns.get("frozen", clock.is_frozen), bool)
        if when is not None:
            clock.set(when)
        if by:
            clock.advance(by)
        if frozen is not clock.is_frozen:
            (clock.freeze if frozen else clock.resume)()
        return self.clock(query, body, rest)

    def switches(self, _query: Query, _body: Any, _rest: str) -> object:
        """How answers are worded."""
        return self.sandbox.switches

    def switch(self, _query: Query, body: Any, _rest: str) -> object:
        """Word them otherwise."""
        if not isinstance(body, dict):
            raise ValueError("the body must be a JSON object")  # noqa: TRY004 - a 400
        self.sandbox.switches = self.sandbox.switches.changed(body)
        return self.sandbox.switches

    def reset(self, query: Query, body: Any, rest: str) -> object:
        """Begin anew, as it was made: inventory, clock, books, faults and switches."""
        self.sandbox.reset()
        return self.health(query, body, rest)

    def _requests(self) -> int:
        return self.sandbox.books.times_requested()


_ACTIONS: Final[Mapping[str, Mapping[str, Action]]] = {
    "/health": {"GET": Control.health},
    "/openapi.json": {"GET": Control.openapi},
    "/books": {"GET": Control.books},
    "/books/applied": {"GET": Control.applied},
    "/books/requests": {"GET": Control.requests},
    "/control/faults": {
        "GET": Control.faults,
        "POST": Control.inject,
        "DELETE": Control.end_faults,
    },
    "/control/faults/": {"DELETE": Control.end_faults},
    "/control/clock": {"GET": Control.clock, "POST": Control.turn},
    "/control/switches": {"GET": Control.switches, "POST": Control.switch},
    "/control/reset": {"POST": Control.reset},
}


def _flat(entry: RequestEntry) -> dict[str, Any]:
    told = attrs.asdict(entry)
    return {**told, **told.pop("ending")}


def _route(path: str) -> tuple[str, str]:
    if path.startswith("/control/faults/"):
        return "/control/faults/", path.removeprefix("/control/faults/")
    return path, ""


def _action(method: str, path: str) -> Action:
    methods = _ACTIONS.get(path)
    if methods is None:
        raise RequestError(404, "Not found")
    if method not in methods:
        raise RequestError(405, "Method not allowed", allow=", ".join(methods))
    return methods[method]
