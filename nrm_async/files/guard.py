r"""Text in CSV that a spreadsheet leaves alone, and back.

Spreadsheets run a cell that begins like a formula (OWASP, "CSV Injection"), take 1E5 for
100000, and cannot tell an empty text from no text. Such texts are written behind an apostrophe,
as people do by hand; reading takes it off again. A text that begins with an apostrophe gets one
more, so nothing is ambiguous:

    >>> [guarded(text) for text in ("Acme", "=1+1", "", "'tis", "1E5")]
    ['Acme', "'=1+1", "'", "''tis", "'1E5"]
    >>> [unguarded(text) for text in ("Acme", "'=1+1", "'", "''tis", "'1E5")]
    ['Acme', '=1+1', '', "'tis", '1E5']
"""

import re
from typing import Final

_MARK: Final = "'"

# A formula may hide behind blanks and control characters, and begin with a full-width sign.
_FORMULA: Final = r"[\s\x00-\x1f]*['=+\-@\uff1d\uff0b\uff0d\uff20]|[\t\r\n\x00]|\Z"
_SCIENTIFIC: Final = r"\s*[0-9]+(?:[.,][0-9]*)?[eE][+\-]?[0-9]+\s*\Z"

_RISKY: Final = re.compile(f"{_FORMULA}|{_SCIENTIFIC}")

# Digits that a spreadsheet would show as a number, dates, and other words it has its own idea of.
_CHANGED: Final = re.compile(
    rf"{_FORMULA}|\s*[0-9][0-9.,:/\- eE+]*\s*\Z|(?i:\s*(?:true|false)\s*\Z)"
)

DAMAGED: Final = re.compile(r"[+\-]?[0-9]+(?:[.,][0-9]+)?[eE][+\-]?[0-9]+")
"""What a spreadsheet makes of a long number: its last digits are lost."""


def guarded(text: str) -> str:
    """The text, behind an apostrophe where a spreadsheet could run it or lose it."""
    return _MARK + text if _RISKY.match(text) else text


def guarded_fully(text: str) -> str:
    """The same, and behind an apostrophe too where a spreadsheet would change how it is written.

    Example:
        >>> guarded_fully("2345678901"), guarded_fully("Acme")
        ("'2345678901", 'Acme')
    """
    return _MARK + text if _CHANGED.match(text) or _RISKY.match(text) else text


def unguarded(cell: str) -> str:
    """The text that was guarded; an apostrophe that guards nothing is part of the text.

    Example:
        >>> unguarded("'twas like this")
        "'twas like this"
    """
    if not cell.startswith(_MARK):
        return cell
    rest = cell[1:]
    return rest if _CHANGED.match(rest) or _RISKY.match(rest) else cell
