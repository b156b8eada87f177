"""A server that breaks HTTP, TLS and TCP on request, and records what it applied.

It speaks just enough HTTP/1.1 for one client. What it does with a request is a *fault*: a coroutine
function that receives the ``Exchange``. A script holds the faults of the next requests for each
method; without one, requests are processed normally. Likewise, an ``AcceptHook`` handles a
connection before anything is read from it.
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

from tests.fakes import Account

NO_HEADERS: Final[Mapping[str, str]] = {}


@attrs.frozen
class ReceivedRequest:
    """A request as it was read."""

    method: str
    path: str
    query: Mapping[str, str]
    fields: Mapping[str, Any]

    @property
    def ani(self) -> str:
        """The number that it is about."""
        return str(self.fields.get("ani") or self.query.get("number", ""))


class Exchange:
    """A request and its connection, for a fault to handle."""

    def __init__(
        self, server: "FaultServer", request: ReceivedRequest, writer: asyncio.StreamWriter
    ) -> None:
        self.server = server
        self.request = request
        self.writer = writer

    def process(self, *, applied: bool = True) -> dict[str, Any]:
        """Return the API's reply, and apply an action unless ``applied`` is false."""
        if self.request.method == "GET":
            return self.server.page(self.request.query)
        if applied:
            return self.server.process(self.request.path, self.request.ani)
        return self.server.reply(self.request.path, self.request.ani, is_applied=True)

    async def answer(
        self, body: object = None, status: int = 200, headers: Mapping[str, str] = NO_HEADERS
    ) -> None:
        """Send a valid response: by default, process the request and send the API's reply."""
        payload = encoded(self.process() if body is None else body)
        await self.send(head(status, {"Content-Length": str(len(payload)), **headers}) + payload)

    async def send(self, raw: bytes) -> None:
        """Send exactly these bytes."""
        self.writer.write(raw)
        await self.writer.drain()

    def reset(self) -> None:
        """Reset the connection."""
        self.writer.transport.abort()

    def close(self) -> None:
        """Close the connection after what was sent."""
        self.writer.close()


Fault: TypeAlias = Callable[[Exchange], Awaitable[None]]
AcceptHook: TypeAlias = Callable[[socket.socket], Awaitable[bool]]
Ending: TypeAlias = Literal["reset", "close"]
Framing: TypeAlias = Literal["length", "chunked", "none", "gzip"]


def encoded(body: object) -> bytes:
    """Return a body as bytes: text and bytes as they are, anything else as JSON."""
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return a status line and headers."""
    lines = [f"HTTP/1.1 {status} Whatever", *(f"{k}: {v}" for k, v in headers.items()), "", ""]
    return "\r\n".join(lines).encode()


@attrs.define(eq=False, repr=False)
class FaultServer(Account):
    """The server: its faults, its state, and its records.

    Attributes:
        context: TLS context; plain HTTP without one.
        accept_hooks: Handle the next connections before anything is read from them.
        requests: All requests that were read, in order.
        applied: How often each action was applied to each number.
        connections: Number of accepted connections.
        port: Where it listens; 0 until it starts for the first time.
    """

    context: ssl.SSLContext | None = None
    accept_hooks: deque[AcceptHook] = attrs.field(factory=deque)
    requests: list[ReceivedRequest] = attrs.field(factory=list)
    applied: Counter[tuple[str, str]] = attrs.field(factory=Counter)
    connections: int = 0
    port: int = 0
    _next: dict[str, deque[Fault]] = attrs.field(factory=dict)
    _always: dict[str, Fault] = attrs.field(factory=dict)
    _late: list[list[Any]] = attrs.field(factory=list)
    _arrived: asyncio.Event = attrs.field(factory=asyncio.Event)
    _tasks: set["asyncio.Task[Any]"] = attrs.field(factory=set)

    # --- faults ------------------------------------------------------------------------

    def then(self, method: str, *faults: Fault) -> None:
        """Apply these faults to the next requests with this method."""
        self._next.setdefault(method, deque()).extend(faults)

    def always(self, method: str, fault: Fault) -> None:
        """Apply this fault to every request with this method that ``then`` does not cover."""
        self._always[method] = fault

    def clear_faults(self) -> None:
        """Process requests normally from now on."""
        self._next.clear()
        self._always.clear()
        self.accept_hooks.clear()

    # --- records -----------------------------------------------------------------------

    @property
    def posts(self) -> int:
        """Number of actions that were read."""
        return sum(request.method == "POST" for request in self.requests)

    @property
    def gets(self) -> int:
        """Number of reads that were read."""
        return len(self.requests) - self.posts

    async def received(self, count: int) -> None:
        """Wait until this number of requests was read."""
        while len(self.requests) < count:
            self._arrived.clear()
            await self._arrived.wait()

    # --- the API -----------------------------------------------------------------------

    def process(self, path: str, ani: str) -> dict[str, Any]:
        """Apply or refuse an action, and return the API's reply."""
        is_applied = self.apply(path, ani)
        if is_applied:
            self.applied[path, ani] += 1
        return self.reply(path, ani, is_applied=is_applied)

    def page(self, query: Mapping[str, str]) -> dict[str, Any]:
        """Return a page of the inventory."""
        return self.list_page(int(query["page"]), int(query["page_size"]), query.get("number", ""))

    def postpone(self, path: str, ani: str, requests: int) -> None:
        """Apply an action only after this number of further requests for its number."""
        self._late.append([requests, path, ani])

    def _apply_late(self, ani: str) -> None:
        for entry in [entry for entry in self._late if entry[2] == ani]:
            entry[0] -= 1
            if entry[0] <= 0:
                self._late.remove(entry)
                self.process(entry[1], ani)

    # --- connections -------------------------------------------------------------------

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"http{'s' if self.context else ''}://127.0.0.1:{self.port}/nrm"

    async def start(self) -> None:
        """Listen, on the same port as before if it was stopped."""
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
                hook = self.accept_hooks.popleft() if self.accept_hooks else None
                self._spawn(self._serve(sock, hook))

    async def _serve(self, sock: socket.socket, hook: AcceptHook | None) -> None:
        with sock, contextlib.suppress(OSError):
            if hook is not None and not await hook(sock):
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
                    await self._handle(reader, writer)
                writer.close()
                await writer.wait_closed()
            finally:
                transport.abort()

    async def _handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while not writer.is_closing():
            request = await _read(reader)
            self.requests.append(request)
            self._arrived.set()
            self._apply_late(request.ani)
            script = self._next.get(request.method)
            fault = script.popleft() if script else self._always.get(request.method, succeed)
            await fault(Exchange(self, request, writer))


