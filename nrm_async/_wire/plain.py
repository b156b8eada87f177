"""Public values to plain data, for JSON and for people who want dicts."""

from datetime import date, datetime
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import cattrs


def to_plain(value: object) -> Any:
    """Public values as dicts, lists and JSON's own types, under their Python names."""
    return _converter().unstructure(value)


@cache
def _converter() -> "cattrs.Converter":
    import cattrs  # noqa: PLC0415 - loaded by who needs it, as in rows

    plain = cattrs.Converter()
    plain.register_unstructure_hook(date, date.isoformat)
    plain.register_unstructure_hook(datetime, datetime.isoformat)
    return plain
