"""What a call beside the API asks for: who calls, bodies and queries, read or refused."""

import ipaddress
from collections.abc import Mapping
from typing import Any, Final, TypeAlias, TypeVar
from urllib.parse import urlsplit

import msgspec
from aiohttp import hdrs

from nrm_async.sandbox import checks
from nrm_async.sandbox.api import RequestError

Query: TypeAlias = Mapping[str, str]
Name = TypeVar("Name", bound=str)

_MOST_ENTRIES: Final = 1_000  # in one answer of the books

# Names that nobody can own on the internet (RFC 6761, and ICANN's reservation of .internal).
_PRIVATE: Final = (".localhost", ".internal", ".test")


def check_caller(headers: Mapping[str, str]) -> None:
    """RequestError (403) for a page of somewhere else in a browser on this machine.

    Such a page may send requests here (it then tells its ``Origin``), and read the answers if its
    own name leads here (then the ``Host`` is that name: DNS rebinding).
    """
    origin = headers.get(hdrs.ORIGIN)
    if origin is not None and not _is_here(_name_in(origin)):
        raise RequestError(403, "Only pages of this machine may ask for this")
    if hdrs.HOST in headers and not _is_private(_name_in(f"//{headers[hdrs.HOST]}")):
        raise RequestError(403, "Ask for this at localhost, not at a public name")


def _name_in(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_here(name: str) -> bool:
    address = _address(name)
    return name == "localhost" if address is None else address.is_loopback


def _is_private(name: str) -> bool:
    if _address(name) is not None:
        return True
    return bool(name) and ("." not in name or name.endswith(_PRIVATE))


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def decoded(body: bytes) -> Any:
    """The body as JSON, an empty object where there is none; RequestError (400) if it is not."""
    if not body.strip():
        return {}
    try:
        return msgspec.json.decode(body)
    except (ValueError, RecursionError):
        raise RequestError(400, "Request body must be valid JSON") from None


def an_object(body: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """The body, if it is an object with these names only; else ValueError."""
    if not isinstance(body, dict):
        raise ValueError("the body must be a JSON object")  # noqa: TRY004 - a 400
    check_known(body, names)
    return body


def check_known(given: Mapping[str, Any], names: tuple[str, ...]) -> None:
    """ValueError for a name that is none of these."""
    for name in given:
        if name not in names:
            raise ValueError(f"unknown name {name!r}: known are {', '.join(names)}")


def one_of(query: Query, name: str, known: tuple[Name, ...]) -> Name | None:
    """The value under this name, None where there is none; ValueError if it is not known."""
    text = query.get(name)
    for one in known:
        if one == text:
            return one
    if text is not None:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {text!r}")
    return None


def ani_in(query: Query) -> str | None:
    """The number asked about, in canonical form; None where none is."""
    return checks.phone(query["ani"]) if "ani" in query else None


def window(query: Query) -> tuple[int, int]:
    """How many entries to leave out, and how many to give at most."""
    since = number_in(query, "since", 0, 0)
    limit = number_in(query, "limit", _MOST_ENTRIES, 1, _MOST_ENTRIES)
    return since or 0, limit or _MOST_ENTRIES


def number_in(
    query: Query, name: str, default: int | None, least: int, most: int | None = None
) -> int | None:
    """The whole number under this name; ValueError outside its limits."""
    text = query.get(name)
    if text is None:
        return default
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 18 else -1
    return checks.whole_number(name, number, least, most)
