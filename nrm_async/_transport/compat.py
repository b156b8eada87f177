"""Inspect a session: detect patched methods and the arguments they accept."""

import inspect
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import FunctionType, MethodType
from typing import Any, Final

import aiohttp

from nrm_async._transport.connector import Connector

# Versions in which a session is known to handle these requests exactly as the direct path does.
KNOWN_VERSIONS: Final = ("3.14.",)

_SESSION: Final = aiohttp.ClientSession


def _genuine(owner: type, name: str) -> object:
    """Return aiohttp's own method, or ``None`` if it was replaced or wrapped."""
    method: Any = vars(owner).get(name)
    # A less strict check would accept wrappers, which imitate the wrapped function.
    is_own = type(method) is FunctionType and _is_in_aiohttp(method.__code__.co_filename)
    return method if is_own else None


def _is_in_aiohttp(file: str) -> bool:
    return Path(file).parent == Path(aiohttp.__file__).parent


_REQUEST: Final = _genuine(_SESSION, "request")
_INNER: Final = _genuine(_SESSION, "_request")

_VCR_STUBS: Final = "vcr.stubs.aiohttp_stubs"
_VCR_ERRORS: Final = "vcr.errors"

# Default attributes of our own sessions. They differ if a program has patched the class to add
# tracing, a proxy or a recorder to every session.
_UNCHANGED: Final[Mapping[str, object]] = {
    "_default_auth": None,
    "_default_proxy": None,
    "_middlewares": (),
    "_request_class": aiohttp.ClientRequest,
    "_response_class": aiohttp.ClientResponse,
    "_trace_configs": [],
}


def is_direct_path_safe(session: aiohttp.ClientSession) -> bool:
    """Return whether the session has no tracing, mocks, patches or other unknown behaviour."""
    return (
        aiohttp.__version__.startswith(KNOWN_VERSIONS)
        and (aiohttp.ClientSession, type(session)) == (_SESSION, _SESSION)
        and type(session.connector) is Connector
        and type(session.cookie_jar) is aiohttp.DummyCookieJar
        and not session.headers
        and all(getattr(session, name, session) == usual for name, usual in _UNCHANGED.items())
        and None not in (_REQUEST, _INNER)
        and _genuine(aiohttp.ClientRequest, "send") is not None
        and _genuine(aiohttp.ClientResponse, "start") is not None
    )


def is_unpatched(session: aiohttp.ClientSession) -> bool:
    """Return whether the methods are aiohttp's own. Mocks can replace them at any time."""
    public: Any = session.request
    inner: Any = session._request  # noqa: SLF001 - the method that mocks replace
    # Wrappers imitate the attributes of the wrapped method, but not its type.
    return (
        type(public) is type(inner) is MethodType
        and public.__func__ is _REQUEST
        and inner.__func__ is _INNER
    )


def sends_through_aiohttp(session: aiohttp.ClientSession) -> bool:
    """Return whether the session sends requests only with aiohttp's own ``_request``.

    If so, aiohttp's upload tracker shows whether anything was sent. vcrpy either replays a
    response, refuses the request, or calls the method that it replaced. Any other patch may send
    in another way, and a mock of the network may simulate a request that was sent.
    """
    if is_unpatched(session):
        return True
    inner: Any = getattr(session._request, "__func__", None)  # noqa: SLF001
    return (
        type(inner) is FunctionType
        and inner.__globals__.get("__name__") == _VCR_STUBS
        and getattr(inner, "__wrapped__", None) is _INNER
        and type(session.request) is MethodType
        and session.request.__func__ is _REQUEST
    )


def is_refused_by_recorder(error: Exception) -> bool:
    """Return whether a cassette recorder refused to send. Retrying would not help."""
    return type(error).__module__ == _VCR_ERRORS


def unaccepted(session: aiohttp.ClientSession, names: Collection[str]) -> set[str]:
    """Return the keyword arguments that the session's methods, if overridden, do not accept."""
    if is_unpatched(session):
        return set()
    return {
        name
        for method in (session.request, session._request)  # noqa: SLF001
        for name in _unaccepted(method, names)
    }


def _unaccepted(method: Callable[..., object], names: Collection[str]) -> Collection[str]:
    try:
        # A wrapper reports the signature of the wrapped function, but only accepts its own.
        parameters = inspect.signature(method, follow_wrapped=False).parameters
    except (TypeError, ValueError):  # a callable without a signature
        return ()
    if any(one.kind is one.VAR_KEYWORD for one in parameters.values()):
        return ()
    return [name for name in names if name not in parameters]
