"""A small server that can do what no server should, and keeps books of what it really applied.

It speaks just enough HTTP/1.1 for one client, and holds the API's state: numbers that are in
service or resting, and those that were remediated. What it does with a request is a *fault*: a
coroutine function that is given the ``Exchange``. Faults come from a script, one for each next
request of a method; where the script is empty, the request is answered normally. What befalls a
connection before anything is read from it is a *greeting*, scripted alike.
"""

import asyncio
import contextlib
import gzip
import json
import socket
import ssl
import struct
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

import attrs

from nrm_async.models import ACTIVE

WORDS: Final = {"/pause": "paused", "/activate": "active", "/remediate": "received request"}
REFUSALS: Final = {
    "/pause": "Only active and managed ANIs can be paused",
    "/activate": "Only ANIs in cooling off status can be activated",
    "/remediate": "ANI not found in inventory",
}
EMPTY: Final[Mapping[str, str]] = {}


@attrs.frozen
class Asked:
    """One request, as it was read."""

    method: str
    path: str
    query: Mapping[str, str]
    said: Mapping[str, Any]

    @property
    def ani(self) -> str:
        """The number that it is about."""
        return str(self.said.get("ani") or self.query.get("number", ""))


class Exchange:
    """One request and the connection it came on, in the hands of a fault."""

    def __init__(self, server: "FaultServer", asked: Asked, writer: asyncio.StreamWriter) -> None:
        self.server = server
        self.asked = asked
        self.writer = writer

    def judge(self, *, applied: bool = True) -> dict[str, Any]:
        """What the API says to this; an action is applied by it, unless it is not to be."""
        if self.asked.method == "GET":
            return self.server.page(self.asked.query)
        if applied:
            return self.server.judge(self.asked.path, self.asked.ani)
        return {"status": WORDS[self.asked.path], "ani": self.asked.ani}

    async def answer(
        self, body: object = None, status: int = 200, headers: Mapping[str, str] = EMPTY
    ) -> None:
        """Answer well-formed: JSON, or text and bytes as they are; the truth if left out."""
        payload = encoded(self.judge() if body is None else body)
        await self.send(head(status, {"Content-Length": str(len(payload)), **headers}) + payload)

    async def send(self, raw: bytes) -> None:
        """Write these very bytes."""
        self.writer.write(raw)
        await self.writer.drain()

    def reset(self) -> None:
        """End the connection with a reset."""
        self.writer.transport.abort()

    def close(self) -> None:
        """End the connection in good order, after what was written."""
        self.writer.close()


Fault: TypeAlias = Callable[[Exchange], Awaitable[None]]
Greeting: TypeAlias = Callable[[socket.socket], Awaitable[bool]]
Ending: TypeAlias = Literal["reset", "close"]


