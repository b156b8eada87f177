"""The control endpoints: health, history, faults, clock and switches.

Their paths are at the server root, separate from the API paths. They require no API key, because
the server listens only on the loopback interface and rejects cross-site browser requests.
"""

import ipaddress
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import attrs
import msgspec
from aiohttp import hdrs, web

from nrm_async.sandbox.api import Endpoints, Reply, RequestError, error_reply
from nrm_async.sandbox.api.openapi import openapi_document
from nrm_async.sandbox.clock import Clock
from nrm_async.sandbox.faults import Engine, parse_fault
from nrm_async.sandbox.history import Books, RequestEntry
from nrm_async.sandbox.http.server import read_body, to_response
from nrm_async.sandbox.validation import check_seconds, check_whole_number, parse_phone
from nrm_async.sandbox.values import ACTIONS, ENDPOINTS, PageRequest

PREFIXES: Final = ("/health", "/openapi.json", "/books", "/control")

Query: TypeAlias = Mapping[str, str]
Choice = TypeVar("Choice", bound=str)
Action: TypeAlias = "Callable[[Control, _Call], object]"

_HEADERS: Final = {"Cache-Control": "no-store"}
_MOST_ENTRIES: Final = 1_000  # maximum in one response

# Names that cannot be registered publicly (RFC 6761, and ICANN's reservation of .internal).
_PRIVATE_NAMES: Final = (".localhost", ".internal", ".test")


@attrs.frozen
class _Call:
    """A control request: its query, decoded body, and the fault id in its path."""

    query: Query
    body: Any
    fault_id: str


