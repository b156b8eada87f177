"""Conversion of faults from text (``429:share=0.1,retry_after=2``), and from and to JSON."""

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from nrm_async.sandbox.faults.kinds import KINDS, Fault, Ranges

_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_BOOLEANS: Final = {"true": True, "false": False, "yes": True, "no": False}
_KIND_BY_NAME: Final = {kind.name: kind for kind in KINDS}


def parse_fault(spec: "str | Mapping[str, Any] | Fault") -> Fault:
    """Create a fault from a string or a mapping. Return a fault unchanged.

    Raises:
        ValueError: The fault name or an option is unknown, missing or invalid.

    Example:
        >>> parse_fault("429:share=0.1,retry_after=2")
        TooManyRequests(endpoint=None, share=0.1, schedule=None, count=None, retry_after=2)
        >>> parse_fault({"fault": "reset", "applied": True, "schedule": "2-3"}).schedule
        ((2, 3),)
    """
    if isinstance(spec, Fault):
        return spec
    if isinstance(spec, str):
        name, _, options = spec.partition(":")
        return _make(name.strip(), _parse_options(options))
    if isinstance(spec, Mapping):
        fields = dict(spec)
        return _make(fields.pop("fault", None), fields)
    raise ValueError(f"a fault must be a string, an object or a Fault, not {spec!r}")


def fault_to_dict(fault: Fault) -> dict[str, Any]:
    """Return the fault as a JSON-compatible dictionary, omitting default values."""
    options: dict[str, Any] = {"fault": fault.name}
    for one in attrs.fields(type(fault)):
        value = getattr(fault, one.name)
        if value != one.default:
            options[one.name] = _schedule_text(value) if one.name == "schedule" else value
    return options


def _schedule_text(ranges: Ranges) -> str:
    return ",".join(
        str(first) if first == last else f"{first}-{'' if last is None else last}"
        for first, last in ranges
    )


def _parse_options(text: str) -> dict[str, Any]:
    options: dict[str, str] = {}
    name = ""
    for part in filter(None, text.split(",")):
        if "=" in part:
            name, _, value = part.partition("=")
            name = name.strip().replace("-", "_")
            options[name] = value.strip()
        elif name:  # continues a schedule, which contains commas
            options[name] += f",{part.strip()}"
        else:
            raise ValueError(f"a fault must be written NAME:OPTION=VALUE,…, not {part!r}")
    return {name: _parse_value(name, text) for name, text in options.items()}


def _parse_value(name: str, text: str) -> Any:
    if text in _BOOLEANS and name != "schedule":
        return _BOOLEANS[text]
    if name == "schedule" or not _NUMBER.fullmatch(text):
        return text
    return float(text) if "." in text else int(text)


def _make(name: object, options: Mapping[str, Any]) -> Fault:
    kind = _KIND_BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"unknown fault {name!r}: known are {', '.join(_KIND_BY_NAME)}")
    known = {one.name: one for one in attrs.fields(kind)}
    for option in options:
        if option not in known:
            raise ValueError(
                f"unknown option {option!r} of fault {name}: known are {', '.join(known)}"
            )
    for option, one in known.items():
        if one.default is attrs.NOTHING and option not in options:
            raise ValueError(f"fault {name} needs {option}")
    try:
        return kind(**options)
    except (ValueError, TypeError) as error:
        raise ValueError(f"fault {name}: {error}") from None
