"""Lossless conversion of typed columns to Arrow and back; requires the extra ``parquet``.

An Arrow column has one type, and a few values would not survive a round trip: the text "5" in a
column of ids, 3.0 in a column of numbers, a whole number beyond 2**53, or a time with an offset
other than UTC. The column stores the nearest value, which suits data frames. Files add a last
column, ``_exact``, which stores the affected values of each row as JSON and is almost always empty.
"""

import importlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from nrm_async._columns import ColumnSpec, ColumnType, columns_of, to_columns
from nrm_async.errors import ConfigurationError, InvalidRequestError

EXACT: Final = "_exact"

WHOLE: Final = re.compile(r"0|-?[1-9][0-9]*")
"""A whole number as formatted by ``str``."""

_ENCODER: Final = json.JSONEncoder(allow_nan=False)  # JSON cannot represent NaN and infinity
_LARGEST_EXACT: Final = 2**53  # a float cannot represent every whole number beyond it
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def pyarrow(*modules: str) -> Any:
    """Import pyarrow and the given submodules.

    Raises:
        ConfigurationError: pyarrow is not installed; the message names the extra.
    """
    try:
        for module in modules:
            importlib.import_module(f"pyarrow.{module}")
        return importlib.import_module("pyarrow")
    except ImportError:
        raise ConfigurationError(
            "Arrow and Parquet need an extra: pip install 'nrm-async[parquet]'"
        ) from None


def to_table(cls: type, rows: Iterable[object]) -> Any:
    """Return a ``pyarrow.Table`` with one row per instance of an attrs class."""
    pa = pyarrow()
    columns = columns_of(cls)
    cells = to_columns(columns, rows)
    arrays = [_to_array(pa, column, values) for column, values in zip(columns, cells, strict=True)]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(columns))


def arrow_schema(
    columns: Sequence[ColumnSpec], metadata: Mapping[str, str] | None = None, *, exact: bool = False
) -> Any:
    """Return the ``pyarrow.Schema`` of the columns, optionally with ``_exact``."""
    pa = pyarrow()
    fields = [pa.field(column.name, _arrow_type(pa, column.type)) for column in columns]
    if exact:
        fields.append(pa.field(EXACT, pa.string()))
    return pa.schema(fields, metadata=metadata)


def to_exact_batch(columns: Sequence[ColumnSpec], rows: Iterable[object]) -> Any:
    """Convert rows to a ``pyarrow.RecordBatch`` that includes ``_exact``."""
    pa = pyarrow()
    cells = to_columns(columns, rows)
    arrays = [_to_array(pa, column, values) for column, values in zip(columns, cells, strict=True)]
    exact = pa.array(_exact_values(columns, cells), pa.string())
    return pa.record_batch([*arrays, exact], schema=arrow_schema(columns, exact=True))


def from_batch(columns: Sequence[ColumnSpec], batch: Any) -> list[list[Any]]:
    """Convert a ``pyarrow.RecordBatch`` to columns of values; fill missing columns.

    Raises:
        ValueError: pyarrow cannot convert a column to its type.
    """
    pa = pyarrow()
    present = set(batch.schema.names)
    cells = []
    for column in columns:
        if column.title in present:
            cells.append(_from_array(pa, column, batch.column(column.title)))
        else:
            cells.append(column.fill_blanks([None] * batch.num_rows))
    if EXACT in present:
        _restore_exact(columns, cells, batch.column(EXACT).to_pylist())
    return cells


def _arrow_type(pa: Any, column_type: ColumnType) -> Any:
    return {
        ColumnType.NUMBER: pa.float64,
        ColumnType.INTEGER: pa.int64,
        ColumnType.BOOLEAN: pa.bool_,
        ColumnType.DATE: pa.date32,
        ColumnType.DATETIME: lambda: pa.timestamp("us", tz="UTC"),
    }.get(column_type, pa.string)()


# Conversion to Arrow


def _to_array(pa: Any, column: ColumnSpec, cells: Sequence[Any]) -> Any:
    nearest = _NEAREST.get(column.type)
    values = cells if nearest is None else [None if v is None else nearest(v) for v in cells]
    try:
        return pa.array(values, _arrow_type(pa, column.type))
    except (pa.ArrowException, OverflowError) as error:
        raise InvalidRequestError(f"{column.rule} that Arrow can represent: {error}") from None


