"""How an inventory was read, as plain data, and back; a loaded one never claims more."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

import attrs

from nrm_async.errors import FileFormatError, NRMError
from nrm_async.inventory import Inventory
from nrm_async.models import Ani, MalformedRow
from nrm_async.results.failure import error_from_plain, plain_error

_FIELDS: Final = tuple(field for field in attrs.fields(Inventory) if field.name != "rows")

# What an inventory says of itself where nothing is known of how it was read.
_UNKNOWN: Final[Mapping[str, Any]] = {
    "complete": False,
    "consistent": False,
    "passes": 0,
    "pages": 0,
}


def about(inventory: Inventory) -> dict[str, Any]:
    """Everything but the rows, as JSON's own types."""
    return {field.name: _plain(getattr(inventory, field.name)) for field in _FIELDS}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(one) for one in value]
    if isinstance(value, NRMError):
        return plain_error(value)
    if isinstance(value, MalformedRow):
        return attrs.asdict(value)
    return value.isoformat() if isinstance(value, datetime) else value


_RESTORE: Final[Mapping[object, Callable[[Any], Any]]] = {
    tuple[MalformedRow, ...]: lambda rows: tuple(MalformedRow(**row) for row in rows),
    tuple[NRMError, ...]: lambda errors: tuple(map(error_from_plain, errors)),
    datetime | None: lambda text: None if text is None else datetime.fromisoformat(text),
    bool: lambda value: value is True,
}


def inventory_of(rows: tuple[Ani, ...], said: Mapping[str, Any] | None) -> Inventory:
    """The inventory again; without a description it is not known to be complete.

    Raises:
        FileFormatError: The description is not what it should be.
    """
    try:
        known = {
            field.name: _RESTORE.get(field.type, _same)(said[field.name])
            for field in _FIELDS
            if said and field.name in said
        }
    except (TypeError, ValueError, AttributeError) as error:
        raise FileFormatError(f"how the inventory was read cannot be understood: {error}") from None
    return Inventory(rows=rows, **{**_UNKNOWN, **known})


def _same(value: Any) -> Any:
    return value
