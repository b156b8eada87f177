"""Columns to Arrow and back, without loss.

Arrow's columns have one type each, and a few values do not fit theirs exactly: the text "5"
where ids are numbers, 3.0 where most figures are whole, a whole number beyond 2**53, a time
with another zone's offset. A column holds the nearest value, which is what a data frame wants.
Where exactness is asked for, a last column, ``_exact``, keeps the values that would come back
changed, as JSON; it is empty in almost every row.
"""

import importlib
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from nrm_async._tables.columns import Column, Kind, columns_of, transposed
from nrm_async.errors import ConfigurationError, InvalidRequestError

EXACT: Final = "_exact"

WHOLE: Final = re.compile(r"0|-?[1-9][0-9]*")
"""A whole number as ``str`` writes it."""

_ENCODER: Final = json.JSONEncoder(allow_nan=False)  # JSON has no word for them
_LARGEST_EXACT: Final = 2**53  # beyond it not every whole number is a float
_LARGEST_COUNT: Final = 2**63 - 1
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def pyarrow(*modules: str) -> Any:
    """The library, with these of its modules imported.

    Raises:
        ConfigurationError: It is not installed; the message names the extra.
    """
    try:
        for module in modules:
            importlib.import_module(f"pyarrow.{module}")
        return importlib.import_module("pyarrow")
    except ImportError:
        raise ConfigurationError(
            "Arrow and Parquet need an extra: pip install 'nrm-async[parquet]'"
        ) from None


def table(kind: type, rows: Iterable[object]) -> Any:
    """A ``pyarrow.Table`` of values of an attrs class, a row for each."""
    pa = pyarrow()
    columns = columns_of(kind)
    cells = transposed(columns, rows)
    arrays = [_array(pa, column, values) for column, values in zip(columns, cells, strict=True)]
    return pa.Table.from_arrays(arrays, schema=schema(columns))


def schema(
    columns: Sequence[Column], metadata: Mapping[str, str] | None = None, *, exact: bool = False
) -> Any:
    """The ``pyarrow.Schema`` of the columns."""
    pa = pyarrow()
    fields = [pa.field(column.name, _type(pa, column.kind)) for column in columns]
    if exact:
        fields.append(pa.field(EXACT, pa.string()))
    return pa.schema(fields, metadata=metadata)


def exact_batch(columns: Sequence[Column], rows: Iterable[object]) -> Any:
    """A ``pyarrow.RecordBatch`` of the rows, with the column that makes it exact."""
    pa = pyarrow()
    cells = transposed(columns, rows)
    arrays = [_array(pa, column, values) for column, values in zip(columns, cells, strict=True)]
    exact = pa.array(_exceptions(columns, cells), pa.string())
    return pa.record_batch([*arrays, exact], schema=schema(columns, exact=True))


def values_of(columns: Sequence[Column], batch: Any) -> list[list[Any]]:
    """The columns of a batch as values; a column that it lacks is blank.

    Raises:
        ValueError: Something cannot be read as its column's kind, in words of pyarrow's.
    """
    pa = pyarrow()
    here = set(batch.schema.names)
    cells = []
    for column in columns:
        if column.name in here:
            array = batch.column(column.name).cast(_type(pa, column.kind))
            cells.append(_restored(pa, column, array))
        else:
            cells.append(column.filled([None] * batch.num_rows))
    if EXACT in here:
        _put_back(columns, cells, batch.column(EXACT).to_pylist())
    return cells


def _type(pa: Any, kind: Kind) -> Any:
    return {
        Kind.NUMBER: pa.float64,
        Kind.COUNT: pa.int64,
        Kind.FLAG: pa.bool_,
        Kind.DAY: pa.date32,
        Kind.MOMENT: lambda: pa.timestamp("us", tz="UTC"),
    }.get(kind, pa.string)()


# What a column holds, and which values do not come back from it as they were.


def _array(pa: Any, column: Column, cells: Sequence[Any]) -> Any:
    nearest = _NEAREST.get(column.kind)
    held = cells if nearest is None else [None if v is None else nearest(v) for v in cells]
    try:
        return pa.array(held, _type(pa, column.kind))
    except (pa.ArrowException, OverflowError) as error:
        raise InvalidRequestError(f"{column.must_be} that Arrow can hold: {error}") from None


def _nearest_number(value: int | float) -> float | None:
    try:
        return float(value)
    except OverflowError:
        return None


def _nearest_moment(value: datetime) -> datetime | None:
    try:
        return value.astimezone(UTC) if value.tzinfo else None
    except OverflowError:
        return None


def _json(value: Mapping[str, object]) -> str | None:
    return json_text(value) if value else None


def json_text(value: object) -> str:
    """JSON that holds exactly this.

    Raises:
        InvalidRequestError: JSON cannot hold it.
    """
    try:
        return _ENCODER.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidRequestError(f"a value has no form in JSON: {error}") from None


_NEAREST: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.IDENT: str,
    Kind.NUMBER: _nearest_number,
    Kind.MOMENT: _nearest_moment,
    Kind.JSON: _json,
}


def _exceptions(columns: Sequence[Column], cells: Sequence[Sequence[Any]]) -> list[str | None]:
    noted: dict[int, dict[str, object]] = {}
    for column, values in zip(columns, cells, strict=True):
        is_odd = _ODD.get(column.kind)
        if is_odd is None:
            continue
        for index, value in enumerate(values):
            if value is not None and is_odd(value):
                kept = value.isoformat() if isinstance(value, datetime) else value
                noted.setdefault(index, {})[column.name] = kept
    return [json_text(noted[i]) if i in noted else None for i in range(len(cells[0]))]


def _is_odd_ident(value: int | str) -> bool:
    return type(value) is str and WHOLE.fullmatch(value) is not None


def _is_odd_number(value: int | float) -> bool:
    if isinstance(value, float):
        return value.is_integer()
    return not -_LARGEST_EXACT <= value <= _LARGEST_EXACT


def _is_odd_moment(value: datetime) -> bool:
    return value.tzinfo is not UTC and value.utcoffset() != timedelta(0)


_ODD: Final[Mapping[Kind, Callable[[Any], bool]]] = {
    Kind.IDENT: _is_odd_ident,
    Kind.NUMBER: _is_odd_number,
    Kind.MOMENT: _is_odd_moment,
}


def _restored(pa: Any, column: Column, array: Any) -> list[Any]:
    if column.kind is Kind.MOMENT:  # through numbers: pyarrow's own way costs four times as much
        array = array.cast(pa.int64())
    restore = _RESTORE.get(column.kind)
    cells = array.to_pylist()
    if restore is not None:
        cells = [None if v is None else restore(v) for v in cells]
    return column.filled(cells) if array.null_count else cells


def _restored_ident(value: str) -> int | str:
    return int(value) if WHOLE.fullmatch(value) else value


def _restored_number(value: float) -> int | float:
    return int(value) if value.is_integer() else value


_RESTORE: Final[Mapping[Kind, Callable[[Any], Any]]] = {
    Kind.IDENT: _restored_ident,
    Kind.NUMBER: _restored_number,
    Kind.MOMENT: lambda value: _EPOCH + timedelta(microseconds=value),
    Kind.JSON: json.loads,
}


def _put_back(
    columns: Sequence[Column], cells: list[list[Any]], exact: Sequence[str | None]
) -> None:
    position = {column.name: index for index, column in enumerate(columns)}
    for row, noted in enumerate(exact):
        for name, value in json.loads(noted).items() if noted else ():
            column = columns[position[name]]
            is_moment = column.kind is Kind.MOMENT
            cells[position[name]][row] = datetime.fromisoformat(value) if is_moment else value
