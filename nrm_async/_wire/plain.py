"""Public values to plain data, for JSON and for people who want dicts."""

from datetime import date, datetime
from typing import Any, Final

import cattrs

_plain: Final = cattrs.Converter()
_plain.register_unstructure_hook(date, date.isoformat)
_plain.register_unstructure_hook(datetime, datetime.isoformat)


def to_plain(value: object) -> Any:
    """Public values as dicts, lists and JSON's own types, under their Python names."""
    return _plain.unstructure(value)
