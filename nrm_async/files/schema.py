"""Schemas of saved inventories and reports: columns, metadata and value conversion."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Generic, TypeVar

import attrs

from nrm_async._columns import ColumnSpec, columns_of
from nrm_async.errors import FileFormatError, NRMError
from nrm_async.files.common import Content, Metadata
from nrm_async.inventory import Inventory
from nrm_async.models import Ani, MalformedRow
from nrm_async.results import BatchReport, CallResult
from nrm_async.results.record import (
    ResultRecord,
    decode_error,
    encode_error,
    from_record,
    to_record,
)

T = TypeVar("T")


@attrs.frozen
class Schema(Generic[T]):
    """Mapping between values of one type and the rows of a file.

    Attributes:
        content: The kind of rows, for the file's metadata.
        columns: The columns of a row.
        metadata_of: Returns the metadata for the values, before the first value is written.
        to_row: Converts a value to a row.
        from_cells: Converts the cells of a row to a value. Raises ``ValueError`` or ``TypeError``
            if the cells are invalid.
    """

    content: Content
    columns: Sequence[ColumnSpec]
    metadata_of: Callable[[Iterable[T]], Metadata]
    to_row: Callable[[T], object]
    from_cells: Callable[[Sequence[Any]], T]


def _inventory_metadata(values: object) -> Metadata:
    if isinstance(values, Inventory):
        return Metadata("inventory", len(values), encode_provenance(values))
    return Metadata("inventory")


def _report_metadata(values: object) -> Metadata:
    if isinstance(values, BatchReport):
        return Metadata("report", len(values), {"elapsed": values.elapsed})
    return Metadata("report")


_RECORD_COLUMNS: Final = columns_of(ResultRecord)
_RECORD_NAMES: Final = tuple(column.name for column in _RECORD_COLUMNS)

INVENTORY: Final = Schema[Ani](
    "inventory", columns_of(Ani), _inventory_metadata, lambda ani: ani, lambda cells: Ani(*cells)
)
REPORT: Final = Schema[CallResult](
    "report",
    _RECORD_COLUMNS,
    _report_metadata,
    to_record,
    lambda cells: from_record(ResultRecord(**dict(zip(_RECORD_NAMES, cells, strict=True)))),
)


# Encoding and decoding an inventory's provenance (how it was read)

_PROVENANCE: Final = tuple(field for field in attrs.fields(Inventory) if field.name != "rows")

# Defaults for files without provenance, so that a loaded inventory never claims to be complete.
_UNKNOWN: Final[Mapping[str, Any]] = {
    "complete": False,
    "consistent": False,
    "passes": 0,
    "pages": 0,
}


def encode_provenance(inventory: Inventory) -> dict[str, Any]:
    """Return all inventory fields except the rows, as JSON-compatible values."""
    return {field.name: _encode(getattr(inventory, field.name)) for field in _PROVENANCE}


def _encode(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_encode(one) for one in value]
    if isinstance(value, NRMError):
        return encode_error(value)
    if isinstance(value, MalformedRow):
        return attrs.asdict(value)
    return value.isoformat() if isinstance(value, datetime) else value


_DECODERS: Final[Mapping[object, Callable[[Any], Any]]] = {
    tuple[MalformedRow, ...]: lambda rows: tuple(MalformedRow(**row) for row in rows),
    tuple[NRMError, ...]: lambda errors: tuple(map(decode_error, errors)),
    datetime | None: lambda text: None if text is None else datetime.fromisoformat(text),
    tuple[str, ...]: lambda texts: tuple(map(str, texts)),
    str | None: lambda text: None if text is None else str(text),
    bool: lambda value: value is True,
}


def restore_inventory(rows: tuple[Ani, ...], provenance: Mapping[str, Any] | None) -> Inventory:
    """Restore an inventory, which is not ``complete`` if its provenance is unknown.

    Raises:
        FileFormatError: The provenance is malformed.
    """
    known = dict(_UNKNOWN)
    try:
        for field in _PROVENANCE:
            if provenance and field.name in provenance:
                value, decode = provenance[field.name], _DECODERS.get(field.type)
                known[field.name] = value if decode is None else decode(value)
    except (TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(
            f"the description of how the inventory was read is malformed: {error}"
        ) from None
    return Inventory(rows=rows, **known)
