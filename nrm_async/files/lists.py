"""Lists of anybody's making, line by line: what each line says, or why it cannot be read."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from typing import Any, BinaryIO, Final

import attrs

from nrm_async.errors import FileFormatError
from nrm_async.files.chunks import MARK
from nrm_async.files.guard import DAMAGED, unguarded
from nrm_async.files.text import Record, records

_TITLES: Final[Mapping[str, str]] = {
    spelling: column
    for column, spellings in {
        "ani": "ani anis phone phones number numbers phonenumber phonenumbers phoneno tel "
        "telephone telephonenumber did dids tn tns callerid aninumber msisdn",
        "action": "action actions",
        "carrier": "carrier carrierid",
        "note": "note notes comment comments",
        "date": "date when actiondate",
    }.items()
    for spelling in spellings.split()
}
_BESIDE_LETTERS: Final = re.compile(r"[\W_]+")
_FORMULA_OF_TEXT: Final = re.compile(r'="([^"]*)"')  # how programs force a spreadsheet to text
_DIGITS_ONLY: Final = re.compile(r"[\W\d_]*\d[\W\d_]*")
_NOT_UTF_8: Final = re.compile("[\ud800-\udfff]")  # how decoding keeps bytes that are no text

_OF_A_REPORT: Final = "outcome"
_REPORT: Final = (
    "it is a report: its 'outcome' tells what became of each action, and as a list it would send "
    "again what was applied, or may have been; run load_report(path).retryable instead (on the "
    "command line, --retry). If it is none, take that column out"
)


@attrs.frozen
class Line:
    """One line: what it says, or why it cannot be read."""

    number: int
    said: Mapping[str, Any] = attrs.field(factory=dict)
    problem: str | None = None


# CSV


def csv_lines(file: BinaryIO, *, is_kind_known: bool) -> Iterator[Line]:
    """The lines of CSV; where no kind of action is known, a column must say it.

    Raises:
        FileFormatError: It is empty, a report, or its header does not say what is what.
    """
    with closing(records(file, "surrogateescape")) as source:
        header = next((record for record in source if not _is_comment_above(record)), None)
        if header is None:
            raise FileFormatError("it is empty")
        columns = _columns(header.cells)
        is_plain = "ani" not in columns and len(header.cells) == 1 and _is_data(header.cells[0])
        if is_plain:
            columns = {"ani": 0}  # bare numbers, without a header
            yield from _lines_of(header, columns, 1)
        _check_columns(columns, header.cells, is_kind_known=is_kind_known)
        for record in source:
            if not (is_plain and _is_comment(record)):
                yield from _lines_of(record, columns, len(header.cells))


def is_comment(text: str) -> bool:
    """Whether this line of a plain list is a remark, which is passed over."""
    return text.lstrip("\ufeff \t").startswith("#")


def _is_comment_above(record: Record) -> bool:
    """The same above a header; but a header may begin with a column that is called #."""
    is_header = len(record.cells) > 1 and "ani" in _columns(record.cells)
    return _is_comment(record) and not is_header


def _is_comment(record: Record) -> bool:
    return bool(record.cells) and is_comment(record.cells[0])


def _columns(titles: list[str]) -> dict[str, int]:
    """Where each known column is.

    Raises:
        FileFormatError: Two columns may be the same one, or it is a report.
    """
    if any(title.strip().lower() == _OF_A_REPORT for title in titles):
        raise FileFormatError(_REPORT)
    found: dict[str, int] = {}
    for index, title in enumerate(titles):
        name = _title(title)
        if name in found:
            raise FileFormatError(f"{titles[found[name]]!r} and {title!r} may both be the {name}")
        if name is not None:
            found[name] = index
    return found


def _title(title: str) -> str | None:
    return _TITLES.get(_BESIDE_LETTERS.sub("", title).lower())


def _is_data(cell: str) -> bool:
    """Whether it is a number, be it damaged: titles of columns have letters."""
    text = _cell(cell) or ""
    return DAMAGED.fullmatch(text) is not None or _DIGITS_ONLY.fullmatch(text) is not None


def _check_columns(columns: Mapping[str, int], titles: list[str], *, is_kind_known: bool) -> None:
    if "ani" not in columns:
        hint = (
            "its first line must be a header, as in 'ani,note', but looks like a number's line"
            if any(map(_is_data, titles))
            else "none of its columns is called ani, phone or number"
        )
        raise FileFormatError(f"{hint}: {titles}")
    if not is_kind_known and "action" not in columns:
        raise FileFormatError("no column 'action' says what to do, and no kind is given")


def _lines_of(record: Record, columns: Mapping[str, int], width: int) -> Iterator[Line]:
    if record.problem is not None:
        # A quote that is not closed takes all lines after it along: each of them is told of.
        for number in range(record.first, record.last + 1):
            yield Line(number, problem=_broken(record))
        return
    if len(record.cells) > width:
        yield Line(record.first, problem=f"{len(record.cells)} cells, the header has {width}")
        return
    cells = {
        name: _cell(record.cells[index])
        for name, index in columns.items()
        if index < len(record.cells)
    }
    if any(_NOT_UTF_8.search(cell or "") for cell in cells.values()):
        yield Line(record.first, problem="it is not UTF-8 text: save the file as UTF-8")
    elif any(cell.strip() for cell in record.cells):
        said = {name: cell for name, cell in cells.items() if cell is not None}
        yield Line(record.first, said)


def _broken(record: Record) -> str:
    if record.first == record.last:
        return f"broken CSV: {record.problem}"
    return f"broken CSV in lines {record.first} to {record.last}: {record.problem}"


def _cell(cell: str) -> str | None:
    """A cell as text, without the marks that spreadsheets need; ``None`` if it is empty."""
    bare = cell.strip()
    if as_text := _FORMULA_OF_TEXT.fullmatch(bare):
        return as_text[1]
    return unguarded(bare) or None


# JSON Lines


def json_lines(file: BinaryIO) -> Iterator[Line]:
    """The lines of JSON Lines, and of a saved inventory.

    Raises:
        FileFormatError: Its first line is that of a report.
    """
    is_first = True
    for number, raw in enumerate(file, start=1):
        text = raw.strip(b"\xef\xbb\xbf \t\r\n")
        if not text or (is_first and _describes_inventory(text)):
            continue
        line = _json_line(number, text)
        if is_first and line.problem == _REPORT:  # further down, it is the line that is bad
            raise FileFormatError(_REPORT)
        is_first = False
        yield line


def _describes_inventory(text: bytes) -> bool:
    """Whether it says that an inventory follows, as saved ones do; a report is no list."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return False
    mark = said.get(MARK) if isinstance(said, dict) else None
    if mark == "report":
        raise FileFormatError(_REPORT)
    return mark == "inventory"


def _json_line(number: int, text: bytes) -> Line:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Line(number, problem=f"no JSON: {error}")
    if not isinstance(value, dict):
        is_bare = isinstance(value, str | int | float) and not isinstance(value, bool)
        return Line(number, {"ani": value}) if is_bare else Line(number, problem="no object")
    try:
        found = _columns(list(value))
    except FileFormatError as error:
        return Line(number, problem=error.message)
    values = list(value.values())
    said = {name: values[index] for name, index in found.items()}
    return Line(number, {name: v for name, v in said.items() if v not in (None, "")})
