"""Faults in writing: ``429:share=0.1,retry_after=2`` on a command line, objects in JSON."""

import re
from collections.abc import Mapping
from typing import Any, Final

import attrs

from nrm_async.sandbox.faults.kinds import KINDS, Fault
from nrm_async.sandbox.faults.rules import Ranges

_NUMBER: Final = re.compile(r"-?[0-9]{1,15}(\.[0-9]{1,15})?")
_WORDS: Final = {"true": True, "false": False, "yes": True, "no": False}
_BY_NAME: Final = {kind.name: kind for kind in KINDS}


def fault_of(spec: "str | Mapping[str, Any] | Fault") -> Fault:
    """The fault that is meant; ValueError with the known names where there is none such.

    Example:
        >>> fault_of("429:share=0.1,retry_after=2")
        TooManyRequests(endpoint=None, share=0.1, schedule=None, count=None, retry_after=2)
        >>> fault_of({"fault": "reset", "applied": True, "schedule": "2-3"}).schedule
        ((2, 3),)
    """
    if isinstance(spec, Fault):
        return spec
    if isinstance(spec, str):
        name, _, options = spec.partition(":")
        return _made(name.strip(), _options(options))
    if isinstance(spec, Mapping):
        fields = dict(spec)
        return _made(fields.pop("fault", None), fields)
    raise ValueError(f"a fault must be a text, an object or a Fault, not {spec!r}")


def plain(fault: Fault) -> dict[str, Any]:
    """The fault as an object for JSON, without what is left at its default."""
    told: dict[str, Any] = {"fault": fault.name}
    for one in attrs.fields(type(fault)):
        value = getattr(fault, one.name)
        if value != one.default:
            told[one.name] = _written(value) if one.name == "schedule" else value
    return told


def _written(ranges: Ranges) -> str:
    return ",".join(
        str(first) if first == last else f"{first}-{'' if last is None else last}"
        for first, last in ranges
    )


def _options(text: str) -> dict[str, Any]:
    options: dict[str, str] = {}
    name = ""
    for part in filter(None, text.split(",")):
        if "=" in part:
            name, _, value = part.partition("=")
            name = name.strip().replace("-", "_")
            options[name] = value.strip()
        elif name:  # a comma inside a schedule
            options[name] += f",{part.strip()}"
        else:
            raise ValueError(f"a fault is written NAME:OPTION=VALUE,…, not with {part!r}")
    return {name: _value(name, text) for name, text in options.items()}


def _value(name: str, text: str) -> Any:
    if name == "schedule" or (not _NUMBER.fullmatch(text) and text not in _WORDS):
        return text
    if text in _WORDS:
        return _WORDS[text]
    return float(text) if "." in text else int(text)


def _made(name: object, options: Mapping[str, Any]) -> Fault:
    kind = _BY_NAME.get(name) if isinstance(name, str) else None
    if kind is None:
        raise ValueError(f"unknown fault {name!r}: known are {', '.join(_BY_NAME)}")
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
