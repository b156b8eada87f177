"""Typed columns of an attrs class, and conversion of its instances from rows to columns.

Files and data frames share this module. Columns are derived from the fields of a class, so the
shape of a table is defined only once. Types are checked per column, which costs a fraction of
checking each cell.
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


class ColumnType(Enum):
    """The type of the values in a column."""

    ID = auto()
    """A whole number or text: 5 and "5" are different ids."""

    TEXT = auto()
    NUMBER = auto()
    """A whole number or a float: 3 and 3.0 are different values."""

    INTEGER = auto()
    BOOLEAN = auto()
    DATE = auto()
    DATETIME = auto()
    JSON = auto()
    """A JSON object of any shape; an empty object is stored as an empty cell."""


_BY_ANNOTATION: Final[Mapping[object, ColumnType]] = {
    int | str: ColumnType.ID,
    str: ColumnType.TEXT,
    str | None: ColumnType.TEXT,
    float: ColumnType.NUMBER,
    int | float | None: ColumnType.NUMBER,
    int: ColumnType.INTEGER,
    bool: ColumnType.BOOLEAN,
    date | None: ColumnType.DATE,
    datetime | None: ColumnType.DATETIME,
    Mapping[str, object]: ColumnType.JSON,
}

_PYTHON_TYPES: Final[Mapping[ColumnType, tuple[type, ...]]] = {
    ColumnType.ID: (int, str),
    ColumnType.TEXT: (str,),
    ColumnType.NUMBER: (int, float),
    ColumnType.INTEGER: (int,),
    ColumnType.BOOLEAN: (bool,),
    ColumnType.DATE: (date,),
    ColumnType.DATETIME: (datetime,),
    ColumnType.JSON: (dict,),
}

_NAMES: Final[Mapping[ColumnType, str]] = {
    ColumnType.ID: "a whole number or text",
    ColumnType.TEXT: "text",
    ColumnType.NUMBER: "a number",
    ColumnType.INTEGER: "a whole number",
    ColumnType.BOOLEAN: "true or false",
    ColumnType.DATE: "a date",
    ColumnType.DATETIME: "a date and time",
    ColumnType.JSON: "a dict",
}


@attrs.frozen(eq=False, repr=False)
class ColumnSpec(Value):
    """One column of a table.

    Attributes:
        name: Column name, which is also the field name.
        type: Type of the values.
        is_required: Whether every row must have a value.
        default: Value of an empty cell, and of every cell if the column is missing.
        title: Column name in a file that uses another one; ``None`` if the file has no such
            column.
    """

    name: str
    type: ColumnType
    is_required: bool
    default: object = None
    title: str | None = attrs.field(
        default=attrs.Factory(lambda column: column.name, takes_self=True)
    )

    @property
    def rule(self) -> str:
        """Type requirement for the values, as shown in error messages."""
        return f"{self.name} must be {_NAMES[self.type]}"

    def fill_blanks(self, cells: Sequence[Any]) -> list[Any]:
        """Replace empty cells (``None``) with the default of the column.

        Raises:
            ValueError: A required value is missing.
        """
        if any(cell is None for cell in cells):
            if self.is_required:
                raise ValueError(f"{self.name} is missing")
            if self.type is ColumnType.JSON:  # a separate dict for each row
                return [{} if cell is None else cell for cell in cells]
            if self.default is not None:
                return [self.default if cell is None else cell for cell in cells]
        return list(cells)

    def check(self, cells: Sequence[object]) -> None:
        """Check that all values have the type of the column.

        Raises:
            InvalidRequestError: A value has another type, or is text that UTF-8 cannot encode.
        """
        wrong = set(map(type, cells)) - {*_PYTHON_TYPES[self.type]}
        if self.default is None and not self.is_required:
            wrong.discard(type(None))
        if self.type is ColumnType.JSON:  # rows without unknown fields share one dict subclass
            wrong = {one for one in wrong if not issubclass(one, dict)}
        if wrong:
            raise InvalidRequestError(f"{self.rule}, not {wrong.pop().__name__}")
        if self.type in (ColumnType.TEXT, ColumnType.ID):
            try:
                "".join(cell for cell in cells if isinstance(cell, str)).encode()
            except UnicodeEncodeError:
                raise InvalidRequestError(
                    f"{self.name} must be valid Unicode: it contains a lone surrogate"
                ) from None


@cache
def columns_of(cls: type) -> tuple[ColumnSpec, ...]:
    """Return the columns of an attrs class, in field order."""
    return tuple(map(_column_of, attrs.fields(cls)))


def _column_of(field: "attrs.Attribute[Any]") -> ColumnSpec:
    column_type = _BY_ANNOTATION[field.type]
    if field.default is attrs.NOTHING:
        return ColumnSpec(field.name, column_type, is_required=True)
    default = {} if column_type is ColumnType.JSON else field.default
    return ColumnSpec(field.name, column_type, is_required=False, default=default)


def to_columns(columns: Sequence[ColumnSpec], rows: Iterable[object]) -> list[tuple[Any, ...]]:
    """Transpose rows into one tuple of values per column, and check the types.

    Raises:
        InvalidRequestError: A value does not have the type of its column.
    """
    row_values = attrgetter(*(column.name for column in columns))
    cells = list(zip(*map(row_values, rows), strict=True)) or [()] * len(columns)
    for column, values in zip(columns, cells, strict=True):
        column.check(values)
    return cells
