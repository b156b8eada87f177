"""Decode a whole page into msgspec structs, then copy the structs into ``Ani`` objects.

Generated code copies the fields into a mutable twin of ``Ani``, and then assigns ``__class__`` to
turn the twin into an ``Ani`` without another copy. Times for pages of 1,000 rows (CPython 3.11),
relative to decoding into structs alone:

- ``Ani(*values)``: 3.6, because a frozen class checks each of its 25 assignments
- a mutable twin created from positional arguments: 2.0
- a mutable twin filled by straight-line code, which the interpreter specialises: 1.5

Fields that ``Ani`` does not have are added to the struct when a page first contains them. A page
that does not match the struct raises an exception.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import repeat
from typing import Annotated, Any, Final

import attrs
import msgspec

from nrm_async._values import mutable_twin
from nrm_async._wire.row_decoder import DOCUMENTED_FIELDS, NAME_ON_THE_WIRE, ROW_FIELDS
from nrm_async.models import NO_FIELDS, NO_REPAIRS, Ani


class Envelope(msgspec.Struct):
    """The top-level JSON object of a page, including its rows."""

    # All types are accepted, so that an invalid envelope field does not make the page unreadable.
    data: Any
    count: Any = None
    total_anis: Any = None
    total_pages: Any = None
    can_next_page: Any = None
    can_prev_page: Any = None


# JSON types that differ from the types of Ani's fields.
_WIRE_TYPES: Final[dict[str, Any]] = {
    "status": str | int | float | None,
    # A time without a time zone is valid, but only the row decoder can add the zone.
    "created_at": Annotated[datetime, msgspec.Meta(tz=True)] | None,
}


_MutableAni: Final = mutable_twin(Ani)


class PageDecoder:
    """A decoder for pages whose rows have the fields of ``Ani`` and the given unknown fields.

    Args:
        unknown_fields: JSON names of fields that ``Ani`` does not have.

    Raises:
        ValueError: A name cannot be used as a struct field.
    """

    def __init__(self, unknown_fields: tuple[str, ...] = ()) -> None:
        self.unknown_fields = unknown_fields
        extra = {f"extra_{n}": name for n, name in enumerate(unknown_fields)}
        row = msgspec.defstruct(
            "_Row",
            [_struct_field(a) for a in ROW_FIELDS]
            + [(attribute, Any, msgspec.UNSET) for attribute in extra],
            rename=NAME_ON_THE_WIRE | extra,
            forbid_unknown_fields=True,  # they must reach Ani.extra
            gc=False,
        )
        page: Any = msgspec.defstruct("_Page", [("data", list[row])], bases=(Envelope,))  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(page)
        self._fill = _compile(extra)

    def decode(self, body: bytes) -> tuple[Envelope, list[Ani]]:
        """Decode the body into the envelope and its rows.

        Raises:
            msgspec.MsgspecError: The body does not match the structs.
            UnicodeDecodeError: The body is not UTF-8.
            RecursionError: The body is nested too deeply.
        """
        envelope = self._decoder.decode(body)
        return envelope, self._fill(envelope.data)


def _struct_field(attribute: "attrs.Attribute[Any]") -> tuple[str, Any] | tuple[str, Any, Any]:
    kind = _WIRE_TYPES.get(attribute.name, attribute.type)
    if attribute.default is attrs.NOTHING:
        return attribute.name, kind
    return attribute.name, kind, attribute.default


def _make(count: int) -> list[Any]:
    return list(map(object.__new__, repeat(_MutableAni, count)))


def _compile(extra: dict[str, str]) -> Callable[[Sequence[Any]], list[Ani]]:
    """Compile a function that converts structs to ``Ani`` objects with straight-line code.

    Field names from the server are passed as globals; they are never part of the source code.
    """
    names: dict[str, Any] = {"make": _make, "Ani": Ani}
    names |= {"UNSET": msgspec.UNSET, "NO_FIELDS": NO_FIELDS, "NO_REPAIRS": NO_REPAIRS}
    names |= {f"name_of_{attribute}": name for attribute, name in extra.items()}
    lines = [
        "def fill(rows):",
        "  anis = make(len(rows))",
        "  for ani, row in zip(anis, rows):",
    ]
    for field in ROW_FIELDS:
        lines.append(f"    ani.{field.name} = row.{field.name}")
        if field.converter is not None:  # converts numbers to text
            names[f"convert_{field.name}"] = field.converter
            lines += [
                f"    if ani.{field.name}.__class__ is not str:",
                f"      ani.{field.name} = convert_{field.name}(row.{field.name})",
            ]
    lines.append(f"    ani.extra = {'extra = {}' if extra else 'NO_FIELDS'}")
    for attribute in extra:
        lines += [
            f"    if row.{attribute} is not UNSET:",
            f"      extra[name_of_{attribute}] = row.{attribute}",
        ]
    lines += ["    ani.repaired = NO_REPAIRS", "    ani.__class__ = Ani", "  return anis"]
    exec("\n".join(lines), names)  # noqa: S102 - only built from our own field names, as in attrs
    fill: Callable[[Sequence[Any]], list[Ani]] = names["fill"]
    return fill


# More fields than a new API version would add. Some servers may send new names in every row.
_MOST_UNKNOWN: Final = 100


class LearningDecoder:
    """A page decoder that learns unknown fields, so that pages with such fields decode quickly."""

    def __init__(self) -> None:
        self._latest = PageDecoder()

    @property
    def unknown_fields(self) -> tuple[str, ...]:
        """The unknown fields learnt so far, in the order in which they appeared."""
        return self._latest.unknown_fields

    def decode(self, body: bytes) -> tuple[Envelope, list[Ani]]:
        """Decode a page with the fields learnt so far; see ``PageDecoder.decode``."""
        return self._latest.decode(body)

    def learn(self, rows: Iterable[object]) -> bool:
        """Learn the unknown fields in these rows, and return whether the decoder has changed."""
        seen = dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row)
        unknown = [name for name in seen if name not in DOCUMENTED_FIELDS]
        if set(unknown) <= set(self.unknown_fields):
            return False
        merged = tuple(dict.fromkeys((*self.unknown_fields, *unknown)))
        kept = merged if len(merged) <= _MOST_UNKNOWN else tuple(unknown)
        if len(kept) > _MOST_UNKNOWN:
            return False
        try:
            self._latest = PageDecoder(kept)
        except ValueError:
            return False
        return True
