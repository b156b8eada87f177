"""Which columns a class has, what each may hold, and values turned into columns.

Work is done a column at a time: one check over a column costs a fraction of one for each cell.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from enum import Enum, auto
from functools import cache
from operator import attrgetter
from typing import Any, Final

import attrs

from nrm_async._values import Value
from nrm_async.errors import InvalidRequestError


class Kind(Enum):
    """What a column holds."""

    IDENT = auto()
    """A whole number or text: 5 and "5" are two things."""

    TEXT = auto()
    NUMBER = auto()
    """Whole or fractional: 3 and 3.0 are two things."""

    COUNT = auto()
    FLAG = auto()
    DAY = auto()
    MOMENT = auto()
    JSON = auto()
    """An object of any shape; an empty one is an empty cell."""


_KINDS: Final[Mapping[object, Kind]] = {
    int | str: Kind.IDENT,
    str: Kind.TEXT,
    str | None: Kind.TEXT,
    float: Kind.NUMBER,
    int | float | None: Kind.NUMBER,
    int: Kind.COUNT,
    bool: Kind.FLAG,
    date | None: Kind.DAY,
    datetime | None: Kind.MOMENT,
    Mapping[str, object]: Kind.JSON,
}

_TYPES: Final[Mapping[Kind, tuple[type, ...]]] = {
    Kind.IDENT: (int, str),
    Kind.TEXT: (str,),
    Kind.NUMBER: (int, float),
    Kind.COUNT: (int,),
    Kind.FLAG: (bool,),
    Kind.DAY: (date,),
    Kind.MOMENT: (datetime,),
    Kind.JSON: (dict,),
}

_WORDS: Final[Mapping[Kind, str]] = {
    Kind.IDENT: "a whole number or text",
    Kind.TEXT: "text",
    Kind.NUMBER: "a number",
    Kind.COUNT: "a whole number",
    Kind.FLAG: "true or false",
    Kind.DAY: "a date",
    Kind.MOMENT: "a date and time",
    Kind.JSON: "a dict",
}


@attrs.frozen(eq=False, repr=False)
class Column(Value):
    """One column of a table.

    Attributes:
        name: Its title, which is the field's name.
        kind: What it holds.
        is_required: Whether every row must have a value.
        blank: What an empty cell, or a file without the column, means.
    """

    name: str
    kind: Kind
    is_required: bool
    blank: object = None

    def filled(self, cells: Sequence[Any]) -> list[Any]:
        """The cells, each empty one, ``None``, with what that means.

        Raises:
            ValueError: A value is required.
        """
        if any(cell is None for cell in cells):
            if self.is_required:
                raise ValueError(f"{self.name} is missing")
            if self.kind is Kind.JSON:  # one of its own for each row
                return [{} if cell is None else cell for cell in cells]
            if self.blank is not None:
                return [self.blank if cell is None else cell for cell in cells]
        return list(cells)

    @property
    def must_be(self) -> str:
        """The rule for its values, in words."""
        return f"{self.name} must be {_WORDS[self.kind]}"

    def check(self, cells: Sequence[object]) -> None:
        """Refuse a column with values of another kind.

        Raises:
            InvalidRequestError: The message names the column and the rule.
        """
        wrong = set(map(type, cells)) - {*_TYPES[self.kind]}
        if self.blank is None and not self.is_required:
            wrong.discard(type(None))
        if self.kind is Kind.JSON:  # rows without such fields share a dict of a kind of its own
            wrong = {one for one in wrong if not issubclass(one, dict)}
        if wrong:
            raise InvalidRequestError(f"{self.must_be}, not {wrong.pop().__name__}")
        if self.kind in (Kind.TEXT, Kind.IDENT):
            self._check_unicode(cells)

    def _check_unicode(self, cells: Sequence[object]) -> None:
        try:
            "".join(cell for cell in cells if isinstance(cell, str)).encode()
        except UnicodeEncodeError:
            raise InvalidRequestError(
                f"{self.name} must be valid Unicode: it holds a lone surrogate"
            ) from None


def _column(field: "attrs.Attribute[Any]") -> Column:
    kind = _KINDS[field.type]
    if field.default is attrs.NOTHING:
        return Column(field.name, kind, is_required=True)
    blank = {} if kind is Kind.JSON else field.default
    return Column(field.name, kind, is_required=False, blank=blank)


@cache
def columns_of(kind: type) -> tuple[Column, ...]:
    """The columns of an attrs class, in the order of its fields."""
    return tuple(_column(field) for field in attrs.fields(kind))


def transposed(columns: Sequence[Column], rows: Iterable[object]) -> list[tuple[Any, ...]]:
    """The values of rows as columns, checked.

    Raises:
        InvalidRequestError: A value is not of its column's kind.
    """
    fields = attrgetter(*(column.name for column in columns))
    cells = list(zip(*map(fields, rows), strict=True)) or [()] * len(columns)
    for column, values in zip(columns, cells, strict=True):
        column.check(values)
    return cells