def _nearest_number(value: int | float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _nearest_datetime(value: datetime) -> datetime | None:
    try:
        return value.astimezone(UTC) if value.tzinfo else None
    except OverflowError:
        return None


def json_text(value: object) -> str:
    """Encode a value as JSON.

    Raises:
        InvalidRequestError: JSON cannot represent the value.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"a value cannot be written as JSON: {error}") from None


_NEAREST: Final[Mapping[ColumnType, Callable[[Any], Any]]] = {
    ColumnType.ID: str,
    ColumnType.NUMBER: _nearest_number,
    ColumnType.DATETIME: _nearest_datetime,
    ColumnType.JSON: lambda value: json_text(value) if value else None,
}


def _exact_values(
    columns: Sequence[ColumnSpec], cells: Sequence[Sequence[Any]]
) -> list[str | None]:
    """Return the ``_exact`` cells: for each row, JSON of the values that Arrow would change."""
    changed: dict[int, dict[str, object]] = {}
    for column, values in zip(columns, cells, strict=True):
        is_inexact = _INEXACT.get(column.type)
        if is_inexact is None:
            continue
        for index, value in enumerate(values):
            if value is not None and is_inexact(value):
                kept = value.isoformat() if isinstance(value, datetime) else value
                changed.setdefault(index, {})[column.name] = kept
    return [json_text(changed[i]) if i in changed else None for i in range(len(cells[0]))]


def _is_inexact_number(value: int | float) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return not -_LARGEST_EXACT <= value <= _LARGEST_EXACT


_INEXACT: Final[Mapping[ColumnType, Callable[[Any], bool]]] = {
    ColumnType.ID: lambda value: type(value) is str and WHOLE.fullmatch(value) is not None,
    ColumnType.NUMBER: _is_inexact_number,
    ColumnType.DATETIME: lambda value: (
        value.tzinfo is not UTC and value.utcoffset() != timedelta(0)
    ),
}


# Conversion from Arrow


def _from_array(pa: Any, column: ColumnSpec, array: Any) -> list[Any]:
    decode_number = _DIGITS.get(column.type)
    is_own = array.type == _arrow_type(pa, column.type)
    if decode_number is not None and not is_own and _is_numeric(pa, array.type):
        return column.fill_blanks(list(map(decode_number, array.to_pylist())))
    array = array.cast(_arrow_type(pa, column.type))
    if column.type is ColumnType.DATETIME:  # via integers: 4 times as fast as pyarrow's own
        array = array.cast(pa.int64())
    decode = _DECODE.get(column.type)
    cells = array.to_pylist()
    if decode is not None:
        cells = [None if v is None else decode(v) for v in cells]
    return column.fill_blanks(cells) if array.null_count else cells


def _is_numeric(pa: Any, arrow_type: Any) -> bool:
    types = pa.types
    is_exact = types.is_decimal(arrow_type) or types.is_integer(arrow_type)
    return bool(is_exact or types.is_floating(arrow_type))


def _number(value: int | float | Decimal | None) -> int | float | None:
    """Return a number with all its digits.

    Raises:
        ValueError: Neither a whole number nor a float has them.
    """
    if not isinstance(value, Decimal):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    if value == value.to_integral_value():
        return int(value)
    if Decimal(repr(float(value))) != value:
        raise ValueError(f"{value} has more digits than a float can hold")
    return float(value)


def _id(value: int | float | Decimal | None) -> int | str | None:
    number = _number(value)
    return str(number) if isinstance(number, float) else number


def _text(value: int | float | Decimal | None) -> str | None:
    number = _number(value)
    return None if number is None else str(number)


# How numbers of other programs' columns are read: a cast would change 2**53 + 1 and 5.000000.
_DIGITS: Final[Mapping[ColumnType, Callable[[Any], Any]]] = {
    ColumnType.ID: _id,
    ColumnType.TEXT: _text,
    ColumnType.NUMBER: _number,
}

_DECODE: Final[Mapping[ColumnType, Callable[[Any], Any]]] = {
    ColumnType.ID: lambda value: int(value) if WHOLE.fullmatch(value) else value,
    ColumnType.NUMBER: lambda value: int(value) if value.is_integer() else value,
    ColumnType.DATETIME: lambda value: _EPOCH + timedelta(microseconds=value),
    ColumnType.JSON: json.loads,
}


def _restore_exact(
    columns: Sequence[ColumnSpec], cells: list[list[Any]], exact: Sequence[str | None]
) -> None:
    position = {column.name: index for index, column in enumerate(columns)}
    for row, changed in enumerate(exact):
        for name, value in json.loads(changed).items() if changed else ():
            is_datetime = columns[position[name]].type is ColumnType.DATETIME
            cells[position[name]][row] = datetime.fromisoformat(value) if is_datetime else value
