r"""Escape text in CSV cells, so that spreadsheets do not execute or reformat the text.

Spreadsheets execute a cell that begins like a formula (OWASP, "CSV Injection"), read 1E5 as 100000,
and do not distinguish empty text from an empty cell. Such text is prefixed with an apostrophe, as
users do in a spreadsheet, and reading removes the apostrophe. Text that already begins with an
apostrophe is prefixed with another one, so reading is unambiguous:

    >>> [escape(text) for text in ("Acme", "=1+1", "", "'tis", "1E5")]
    ['Acme', "'=1+1", "'", "''tis", "'1E5"]
    >>> [unescape(text) for text in ("Acme", "'=1+1", "'", "''tis", "'1E5")]
    ['Acme', '=1+1', '', "'tis", '1E5']
"""

import re
from typing import Final

_APOSTROPHE: Final = "'"

# Whitespace and control characters may precede a formula, and its first sign may be full-width.
_FORMULA: Final = r"[\s\x00-\x1f]*['=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]|\Z"
_SCIENTIFIC: Final = r"\s*[0-9]+(?:[.,][0-9]*)?[eE][+\-]?[0-9]+\s*\Z"

_UNSAFE: Final = re.compile(f"{_FORMULA}|{_SCIENTIFIC}")

# Text that a spreadsheet converts to a number, a date or a boolean.
_REFORMATTED: Final = re.compile(
    rf"{_FORMULA}|\s*[0-9][0-9.,:/\- eE+]*\s*\Z|(?i:\s*(?:true|false)\s*\Z)"
)

TRUNCATED_NUMBER: Final = re.compile(r"[+\-]?[0-9]+(?:[.,][0-9]+)?[eE][+\-]?[0-9]+")
"""Scientific notation, in which a spreadsheet saves a long number without its last digits."""


def escape(text: str) -> str:
    """Prefix text with an apostrophe if a spreadsheet could execute or lose it."""
    return _APOSTROPHE + text if _UNSAFE.match(text) else text


def escape_for_spreadsheet(text: str) -> str:
    """Escape text, including any that a spreadsheet would display differently.

    Example:
        >>> escape_for_spreadsheet("2345678901"), escape_for_spreadsheet("Acme")
        ("'2345678901", 'Acme')
    """
    return _APOSTROPHE + text if _is_escaped(text) else text


def unescape(cell: str) -> str:
    """Remove the apostrophe added by ``escape``. Any other apostrophe is part of the text.

    Example:
        >>> unescape("'twas like this")
        "'twas like this"
    """
    return cell[1:] if cell.startswith(_APOSTROPHE) and _is_escaped(cell[1:]) else cell


def _is_escaped(text: str) -> bool:
    return bool(_REFORMATTED.match(text) or _UNSAFE.match(text))


def truncated_number_error(cell: str) -> str:
    """Return an error message for a number that a spreadsheet has truncated."""
    return (
        f"{cell.strip()[:40]} is a number that a spreadsheet has cut: its last digits are lost; "
        "take it from the original, in a column formatted as text"
    )
