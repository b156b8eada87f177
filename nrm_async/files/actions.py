"""What to do, from a file of anybody's making; a bad line is told of in its place."""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import closing
from os import fspath
from typing import Any, BinaryIO, Final, TypeAlias

import attrs

from nrm_async._inputs import BadInput
from nrm_async.actions import ActionDate, Activate, Pause, Remediate, normalize_ani
from nrm_async.errors import FileFormatError, InvalidRequestError
from nrm_async.files.as_csv import damage
from nrm_async.files.formats import FilePath, Format, format_of, opened
from nrm_async.files.guard import DAMAGED, unguarded
from nrm_async.files.text import Record, records
from nrm_async.results.record import ACTIONS

AnyAction: TypeAlias = Pause | Activate | Remediate

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
_DECIMAL: Final = re.compile(r"[0-9]{7,}[.,][0-9]+")


def read_actions(
    path: FilePath,
    kind: type[AnyAction] | None = None,
    *,
    carrier: str | None = None,
    note: str | None = None,
    date: ActionDate | None = None,
    format: Format | None = None,  # noqa: A002 - what everybody calls it
) -> Iterator[AnyAction | BadInput]:
    r"""Read actions from CSV or JSON Lines: give them to ``run_batch`` or ``pause_many``.

    The number's column is called ``ani``, ``phone``, ``number``, ``Phone_Number`` or the like;
    a file of bare numbers needs no header. ``action``, ``carrier``, ``note`` and ``date`` are
    optional, further columns are passed over. Separators, a byte order mark, UTF-16 and the
    text marks of spreadsheets are understood.

    Nothing is lost: a line of which no action can be made is given out as a ``BadInput``, which
    a batch turns into a ``Failed`` that names the line. So is a number that a spreadsheet has
    cut to 2.34568E+09: it cannot be known which number it was.

    Args:
        path: The file, read as actions are asked for.
        kind: ``Pause``, ``Activate`` or ``Remediate``, for lines that do not say; a line that
            says otherwise is bad. ``None`` wants a column ``action``.
        carrier: For lines that give none.
        note: For lines that give none.
        date: For lines that give none.
        format: ``csv`` or ``jsonl``; ``None`` goes by the file's suffix.

    Raises:
        InvalidRequestError: An argument breaks its rule.

    At the first action, it raises:
        FileFormatError: No column is a number's, or two are, or none says what to do.
        OSError: The file cannot be read.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from nrm_async import Pause
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     path = Path(folder) / "numbers.csv"
        ...     _ = path.write_text("Phone Number;Note\n(234) 567-8901;resting\n2.3E+09;\n")
        ...     good, bad = read_actions(path, Pause)
        >>> good.ani, good.note
        ('2345678901', 'resting')
        >>> bad.error.message[-74:]
        'are lost; take it from the original, in a column that is formatted as text'
    """
    form = format_of(path, format)
    if form == "parquet":
        raise InvalidRequestError("actions are read from csv or jsonl, not parquet")
    recipe = _Recipe(fspath(path), kind, _checked(kind, carrier, note, date))
    return _actions(path, form, recipe)


def _checked(kind: type[AnyAction] | None, *options: Any) -> Mapping[str, Any]:
    """The options given, normalised now, once; a date where there is none is a mistake."""
    given = dict(zip(("carrier", "note", "date"), options, strict=True))
    given = {name: value for name, value in given.items() if value is not None}
    if kind is Remediate and "date" in given:
        raise InvalidRequestError("remediate takes no date")
    sample = Pause("0000000", **given)
    return {name: getattr(sample, name) for name in given}


def _actions(path: FilePath, form: Format, recipe: "_Recipe") -> Iterator[AnyAction | BadInput]:
    try:
        with opened(path, form) as file:
            for line in _csv_lines(file, recipe) if form == "csv" else _json_lines(file):
                yield recipe.made(line)
    except FileFormatError as error:
        raise FileFormatError(f"{fspath(path)}: {error.message}") from None


@attrs.frozen
class _Line:
    """One line: what it says, or why it cannot be read."""

    number: int
    said: Mapping[str, Any] = attrs.field(factory=dict)
    problem: str | None = None