async def _read(reader: asyncio.StreamReader) -> ReceivedRequest:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    method, target, _version = lines[0].split(" ")
    headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    url = urlsplit(target)
    path = url.path.removeprefix("/nrm")
    return ReceivedRequest(method, path, dict(parse_qsl(url.query)), json.loads(body or b"{}"))


# --- hooks: before anything is read, the TLS handshake too -----------------------------------


async def reset_unread(sock: socket.socket) -> bool:
    """Reset the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    return False


async def close_unread(sock: socket.socket) -> bool:
    """Close the connection."""
    sock.shutdown(socket.SHUT_WR)  # a close with something unread would be a reset
    return False


def once_readable(hook: AcceptHook) -> AcceptHook:
    """Run this hook as soon as a request has arrived; nothing of it is read."""

    async def wait(sock: socket.socket) -> bool:
        loop, is_readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(sock, is_readable.set)
        try:
            await is_readable.wait()
        finally:
            loop.remove_reader(sock)
        return await hook(sock)

    return wait


async def stall(sock: socket.socket) -> bool:
    """Neither read nor write."""
    return await asyncio.Event().wait()


# --- faults: after a request was read --------------------------------------------------------


async def succeed(exchange: Exchange) -> None:
    """Reply as the API does."""
    await exchange.answer()


def drop(how: Ending, *, applied: bool) -> Fault:
    """Apply the action or not, and end the connection without a reply."""

    async def fault(exchange: Exchange) -> None:
        exchange.process(applied=applied)
        exchange.reset() if how == "reset" else exchange.close()

    return fault


def hang(*, applied: bool, until: asyncio.Event | None = None) -> Fault:
    """Apply the action or not, and do not reply until the event is set, or never."""

    async def fault(exchange: Exchange) -> None:
        payload = exchange.process(applied=applied)
        await (until or asyncio.Event()).wait()
        await exchange.answer(payload)

    return fault


def late(requests: int) -> Fault:
    """Apply the action only after further requests for its number, and reset the connection."""

    async def fault(exchange: Exchange) -> None:
        exchange.server.postpone(exchange.request.path, exchange.request.ani, requests)
        exchange.reset()

    return fault


def drip(*, applied: bool) -> Fault:
    """Send the reply byte by byte, so slowly that it takes longer than any attempt may."""

    async def fault(exchange: Exchange) -> None:
        body = encoded(exchange.process(applied=applied))
        await exchange.send(head(200, {"Content-Length": str(len(body))}))
        for byte in body:
            await exchange.send(bytes([byte]))
            await asyncio.sleep(0.05)

    return fault


def cut(framing: Framing, *, applied: bool, share: float = 0.6) -> Fault:
    """Send only the beginning of the reply."""

    async def fault(exchange: Exchange) -> None:
        body = encoded(exchange.process(applied=applied))
        headers = {"Connection": "close"}
        if framing == "gzip":
            body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
        beginning = body[: int(len(body) * share)]
        if framing == "length":
            headers["Content-Length"] = str(len(body))
        elif framing == "chunked":
            headers["Transfer-Encoding"] = "chunked"
            beginning = b"%x\r\n%s" % (len(body), beginning)
        await exchange.send(head(200, headers) + beginning)
        exchange.close()

    return fault


def send_raw(raw: bytes, *, applied: bool) -> Fault:
    """Apply the action or not, send exactly these bytes, and close the connection."""

    async def fault(exchange: Exchange) -> None:
        exchange.process(applied=applied)
        await exchange.send(raw)
        exchange.close()

    return fault


def say(
    body: object,
    status: int = 200,
    headers: Mapping[str, str] = NO_HEADERS,
    *,
    applied: bool = False,
) -> Fault:
    """Apply the action or not, and send this response."""

    async def fault(exchange: Exchange) -> None:
        exchange.process(applied=applied)
        await exchange.answer(body, status, headers)

    return fault


def envelope(**wrong: object) -> Fault:
    """Send the API's reply with these fields replaced."""

    async def fault(exchange: Exchange) -> None:
        await exchange.answer(exchange.process() | wrong)

    return fault


def flood(*, applied: bool) -> Fault:
    """Apply the action or not, and send an endless body."""

    async def fault(exchange: Exchange) -> None:
        exchange.process(applied=applied)
        await exchange.send(head(200, {"Connection": "close"}) + b'{"data": [')
        while not exchange.writer.is_closing():
            await exchange.send(b"1," * 2**14)

    return fault
