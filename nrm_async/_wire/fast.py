"""A whole page at once: msgspec into structs derived from ``Ani``, and from those into ``Ani``.

What was tried, for pages of 1,000 rows (CPython 3.11), where decoding into the structs alone takes
1: ``Ani(*values)`` 3.6, because a frozen class guards each of its 25 assignments; a settable twin
made by position 2.0; the twin filled by straight-line code, which the interpreter specialises to
slot accesses, 1.5. The twin becomes an ``Ani`` by its class: nothing is copied.

Fields that ``Ani`` does not know are learnt from the first page that has them, and then are
fields of the struct like all others. A page that does not fit is told by an exception.
"""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from itertools import repeat
from typing import Annotated, Any, Final

import attrs
import msgspec

from nrm_async._values import settable
from nrm_async._wire.rows import NAME_ON_THE_WIRE, ROW_FIELDS
from nrm_async.models import NO_FIELDS, Ani


class Envelope(msgspec.Struct):
    """What is around the rows, as it came."""

    # Any type is let through here: no field of the envelope is worth losing a page for.
    data: list[Any]
    count: Any = None
    total_anis: Any = None
    total_pages: Any = None
    can_next_page: Any = None
    can_prev_page: Any = None


# What the wire allows beyond the types of Ani's fields.
_WIRE_TYPES: Final[dict[str, Any]] = {
    "status": str | int | float | None,
    # A time without a zone is not refused, but it needs the slow way to get one.
    "created_at": Annotated[datetime, msgspec.Meta(tz=True)] | None,
}


_Settable: Final = settable(Ani)


class PageDecoder:
    """Decodes pages whose rows have the fields of ``Ani``, and perhaps these others.

    Args:
        others: Names on the wire of fields that ``Ani`` does not know.

    Raises:
        ValueError: One of the names cannot be a field of a struct.
    """

    def __init__(self, others: tuple[str, ...] = ()) -> None:
        self.others = others
        places = {f"other_{n}": name for n, name in enumerate(others)}
        row = msgspec.defstruct(
            "_Row",
            [_struct_field(a) for a in ROW_FIELDS]
            + [(place, Any, msgspec.UNSET) for place in places],
            rename=NAME_ON_THE_WIRE | places,
            forbid_unknown_fields=True,  # they must reach Ani.extra
            gc=False,
        )
        page: Any = msgspec.defstruct("_Page", [("data", list[row])], bases=(Envelope,))  # type: ignore[valid-type]
        self._decoder: msgspec.json.Decoder[Envelope] = msgspec.json.Decoder(page)
        self._fill = _compile(places)

    def decode(self, body: bytes) -> tuple[Envelope, list[Ani]]:
        """Read the envelope, and the rows in their order.

        Raises:
            msgspec.MsgspecError: The page does not fit, or is none.
            UnicodeDecodeError: It is no text.
            RecursionError: It is nested too deeply.
        """
        envelope = self._decoder.decode(body)
        return envelope, self._fill(envelope.data)


def _struct_field(attribute: "attrs.Attribute[Any]") -> tuple[str, Any] | tuple[str, Any, Any]:
    kind = _WIRE_TYPES.get(attribute.name, attribute.type)
    if attribute.default is attrs.NOTHING:
        return attribute.name, kind
    return attribute.name, kind, attribute.default


def _make(count: int) -> list[Any]:
    return list(map(object.__new__, repeat(_Settable, count)))


def _compile(others: dict[str, str]) -> Callable[[Sequence[Any]], list[Ani]]:
    """Straight-line code from structs to ``Ani``; the strangers' names stand outside of it."""
    names: dict[str, Any] = {"make": _make, "Ani": Ani}
    names |= {"UNSET": msgspec.UNSET, "NO_FIELDS": NO_FIELDS} | {
        f"name_of_{place}": n for place, n in others.items()
    }
    lines = [
        "def fill(rows):",
        "  anis = make(len(rows))",
        "  for ani, row in zip(anis, rows):",
    ]
    for field in ROW_FIELDS:
        lines.append(f"    ani.{field.name} = row.{field.name}")
        if field.converter is not None:  # it turns what is no text into text
            names[f"convert_{field.name}"] = field.converter
            lines += [
                f"    if ani.{field.name}.__class__ is not str:",
                f"      ani.{field.name} = convert_{field.name}(row.{field.name})",
            ]
    lines.append(f"    ani.extra = {'extra = {}' if others else 'NO_FIELDS'}")
    for place in others:
        lines += [
            f"    if row.{place} is not UNSET:",
            f"      extra[name_of_{place}] = row.{place}",
        ]
    lines += ["    ani.__class__ = Ani", "  return anis"]
    exec("\n".join(lines), names)  # noqa: S102 - from names of fields alone, as attrs does it
    fill: Callable[[Sequence[Any]], list[Ani]] = names["fill"]
    return fill


# More names than a later API adds: a server that makes them up is not followed.
_MOST_OTHERS: Final = 100


class LearningDecoder:
    """A ``PageDecoder`` that takes up unknown fields; what it knows only makes it fast."""

    def __init__(self) -> None:
        self._latest = PageDecoder()

    @property
    def others(self) -> tuple[str, ...]:
        """The unknown fields that it knows."""
        return self._latest.others

    def decode(self, body: bytes) -> tuple[Envelope, list[Ani]]:
        """As ``PageDecoder.decode``, with the fields known by now."""
        return self._latest.decode(body)

    def learn(self, rows: Iterable[object]) -> bool:
        """Take up the fields of these rows; whether any of them is new."""
        seen = dict.fromkeys(name for row in rows if isinstance(row, dict) for name in row)
        unknown = [name for name in seen if name not in _DOCUMENTED]
        if set(unknown) <= set(self.others):
            return False
        both = tuple(dict.fromkeys((*self.others, *unknown)))
        others = both if len(both) <= _MOST_OTHERS else tuple(unknown)
        if len(others) > _MOST_OTHERS:
            return False
        try:
            self._latest = PageDecoder(others)
        except ValueError:
            return False
        return True


_DOCUMENTED: Final = frozenset(NAME_ON_THE_WIRE.values())