@attrs.frozen
class _Recipe:
    """How a line becomes an action."""

    name: str
    kind: type[AnyAction] | None
    options: Mapping[str, Any]

    def made(self, line: _Line) -> AnyAction | BadInput:
        if line.problem is not None:
            return self._bad(line, line.problem)
        try:
            return self._action(line.said)
        except InvalidRequestError as error:
            return self._bad(line, error.message)

    def _bad(self, line: _Line, problem: str) -> BadInput:
        text = str(line.said.get("ani") or f"line {line.number}")
        return BadInput(text, InvalidRequestError(f"{self.name} line {line.number}: {problem}"))

    def _action(self, said: Mapping[str, Any]) -> AnyAction:
        kind: Any = self._kind(said.get("action"))
        given = {name: said[name] for name in ("carrier", "note", "date") if name in said}
        if kind is Remediate and "date" in given:
            raise InvalidRequestError("remediate takes no date")
        options = {name: v for name, v in self.options.items() if name in _fields(kind)}
        if kind is Activate:
            options.setdefault("date", None)  # its own words say that it needs one
        action: AnyAction = kind(_number(said.get("ani")), **(options | given))
        return action

    def _kind(self, said: Any) -> type[AnyAction]:
        name = str(said).strip().lower()
        if said is None:
            if self.kind is None:
                raise InvalidRequestError("it does not say what to do")
            return self.kind
        if name not in ACTIONS:
            raise InvalidRequestError(f"action must be one of {', '.join(ACTIONS)}, not {name!r}")
        if self.kind not in (None, ACTIONS[name]):
            raise InvalidRequestError(f"its action is {name}, another one is asked for")
        return ACTIONS[name]


def _fields(kind: type[AnyAction]) -> frozenset[str]:
    return frozenset(field.name for field in attrs.fields(kind))


def _number(value: Any) -> Any:
    """The number as it was meant, or refused where that cannot be known."""
    if isinstance(value, float) or (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        raise InvalidRequestError(f"{value} is a decimal number, not a phone number")
    if not isinstance(value, str):
        return "" if value is None else value
    if DAMAGED.fullmatch(value):
        raise InvalidRequestError(damage(value))
    return value


# CSV


def _csv_lines(file: BinaryIO, recipe: _Recipe) -> Iterator[_Line]:
    with closing(records(file, "surrogateescape")) as source:
        header = next(source, None)
        if header is None:
            raise FileFormatError("it is empty")
        columns = _columns(header.cells)
        if "ani" not in columns and len(header.cells) == 1 and _is_number(header.cells[0]):
            columns = {"ani": 0}  # bare numbers, without a header
            yield from _lines_of(header, columns, 1)
        _check_columns(columns, header.cells, recipe)
        for record in source:
            yield from _lines_of(record, columns, len(header.cells))


def _columns(titles: list[str]) -> dict[str, int]:
    """Where each known column is.

    Raises:
        FileFormatError: Two columns may be the same one.
    """
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


def _is_number(text: str) -> bool:
    try:
        normalize_ani(_cell(text) or "")
    except InvalidRequestError:
        return False
    return True


def _check_columns(columns: Mapping[str, int], titles: list[str], recipe: _Recipe) -> None:
    if "ani" not in columns:
        raise FileFormatError(f"none of its columns is called ani, phone or number: {titles}")
    if recipe.kind is None and "action" not in columns:
        raise FileFormatError("no column 'action' says what to do, and no kind is given")


def _lines_of(record: Record, columns: Mapping[str, int], width: int) -> Iterator[_Line]:
    if record.problem is not None:
        # A quote that is not closed takes all lines after it along: each of them is told of.
        for number in range(record.first, record.last + 1):
            yield _Line(number, problem=_broken(record))
        return
    if len(record.cells) > width:
        yield _Line(record.first, problem=f"{len(record.cells)} cells, the header has {width}")
        return
    cells = {
        name: _cell(record.cells[index])
        for name, index in columns.items()
        if index < len(record.cells)
    }
    if any(cell.strip() for cell in record.cells):
        said = {name: cell for name, cell in cells.items() if cell is not None}
        yield _Line(record.first, said)


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


def _json_lines(file: BinaryIO) -> Iterator[_Line]:
    for number, raw in enumerate(file, start=1):
        if text := raw.strip(b"\xef\xbb\xbf \t\r\n"):
            yield _json_line(number, text)


def _json_line(number: int, text: bytes) -> _Line:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        return _Line(number, problem=f"no JSON: {error}")
    if not isinstance(value, dict):
        is_bare = isinstance(value, str | int | float) and not isinstance(value, bool)
        return _Line(number, {"ani": value}) if is_bare else _Line(number, problem="no object")
    try:
        found = _columns(list(value))
    except FileFormatError as error:
        return _Line(number, problem=error.message)
    values = list(value.values())
    said = {name: values[index] for name, index in found.items()}
    return _Line(number, {name: v for name, v in said.items() if v not in (None, "")})