def encoded(body: object) -> bytes:
    """A body as bytes: JSON, unless it is text or bytes already."""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """The status line and the headers."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


@attrs.define(eq=False, repr=False)
class FaultServer:
    """The server: its script, its state, and its books.

    Attributes:
        active: Whether each number of the inventory is in service.
        context: TLS context; plain HTTP without one.
        greetings: What befalls the next connections.
        requests: All requests that were read, in order.
        applied: How often each action was applied to each number.
        connections: How many connections were accepted.
        port: Where it listens; 0 before it is started the first time.
    """

    active: dict[str, bool] = attrs.field(factory=dict)
    context: ssl.SSLContext | None = None
    greetings: deque[Greeting] = attrs.field(factory=deque)
    requests: list[Asked] = attrs.field(factory=list)
    applied: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    connections: int = 0
    port: int = 0
    _next: dict[str, deque[Fault]] = attrs.field(factory=dict)
    _always: dict[str, Fault] = attrs.field(factory=dict)
    _late: list[list[Any]] = attrs.field(factory=list)
    _remediated: set[str] = attrs.field(factory=set)
    _news: asyncio.Event = attrs.field(factory=asyncio.Event)
    _tasks: set["asyncio.Task[Any]"] = attrs.field(factory=set)

    # --- script ------------------------------------------------------------------------

    def then(self, method: str, *faults: Fault) -> None:
        """Do these to the next requests of this method."""
        self._next.setdefault(method, deque()).extend(faults)

    def always(self, method: str, fault: Fault) -> None:
        """Do this to every request of this method for which nothing else is scripted."""
        self._always[method] = fault

    def behave(self) -> None:
        """Forget the script: from now on all is well."""
        self._next.clear()
        self._always.clear()
        self.greetings.clear()

    # --- books -------------------------------------------------------------------------

    @property
    def posts(self) -> int:
        """How many actions were read."""
        return sum(asked.method == "POST" for asked in self.requests)

    @property
    def gets(self) -> int:
        """How many reads were read."""
        return len(self.requests) - self.posts

    async def seen(self, count: int) -> None:
        """Wait until so many requests were read."""
        while len(self.requests) < count:
            self._news.clear()
            await self._news.wait()

    # --- the API -----------------------------------------------------------------------

    def judge(self, path: str, ani: str) -> dict[str, Any]:
        """Apply an action, or refuse it, as the API would."""
        if path == "/remediate" and ani in self._remediated:
            return {"status": "within cooldown"}
        fits = ani in self.active if path == "/remediate" else self.active.get(ani)
        if fits is not (path != "/activate"):
            return {"success": False, "message": REFUSALS[path]}
        self.applied[path, ani] += 1
        if path == "/remediate":
            self._remediated.add(ani)
        else:
            self.active[ani] = path == "/activate"
        return {"status": WORDS[path], "ani": ani}

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """One page of the inventory."""
        page, size = int(query["page"]), int(query["page_size"])
        anis = [ani for ani in self.active if ani.startswith(query.get("number", ""))]
        shown = anis[(page - 1) * size : page * size]
        return {
            "count": len(shown),
            "total_anis": len(anis),
            "total_pages": -(-len(anis) // size),
            "can_next_page": page * size < len(anis),
            "can_prev_page": page > 1,
            "data": [row(ani, is_active=self.active[ani]) for ani in shown],
        }

    def postpone(self, path: str, ani: str, requests: int) -> None:
        """Apply an action only when so many further requests on its number have come."""
        self._late.append([requests, path, ani])

    def _hear_late(self, ani: str) -> None:
        for entry in [entry for entry in self._late if entry[2] == ani]:
            entry[0] -= 1
            if entry[0] <= 0:
                self._late.remove(entry)
                self.judge(entry[1], ani)

    # --- life --------------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}/nrm"

    async def start(self) -> None:
        """Listen; on the same port as before, if it was stopped."""
        listening = socket.create_server(("127.0.0.1", self.port))
        listening.setblocking(False)
        self.port = listening.getsockname()[1]
        self._spawn(self._accept(listening))

    async def stop(self) -> None:
        """Stop listening, and drop all connections."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self, listening: socket.socket) -> None:
        with listening:
            while True:
                sock, _ = await asyncio.get_running_loop().sock_accept(listening)
                self.connections += 1
                greeting = self.greetings.popleft() if self.greetings else welcome
                self._spawn(self._serve(sock, greeting))

    async def _serve(self, sock: socket.socket, greeting: Greeting) -> None:
        with sock, contextlib.suppress(OSError):
            if not await greeting(sock):
                return
            loop, reader = asyncio.get_running_loop(), asyncio.StreamReader()
            protocol = asyncio.StreamReaderProtocol(reader)
            transport, _ = await loop.connect_accepted_socket(
                lambda: protocol, sock.dup(), ssl=self.context
            )
            writer = asyncio.StreamWriter(transport, protocol, reader, loop)
            sock.close()  # the transport has its own
            try:
                with contextlib.suppress(EOFError):
                    await self._talk(reader, writer)
                writer.close()
                await writer.wait_closed()
            finally:
                transport.abort()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            asked = await _read(reader)
            self.requests.append(asked)
            self._news.set()
            self._hear_late(asked.ani)
            await self._fault_for(asked.method)(Exchange(self, asked, writer))

    def _fault_for(self, method: str) -> Fault:
        script = self._next.get(method)
        return script.popleft() if script else self._always.get(method, behave)


async def _read(reader: asyncio.StreamReader) -> Asked:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _version = lines[0].split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    path = url.path.removeprefix("/nrm")
    return Asked(method, path, dict(parse_qsl(url.query)), json.loads(body or b"{}"))


