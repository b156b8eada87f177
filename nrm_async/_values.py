"""What frozen values share: equality, hash and ``repr``, said once.

attrs can generate all three for each class, and compiles them anew in every process: a fifth of
what importing this package would take. Shared, they cost more at each use, 0.4 µs instead of 0.1
for the equality of two actions. Where values are compared by the million, attrs generates.
"""

from collections.abc import Callable
from functools import cache
from operator import attrgetter, eq
from reprlib import recursive_repr
from typing import Any, TypeAlias

import attrs

Field: TypeAlias = "attrs.Attribute[Any]"


class Value:
    """Base of frozen attrs classes without ``eq`` and ``repr``: it has both, as attrs makes them.

    What counts is said with the fields, as always: ``attrs.field(eq=…, hash=…, repr=…)``, where
    ``repr`` may be a function, and ``eq`` may not.

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
        kind: Any = self.__class__
        compared = _getter(kind, _is_compared)
        return all(map(eq, compared(self), compared(other)))

    def __hash__(self) -> int:
        kind: Any = self.__class__
        return hash((kind, *_getter(kind, _is_hashed)(self)))

    @recursive_repr()
    def __repr__(self) -> str:
        kind: Any = self.__class__
        fields = ", ".join(_shown(self, field) for field in attrs.fields(kind) if field.repr)
        return f"{kind.__qualname__.rpartition('>.')[2]}({fields})"


def settable(kind: type) -> Any:
    """A class with the slots of a frozen one, and without its guards.

    A frozen class guards each assignment, in its own ``__init__`` too. Where values are made by the
    million, they are made of this class, filled, and then given the class ``kind``: nothing is
    copied, and it takes a third of the time.
    """
    guards = {"__setattr__": object.__setattr__, "__delattr__": object.__delattr__}
    return type(f"Settable{kind.__name__}", (kind,), {"__slots__": (), **guards})


def _shown(value: object, field: Field) -> str:
    # One that is only half made may be shown in a traceback.
    content = getattr(value, field.name, attrs.NOTHING)
    return f"{field.name}={field.repr(content) if callable(field.repr) else repr(content)}"


@cache
def _getter(kind: Any, is_wanted: Callable[[Field], bool]) -> Callable[[Any], tuple[Any, ...]]:
    """Gets some fields of the values of a class."""
    names = [field.name for field in attrs.fields(kind) if is_wanted(field)]
    if len(names) > 1:
        return attrgetter(*names)
    return lambda value: tuple([getattr(value, name) for name in names])


def _is_compared(field: Field) -> bool:
    if getattr(field, "eq_key", None) is not None:
        raise TypeError(f"{field.name} is compared by a key: let attrs generate the equality")
    return bool(field.eq)


def _is_hashed(field: Field) -> bool:
    return _is_compared(field) if field.hash is None else bool(field.hash)
