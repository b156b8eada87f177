"""Whether the direct path may be taken: aiohttp does what is known, and nobody listens in."""

from collections.abc import Mapping
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, Final

import aiohttp

from nrm_async._transport.connector import Connector

# Of these versions it is known that their sessions do no more than what is done here.
KNOWN_VERSIONS: Final = ("3.14.",)

_SESSION: Final = aiohttp.ClientSession


def _genuine(owner: type, name: str) -> object:
    """A method of aiohttp's, if nobody has put another in its place."""
    method: Any = vars(owner).get(name)
    # Wrappers pass for what they wrap in any other way of asking.
    is_own = type(method) is FunctionType and _is_in_aiohttp(method.__code__.co_filename)
    return method if is_own else None


def _is_in_aiohttp(file: str) -> bool:
    return Path(file).parent == Path(aiohttp.__file__).parent


_REQUEST: Final = _genuine(_SESSION, "request")
_INNER: Final = _genuine(_SESSION, "_request")

# A session of our own is made so. A program can have all its sessions made otherwise: with
# tracing, with a proxy, with recorders.
_AS_MADE: Final[Mapping[str, object]] = {
    "_default_auth": None,
    "_default_proxy": None,
    "_middlewares": (),
    "_request_class": aiohttp.ClientRequest,
    "_response_class": aiohttp.ClientResponse,
    "_trace_configs": [],
}


def is_supported(session: aiohttp.ClientSession) -> bool:
    """Whether all that this session does is known: this aiohttp, and nobody listening in."""
    return (
        aiohttp.__version__.startswith(KNOWN_VERSIONS)
        and (aiohttp.ClientSession, type(session)) == (_SESSION, _SESSION)
        and type(session.connector) is Connector
        and type(session.cookie_jar) is aiohttp.DummyCookieJar
        and not session.headers
        and all(getattr(session, name, session) == made for name, made in _AS_MADE.items())
        and None not in (_REQUEST, _INNER)
        and _genuine(aiohttp.ClientRequest, "send") is not None
        and _genuine(aiohttp.ClientResponse, "start") is not None
    )


def is_unpatched(session: aiohttp.ClientSession) -> bool:
    """Whether the session's methods are aiohttp's at this moment: mocks stand in their place."""
    public: Any = session.request
    inner: Any = session._request  # noqa: SLF001 - where mocks stand
    # Wrappers have the very attributes of what they wrap, but not its type.
    return (
        type(public) is type(inner) is MethodType
        and public.__func__ is _REQUEST
        and inner.__func__ is _INNER
    )
