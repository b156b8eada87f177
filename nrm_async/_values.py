"""What frozen values share: equality, hash and ``repr``, said once.

attrs can generate all three for each class, and compiles them anew in every process: a fifth of
what importing this package would take. Where values are compared by the million, attrs does.
"""

from collections.abc import Callable
from functools import cache
from operator import eq
from reprlib import recursive_repr
from typing import Any

import attrs


class Value:
    """Base of attrs classes without ``eq`` and ``repr``: it has both, as attrs makes them.

    What counts is said with the fields, as always: ``attrs.field(eq=…, hash=…, repr=…)``.

    Example:
        >>> @attrs.frozen(eq=False, repr=False)
        ... class Point(Value):
        ...     x: int
        ...     y: int
        >>> Point(1, 2)
        Point(x=1, y=2)
        >>> Point(1, 2) == Point(1, 2)
        True
    """

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        pairs = _told(self, _is_compared).values(), _told(other, _is_compared).values()
        return all(map(eq, *pairs))

    def __hash__(self) -> int:
        return hash((self.__class__, *_told(self, _is_hashed).values()))

    @recursive_repr()
    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in _told(self, _is_shown).items())
        return f"{self.__class__.__qualname__.rpartition('>.')[2]}({fields})"


def _told(value: object, is_wanted: Callable[["attrs.Attribute[Any]"], bool]) -> dict[str, Any]:
    """Some fields of a value; one that is only half made may be shown in a traceback."""
    kind: Any = value.__class__
    return {name: getattr(value, name, attrs.NOTHING) for name in _names(kind, is_wanted)}


@cache
def _names(kind: Any, is_wanted: Callable[["attrs.Attribute[Any]"], bool]) -> tuple[str, ...]:
    return tuple(field.name for field in attrs.fields(kind) if is_wanted(field))


def _is_compared(field: "attrs.Attribute[Any]") -> bool:
    return bool(field.eq)


def _is_hashed(field: "attrs.Attribute[Any]") -> bool:
    return bool(field.eq if field.hash is None else field.hash)


def _is_shown(field: "attrs.Attribute[Any]") -> bool:
    return bool(field.repr)
