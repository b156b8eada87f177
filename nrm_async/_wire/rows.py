"""One row at a time, through cattrs with strict hooks: by default it coerces silently.

This is the slow way. It is worth its time where a value breaks the contract: good rows are
kept, and a bad field is named by its path. cattrs is loaded by the first such page: most programs
never meet one, and it would be a tenth of what importing this package takes.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import msgspec

from nrm_async._wire.messages import printable
from nrm_async.models import Ani, MalformedRow

if TYPE_CHECKING:
    import cattrs
    from cattrs.errors import ClassValidationError


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


ROW_FIELDS: Final = tuple(a for a in attrs.fields(Ani) if a.name != "extra")
NAME_ON_THE_WIRE: Final = {a.name: _camel(a.name) for a in ROW_FIELDS}
_KNOWN_ON_THE_WIRE: Final = frozenset(NAME_ON_THE_WIRE.values())


def read_row(index: int, raw: object) -> Ani | MalformedRow:
    if not isinstance(raw, dict):
        return MalformedRow(f"$.data[{index}]", f"must be an object, not {_kind(raw)}")
    known = {name: raw[wire] for name, wire in NAME_ON_THE_WIRE.items() if wire in raw}
    known["extra"] = {key: value for key, value in raw.items() if key not in _KNOWN_ON_THE_WIRE}
    from cattrs.errors import ClassValidationError  # noqa: PLC0415 - see above

    try:
        return _row_converter().structure(known, Ani)
    except ClassValidationError as error:
        return _malformed(index, raw, error)


def _malformed(
    index: int, raw: Mapping[str, object], error: "ClassValidationError"
) -> MalformedRow:
    noted, _others = error.group_exceptions()
    problems = [(NAME_ON_THE_WIRE[note.name], cause) for cause, note in noted]
    field, cause = problems[0]
    problem = "is missing" if isinstance(cause, KeyError) else printable(str(cause), 100)
    if len(problems) > 1:
        problem += f" (and {len(problems) - 1} more in this row)"
    phone = raw.get("phone")
    return MalformedRow(
        f"$.data[{index}].{field}",
        problem,
        phone if isinstance(phone, str) and re.fullmatch(_PHONE, phone) else None,
    )


def _kind(value: object) -> str:
    return {dict: "object", list: "list", str: "text", type(None): "null"}.get(
        type(value), type(value).__name__
    )


_Hook: TypeAlias = Callable[[Any, Any], Any]


def _strict(expected: str, *kinds: type) -> _Hook:
    def structure(value: Any, _kind_wanted: Any) -> Any:
        if type(value) not in kinds:
            raise ValueError(f"must be {expected}, not {_kind(value)}")
        return value

    return structure


def _text(value: Any, _kind_wanted: Any) -> str:
    # An area code or a phone number may well come as a number.
    if type(value) not in (str, int):
        raise ValueError(f"must be text, not {_kind(value)}")
    return str(value)


def _status(value: Any, _kind_wanted: Any) -> str | None:
    if value is None:
        return None
    if type(value) not in (str, int, float):
        raise ValueError(f"must be text or a number, not {_kind(value)}")
    return str(value)


def _moment(value: Any, _kind_wanted: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError(f"must be a time as text, not {_kind(value)}")  # noqa: TRY004 - one kind
    try:
        moment = msgspec.convert(value, datetime)  # as the fast way reads it, to the microsecond
    except msgspec.ValidationError:
        moment = _lenient_moment(value)
    # The API's times end in Z; one without a zone is taken to mean the same.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lenient_moment(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        # Its own words would repeat the value, which is a stranger's.
        raise ValueError("must be a time or a day in ISO 8601") from None


def _day(value: Any, _kind_wanted: Any) -> date:
    return _moment(value, date).date()  # a time where a day is meant keeps its day


@cache
def _row_converter() -> "cattrs.Converter":
    """Types are those of ``Ani``'s fields; each has exactly one strict hook."""
    import cattrs  # noqa: PLC0415 - see above
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415 - see above

    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(date, _day)
    converter.register_structure_hook(datetime, _moment)
    # By equality: a hook registered for a class serves its subclasses too, and all of them are
    # objects.
    _register(converter, object, lambda value, _kind_wanted: value)  # the values in Ani.extra
    _register(converter, int | str, _strict("a number or text", int, str))
    _register(converter, int | float | None, _strict("a number", int, float, type(None)))
    converter.register_structure_hook(
        Ani, make_dict_structure_fn(Ani, converter, status=override(struct_hook=_status))
    )
    return converter


def _register(converter: "cattrs.Converter", exactly: Any, hook: _Hook) -> None:
    converter.register_structure_hook_func(lambda kind: bool(kind == exactly), hook)


_PHONE: Final = r"[0-9+().\- ]{1,40}"
