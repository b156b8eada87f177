"""Answers that are none: how each fault looks on the wire."""

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
from aiohttp import web

from nrm_async.sandbox.api import Reply
from nrm_async.sandbox.faults import (
    ConcurrencyCap,
    Fault,
    Hang,
    RateCap,
    Reset,
    ServerFailure,
    TooManyRequests,
    Truncate,
)

_PAGE: Final = b"<html><head><title>Bad Gateway</title></head><body>Bad Gateway</body></html>"
_ODD_FORMS: Final[Mapping[str, str]] = {
    "huge": "99999999999",
    "negative": "-5",
    "nan": "NaN",
    "garbage": "soon",
}


def lets_through(fault: Fault | None) -> bool:
    """Whether the request reaches the API at all."""
    if isinstance(fault, Reset | Hang | ServerFailure):
        return fault.applied
    return not isinstance(fault, TooManyRequests | RateCap | ConcurrencyCap)


def instead(fault: Fault | None, reply: Reply) -> Reply:
    """The reply that is sent: that of the fault, where it has one; the number stays known."""
    if isinstance(fault, TooManyRequests | RateCap | ConcurrencyCap):
        return _failure(reply, 429, "Too many requests", _retry_after(fault.retry_after))
    if isinstance(fault, ServerFailure):
        headers = _retry_after(fault.retry_after)
        if fault.html:
            html = {"Content-Type": "text/html", **headers}
            return attrs.evolve(
                reply, status=fault.status, body=_PAGE, words="Bad Gateway", headers=html
            )
        return _failure(reply, fault.status, "Service failure", headers)
    if isinstance(fault, Reset | Hang):
        return attrs.evolve(reply, status=0, words="")
    if isinstance(fault, Truncate) and fault.silent:
        return attrs.evolve(reply, body=_kept(fault, reply.body))
    return reply


def _failure(reply: Reply, status: int, message: str, headers: Mapping[str, str]) -> Reply:
    body = msgspec.json.encode({"success": False, "message": message})
    return attrs.evolve(reply, status=status, body=body, words=message, headers=headers)


def _retry_after(value: float | str | None) -> Mapping[str, str]:
    if value is None or value == "none":
        return {}
    if isinstance(value, str) and value.startswith("date"):
        _, _, seconds = value.partition(":")
        # By the system's clock, like the Date header: whoever waits has no other.
        return {"Retry-After": formatdate(math.ceil(time.time()) + int(seconds or 1), usegmt=True)}
    return {"Retry-After": _ODD_FORMS.get(str(value), str(value))}


def reset(request: web.BaseRequest) -> NoReturn:
    """Reset the connection."""
    transport = request.transport
    if transport is not None:
        _linger_not(transport.get_extra_info("socket"))
        transport.abort()
    raise ConnectionResetError


def _linger_not(sock: socket.socket | None) -> None:
    if sock is not None:  # closing then sends RST, not FIN
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


async def hang(request: web.BaseRequest, fault: Hang) -> NoReturn:
    """Say nothing, until the client leaves or the sandbox stops, or for so long."""
    if fault.seconds is None:
        await asyncio.Event().wait()
    else:
        await asyncio.sleep(fault.seconds)
    if request.transport is not None:
        request.transport.close()
    raise ConnectionResetError


async def truncate(request: web.BaseRequest, fault: Truncate, whole: web.Response) -> NoReturn:
    """Announce the whole body, send a part of it, and close the connection."""
    body = whole.body
    assert isinstance(body, bytes)  # noqa: S101 - replies are made of bytes
    part = web.StreamResponse(status=whole.status, headers=whole.headers)
    part.content_length = len(body)
    await part.prepare(request)
    await part.write(_kept(fault, body))
    if request.transport is not None:
        request.transport.close()
    raise ConnectionResetError


def _kept(fault: Truncate, body: bytes) -> bytes:
    return body[: min(int(len(body) * fault.keep), len(body) - 1)]