def row(ani: str, *, is_active: bool = True, **fields: object) -> dict[str, object]:
    """A row of the inventory."""
    status = ACTIVE if is_active else "COOLING_OFF"
    return {"id": int(ani), "phone": ani, "status": status, "blockRate": 1.5, **fields}


# --- greetings: before anything is read, the TLS handshake too ------------------------------


async def welcome(sock: socket.socket) -> bool:
    """Serve this connection like any other."""
    return True


async def slam(sock: socket.socket) -> bool:
    """Reset it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def part(sock: socket.socket) -> bool:
    """Close it."""
    sock.shutdown(socket.SHUT_WR)  # a close with something unread would be a reset
    return False


def unread(greeting: Greeting) -> Greeting:
    """The same, as soon as a request has come; nothing of it is read."""

    async def greet(sock: socket.socket) -> bool:
        loop, has_come = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(sock, has_come.set)
        try:
            await has_come.wait()
        finally:
            loop.remove_reader(sock)
        return await greeting(sock)

    return greet


async def ignore(sock: socket.socket) -> bool:
    """Neither read nor write."""
    return await asyncio.Event().wait()


# --- faults: after a request was read ------------------------------------------------------


async def behave(exchange: Exchange) -> None:
    """Answer as the API would."""
    await exchange.answer()


def drop(how: Ending, *, applied: bool) -> Fault:
    """Read it, apply it or not, and answer nothing."""

    async def fault(exchange: Exchange) -> None:
        exchange.judge(applied=applied)
        exchange.reset() if how == "reset" else exchange.close()

    return fault


def hang(*, applied: bool, until: asyncio.Event | None = None) -> Fault:
    """Apply it or not, and do not answer: never, or not until told to."""

    async def fault(exchange: Exchange) -> None:
        said = exchange.judge(applied=applied)
        await (until or asyncio.Event()).wait()
        await exchange.answer(said)

    return fault


def late(requests: int) -> Fault:
    """Apply it only after so many further requests on its number, and do not answer."""

    async def fault(exchange: Exchange) -> None:
        exchange.server.postpone(exchange.asked.path, exchange.asked.ani, requests)
        exchange.reset()

    return fault


def drip(*, applied: bool) -> Fault:
    """Answer a byte at a time, so slowly that it never ends."""

    async def fault(exchange: Exchange) -> None:
        body = encoded(exchange.judge(applied=applied))
        await exchange.send(head(200, {"Content-Length": str(len(body))}))
        for byte in body:
            await exchange.send(bytes([byte]))
            await asyncio.sleep(0.05)

    return fault


Framing: TypeAlias = Literal["length", "chunked", "none", "gzip"]


def cut(framing: Framing, *, applied: bool, share: float = 0.6) -> Fault:
    """Answer with the beginning of the truth, as if it were all."""

    async def fault(exchange: Exchange) -> None:
        body = encoded(exchange.judge(applied=applied))
        headers = {"Connection": "close"}
        if framing == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        part = body[: int(len(body) * share)]
        if framing == "length":
            headers["Content-Length"] = str(len(body))
        elif framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
            part = b"%x\r\n%s" % (len(body), part)
        await exchange.send(head(200, headers) + part)
        exchange.close()

    return fault


def blurt(raw: bytes, *, applied: bool) -> Fault:
    """Say these very bytes, and close."""

    async def fault(exchange: Exchange) -> None:
        exchange.judge(applied=applied)
        await exchange.send(raw)
        exchange.close()

    return fault


def say(
    body: object,
    status: int = 200,
    headers: Mapping[str, str] = EMPTY,
    *,
    applied: bool = False,
) -> Fault:
    """Answer this, well-formed; apply it or not."""

    async def fault(exchange: Exchange) -> None:
        exchange.judge(applied=applied)
        await exchange.answer(body, status, headers)

    return fault


def envelope(**said: object) -> Fault:
    """Answer the truth, but for these parts of it."""

    async def fault(exchange: Exchange) -> None:
        await exchange.answer(exchange.judge() | said)

    return fault


def flood(*, applied: bool) -> Fault:
    """Answer without end."""

    async def fault(exchange: Exchange) -> None:
        exchange.judge(applied=applied)
        await exchange.send(head(200, {"Connection": "close"}) + b'{"data": [')
        while not exchange.writer.is_closing():
            await exchange.send(b"1," * 2**14)

    return fault