@attrs.frozen
class Control:
    """A handler for control requests.

    Attributes:
        endpoints: The API endpoints, with their state and switches.
        clock: The sandbox's clock.
        engine: The fault engine.
        url: A callable that returns the base URL of the API.
        reset_sandbox: A callable that restores the initial state.
    """

    endpoints: Endpoints
    clock: Clock
    engine: Engine
    url: Callable[[], str]
    reset_sandbox: Callable[[], object]

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle a request. Return a 4xx response with a message if the request is invalid."""
        try:
            _check_caller(request.headers)
            path, fault_id = request.path, ""
            if path.startswith(_ONE_FAULT):
                path, fault_id = _ONE_FAULT, path.removeprefix(_ONE_FAULT)
            action = _find_action(request.method, path)
            body = await read_body(request) if request.method == "POST" else b""
            answer = action(self, _Call(request.query, _decode(body), fault_id))
            reply = Reply(200, msgspec.json.encode(answer), headers=_HEADERS)
        except RequestError as error:
            reply = error_reply(error)
        except (ValueError, TypeError, OverflowError) as error:
            reply = error_reply(RequestError(400, str(error)))
        return to_response(reply)

    def get_health(self, _call: _Call) -> object:
        """Return the status, the inventory size and the number of API requests."""
        requests = self._books.times_requested()
        return {"status": "ok", "anis": len(self.endpoints.state), "requests": requests}

    def get_openapi(self, _call: _Call) -> object:
        """Return the OpenAPI document."""
        rows = self.endpoints.state.page(PageRequest(page=1, page_size=1)).rows
        ani = msgspec.json.decode(rows[0])["phone"] if rows else "2345678901"
        return openapi_document(self.url(), ani, self.endpoints.page_size_max)

    def get_books(self, _call: _Call) -> object:
        """Return the request and action counts from the history."""
        books = self._books
        return {
            "requests": books.times_requested(),
            "requests_to": {name: books.times_requested(name) for name in ENDPOINTS},
            "applied": {name: books.times_applied(name) for name in ACTIONS},
            "in_flight": books.in_flight(),
            "max_in_flight": books.max_in_flight,
        }

    def get_applied(self, call: _Call) -> object:
        """Return the matching applied actions, oldest first."""
        query = call.query
        _check_names(query, ("action", "ani", "since", "limit"))
        action, ani = _choice_in(query, "action", ACTIONS), _ani_in(query)
        since, limit = _window_in(query)
        return {
            "count": self._books.times_applied(action, ani),
            "entries": self._books.applied(action, ani, since=since, limit=limit),
        }

    def get_requests(self, call: _Call) -> object:
        """Return the matching requests and their outcomes, oldest first."""
        query = call.query
        _check_names(query, ("endpoint", "ani", "status", "since", "limit"))
        endpoint, ani = _choice_in(query, "endpoint", ENDPOINTS), _ani_in(query)
        status = _number_in(query, "status", 0) if "status" in query else None
        since, limit = _window_in(query)
        entries = self._books.requests(endpoint, ani, status=status, since=since, limit=limit)
        return {"entries": [_flatten(entry) for entry in entries]}

    def get_faults(self, _call: _Call) -> object:
        """Return the active faults with their numbers of hits."""
        return {"faults": [one.to_dict() for one in self.engine.injected]}

    def inject_faults(self, call: _Call) -> object:
        """Inject one or more faults, given as objects or strings."""
        body = call.body
        given = body.get("faults", body) if isinstance(body, dict) else body
        specs = given if isinstance(given, list) else [given]
        faults = [parse_fault(spec) for spec in specs]  # parse all before injecting any
        for fault in faults:
            self.engine.inject(fault)
        return self.get_faults(call)

    def remove_faults(self, call: _Call) -> object:
        """Remove one fault by its id, or all faults."""
        number = call.fault_id
        if not number:
            self.engine.clear()
        elif not (number.isdecimal() and self.engine.remove(int(number[:18]))):
            raise RequestError(404, "No such fault")
        return self.get_faults(call)

    def get_clock(self, _call: _Call) -> object:
        """Return the current time, and whether the clock is frozen."""
        return {"now": self.clock.now(), "frozen": self.clock.is_frozen}

    def change_clock(self, call: _Call) -> object:
        """Set the clock, advance it by seconds, and freeze or resume it, in this order."""
        fields = _check_object(call.body)
        _check_names(fields, ("set", "advance", "frozen"))
        clock = self.clock
        when = msgspec.convert(fields["set"], datetime) if "set" in fields else None
        by = timedelta(seconds=check_seconds("advance", fields.get("advance", 0)))
        frozen = msgspec.convert(fields.get("frozen", clock.is_frozen), bool)
        if when is not None:
            clock.set(when)
        if by:
            clock.advance(by)
        if frozen is not clock.is_frozen:
            (clock.freeze if frozen else clock.resume)()
        return self.get_clock(call)

    def get_switches(self, _call: _Call) -> object:
        """Return the switches."""
        return self.endpoints.switches

    def change_switches(self, call: _Call) -> object:
        """Change some switches."""
        self.endpoints.switches = self.endpoints.switches.changed(_check_object(call.body))
        return self.endpoints.switches

    def reset(self, call: _Call) -> object:
        """Restore the initial inventory, clock, faults and switches, and clear the history."""
        self.reset_sandbox()
        return self.get_health(call)

    @property
    def _books(self) -> Books:
        return self.endpoints.state.books


_ONE_FAULT: Final = "/control/faults/"
_ACTIONS: Final[Mapping[str, Mapping[str, Action]]] = {
    "/health": {"GET": Control.get_health},
    "/openapi.json": {"GET": Control.get_openapi},
    "/books": {"GET": Control.get_books},
    "/books/applied": {"GET": Control.get_applied},
    "/books/requests": {"GET": Control.get_requests},
    "/control/faults": {
        "GET": Control.get_faults,
        "POST": Control.inject_faults,
        "DELETE": Control.remove_faults,
    },
    _ONE_FAULT: {"DELETE": Control.remove_faults},
    "/control/clock": {"GET": Control.get_clock, "POST": Control.change_clock},
    "/control/switches": {"GET": Control.get_switches, "POST": Control.change_switches},
    "/control/reset": {"POST": Control.reset},
}


def _find_action(method: str, path: str) -> Action:
    methods = _ACTIONS.get(path)
    if methods is None:
        raise RequestError(404, "Not found")
    if method not in methods:
        raise RequestError(405, "Method not allowed", allow=", ".join(methods))
    return methods[method]


def _check_caller(headers: Mapping[str, str]) -> None:
    """Reject cross-site browser requests with a 403.

    A page from another site can send requests to this server, with its own ``Origin`` header. It
    can also read the responses if its domain resolves to this machine (DNS rebinding); the ``Host``
    header then contains that domain.
    """
    origin = headers.get(hdrs.ORIGIN)
    if origin is not None and not _is_loopback(_host_in(origin)):
        raise RequestError(403, "Only pages served from this machine may use this endpoint")
    if hdrs.HOST in headers and not _is_private(_host_in(f"//{headers[hdrs.HOST]}")):
        raise RequestError(403, "Use localhost for this endpoint, not a public name")


def _host_in(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_loopback(host: str) -> bool:
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _is_private(host: str) -> bool:
    if _address(host) is not None:
        return True
    return bool(host) and ("." not in host or host.endswith(_PRIVATE_NAMES))


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _decode(body: bytes) -> Any:
    if not body.strip():
        return {}
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise RequestError(400, "Request body must be valid JSON") from None


def _check_object(body: Any) -> dict[str, Any]:
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - a 400
    return body


def _check_names(given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for name in given:
        if name not in known:
            raise ValueError(f"unknown name {name!r}: known are {', '.join(known)}")


def _choice_in(query: Query, name: str, choices: tuple[Choice, ...]) -> Choice | None:
    text = query.get(name)
    for choice in choices:
        if choice == text:
            return choice
    if text is not None:
        raise ValueError(f"{name} must be one of {', '.join(choices)}, not {text!r}")
    return None


def _ani_in(query: Query) -> str | None:
    return parse_phone(query["ani"]) if "ani" in query else None


def _window_in(query: Query) -> tuple[int, int]:
    """Return the number of entries to skip, and the maximum number to return."""
    since = _number_in(query, "since", 0) if "since" in query else 0
    limit = _number_in(query, "limit", 1, _MOST_ENTRIES) if "limit" in query else _MOST_ENTRIES
    return since, limit


def _number_in(query: Query, name: str, least: int, most: int | None = None) -> int:
    text = query[name]
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else -1
    return check_whole_number(name, number, least, most)


def _flatten(entry: RequestEntry) -> dict[str, Any]:
    fields = attrs.asdict(entry)
    return {**fields, **fields.pop("ending")}
