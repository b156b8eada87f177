"""Decode one row at a time with cattrs, to keep valid rows and report the path of invalid fields.

All hooks are strict, because by default cattrs converts types silently. This decoder is slow, and
only used for pages with an invalid value. cattrs is imported when the first such page arrives:
most programs never receive one, and the import would be a tenth of this package's import time.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import attrs
import msgspec

from nrm_async._validation import printable
from nrm_async._wire.repairs import repair
from nrm_async.models import NO_FIELDS, NO_REPAIRS, Ani, MalformedRow, ReadOnlyDict

if TYPE_CHECKING:
    import cattrs
    from cattrs.errors import ClassValidationError


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


_OUR_OWN: Final = ("extra", "repaired")
ROW_FIELDS: Final = tuple(a for a in attrs.fields(Ani) if a.name not in _OUR_OWN)
NAME_ON_THE_WIRE: Final = {a.name: _camel(a.name) for a in ROW_FIELDS}
DOCUMENTED_FIELDS: Final = frozenset(NAME_ON_THE_WIRE.values())
_REQUIRED: Final = tuple(NAME_ON_THE_WIRE[a.name] for a in ROW_FIELDS if a.default is attrs.NOTHING)

# Only text that looks like a phone number may appear in logs.
_PHONE: Final = r"[0-9+().\- ]{1,40}"


def read_row(index: int, raw: object, odd: Mapping[str, object] = NO_FIELDS) -> Ani | MalformedRow:
    """Decode one row of a page.

    Args:
        index: Position of the row on the page, starting at 0.
        raw: The decoded JSON, with invalid numbers and characters replaced.
        odd: The original values of the fields that contained them.
    """
    if not isinstance(raw, dict):
        return MalformedRow(f"$.data[{index}]", f"must be an object, not {_type_name(raw)}")
    for field in _REQUIRED:
        if field in odd:
            problem = "must be valid Unicode" if raw[field] else "must be a finite number"
            return MalformedRow(f"$.data[{index}].{field}", problem, _phone_of(raw))
    known = {name: raw[wire] for name, wire in NAME_ON_THE_WIRE.items() if wire in raw}
    repaired = repair(known) | _under_our_names(odd)
    known["extra"] = {key: value for key, value in raw.items() if key not in DOCUMENTED_FIELDS}
    known["repaired"] = ReadOnlyDict(repaired) if repaired else NO_REPAIRS
    from cattrs.errors import ClassValidationError  # noqa: PLC0415 - see above

    try:
        return _row_converter().structure(known, Ani)
    except ClassValidationError as error:
        return _malformed(index, raw, error)


def _malformed(
    index: int, raw: Mapping[str, object], error: "ClassValidationError"
) -> MalformedRow:
    noted, _ = error.group_exceptions()
    problems = [(NAME_ON_THE_WIRE[note.name], cause) for cause, note in noted]
    field, cause = problems[0]
    problem = "is missing" if isinstance(cause, KeyError) else printable(str(cause), 100)
    if len(problems) > 1:
        problem += f" (and {len(problems) - 1} more in this row)"
    return MalformedRow(f"$.data[{index}].{field}", problem, _phone_of(raw))


def _phone_of(raw: Mapping[str, object]) -> str | None:
    phone = raw.get("phone")
    return phone if isinstance(phone, str) and re.fullmatch(_PHONE, phone) else None


def _under_our_names(odd: Mapping[str, object]) -> dict[str, object]:
    names = {wire: name for name, wire in NAME_ON_THE_WIRE.items() if wire in odd}
    renamed = {name: odd[wire] for wire, name in names.items()}
    extra = {wire: value for wire, value in odd.items() if wire not in names}
    return renamed | {"extra": extra} if extra else renamed


def _type_name(value: object) -> str:
    return {dict: "object", list: "list", str: "text", type(None): "null"}.get(
        type(value), type(value).__name__
    )


_Hook: TypeAlias = Callable[[Any, Any], Any]


def _strict(expected: str, *kinds: type) -> _Hook:
    def structure(value: Any, _type: Any) -> Any:
        if type(value) not in kinds:
            raise ValueError(f"must be {expected}, not {_type_name(value)}")
        return value

    return structure


def _text(value: Any, _type: Any) -> str:
    # The API may send an area code or a phone number as a number.
    if type(value) not in (str, int):
        raise ValueError(f"must be text, not {_type_name(value)}")
    return str(value)


def _status(value: Any, _type: Any) -> str | None:
    if value is None:
        return None
    if type(value) not in (str, int, float):
        raise ValueError(f"must be text or a number, not {_type_name(value)}")
    return str(value)


def _moment(value: Any, _type: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError(f"must be a time as text, not {_type_name(value)}")  # noqa: TRY004 - as in all hooks
    try:
        moment = msgspec.convert(value, datetime)  # rounds to microseconds as PageDecoder does
    except msgspec.ValidationError:
        moment = _lenient_moment(value)
    # The API's times end in Z, so a time without a time zone is also UTC.
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _lenient_moment(value: str) -> datetime:
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        # Python's own message would contain the untrusted value.
        raise ValueError("must be a time or a day in ISO 8601") from None


def _day(value: Any, _type: Any) -> date:
    return _moment(value, date).date()  # the date as written, in any time zone


@cache
def _row_converter() -> "cattrs.Converter":
    """Return a converter with one strict hook for each field type of ``Ani``."""
    import cattrs  # noqa: PLC0415 - see above
    from cattrs.gen import make_dict_structure_fn, override  # noqa: PLC0415 - see above

    converter = cattrs.Converter(detailed_validation=True)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(date, _day)
    converter.register_structure_hook(datetime, _moment)
    # Match these types by equality: a hook registered for ``object`` would match every class.
    _register(converter, object, lambda value, _type: value)  # the values in Ani.extra
    _register(converter, int | str, _strict("a number or text", int, str))
    _register(converter, int | float | None, _strict("a number", int, float, type(None)))
    converter.register_structure_hook(
        Ani,
        make_dict_structure_fn(
            Ani,
            converter,
            status=override(struct_hook=_status),
            repaired=override(struct_hook=lambda value, _type: value),
        ),
    )
    return converter


def _register(converter: "cattrs.Converter", exactly: Any, hook: _Hook) -> None:
    converter.register_structure_hook_func(lambda kind: bool(kind == exactly), hook)


def to_dict(value: object) -> Any:
    """Convert a public value to dicts, lists and other JSON types, keyed by Python field names."""
    return _unstructuring_converter().unstructure(value)


@cache
def _unstructuring_converter() -> "cattrs.Converter":
    import cattrs  # noqa: PLC0415 - slow to import, rarely needed

    converter = cattrs.Converter()
    converter.register_unstructure_hook(date, date.isoformat)
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    return converter
