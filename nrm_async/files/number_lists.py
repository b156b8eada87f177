"""Read actions from user-supplied CSV and JSON Lines. An invalid line becomes a ``BadInput``."""

import json
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from itertools import chain
from os import fspath
from typing import Any, BinaryIO, Final, Self, TypeAlias, cast

import attrs

from nrm_async._inputs import BadInput
from nrm_async.actions import ActionDate, Activate, Pause, Remediate
from nrm_async.errors import FileFormatError, InvalidRequestError
from nrm_async.files.common import (
    METADATA_KEY,
    FilePath,
    Format,
    format_of,
    load_json_object,
    open_for_reading,
    open_stream,
)
from nrm_async.files.csv_dialect import CsvRecord, read_records
from nrm_async.files.csv_text import TRUNCATED_NUMBER, truncated_number_error, unescape
from nrm_async.files.list_columns import (
    REPORT,
    ColumnTitles,
    check_columns,
    check_header,
    choose_hint,
    find_columns,
    is_header,
    leave_out_hint,
)
from nrm_async.results.record import ACTION_OPTIONS, ACTIONS

AnyAction: TypeAlias = Pause | Activate | Remediate

_DIGITS_ONLY_TITLE: Final = re.compile(r"[\W\d_]*\d[\W\d_]*")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")  # invalid bytes, decoded with surrogateescape
_TEXT_FORMULA: Final = re.compile(r'="([^"]*)"')  # prevents spreadsheets from converting text

# The maximum number of rows to read ahead to decide whether a column contains action dates.
_ROWS_AHEAD: Final = 1_000

# A year, alone or at the start of YYYYMMDD, YYYYMMDDHHMM or YYYYMMDDHHMMSS.
_YEAR: Final = re.compile(
    r"(?<![0-9])((?:19|20)[0-9]{2})(?:[0-9]{4}(?:[0-9]{4}(?:[0-9]{2})?)?)?(?![0-9])"
)

# Prefixes of error messages about each field.
_BEGINNINGS: Final = {
    "action": ("action ", "its action "),
    "carrier": ("carrier ",),
    "note": ("note ",),
    "date": ("date ", "remediate takes no date"),
}

_log: Final = logging.getLogger("nrm_async.files")


def read_actions(
    path: FilePath,
    kind: type[AnyAction] | None = None,
    *,
    carrier: str | None = None,
    note: str | None = None,
    date: ActionDate | None = None,
    format: Format | None = None,  # noqa: A002 - the usual name
    columns: ColumnTitles | None = None,
) -> Iterator[AnyAction | BadInput]:
    r"""Read actions from CSV or JSON Lines, for ``run_batch`` or ``pause_many``.

    The number's column is called ``ani``, ``phone``, ``number``, ``Phone_Number`` or similar. A
    file that only contains numbers does not require a header, and may have comments: lines that
    begin with ``#``. The columns ``action``, ``carrier``, ``note`` and ``date`` are optional; other
    columns and blank lines are ignored. Common delimiters, Excel's ``sep=;``, byte order marks,
    UTF-16 and the text markers of spreadsheets are supported.

    Pass ``columns`` if the column titles are misleading. A column ``Date`` in which all dates are
    in earlier years, and in a format that the API does not accept, cannot contain action dates: it
    is ignored, and a warning is logged to ``nrm_async.files``. Any other invalid date makes its
    line invalid, because a spreadsheet may have reformatted an action date.

    No line is lost: an invalid line yields a ``BadInput``, which a batch turns into a ``Failed``
    result with the line number. A number that a spreadsheet has truncated to 2.34568E+09 is
    invalid too, because its last digits are unknown.

    A saved inventory is also accepted. A saved report is rejected, because running it as a list
    would repeat actions that were, or may have been, applied. Run its ``retryable`` instead.

    Args:
        path: Path of the file, which is read while actions are consumed.
        kind: ``Pause``, ``Activate`` or ``Remediate``, for lines without an action. A line with a
            different action is invalid. If ``None``, a column ``action`` is required.
        carrier: Default carrier, for lines without one.
        note: Default note, for lines without one.
        date: Default date, for lines without one.
        format: ``csv`` or ``jsonl``. By default, the format is derived from the suffix.
        columns: Column titles (or keys of JSON objects) for ``ani``, ``action``, ``carrier``,
            ``note`` and ``date``, or ``None`` to ignore any column for the field. Columns for
            other fields are found by their titles. For example,
            ``{"ani": "Office phone", "date": None}``.

    Raises:
        InvalidRequestError: An argument is invalid.

    When the first action is requested, the iterator raises:
        FileFormatError: A required column is missing or ambiguous, or the file is a report, which
            has a column ``outcome``.
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
        >>> bad.error.message[-66:]
        'are lost; take it from the original, in a column formatted as text'
    """
    file_format = format_of(path, format)
    if file_format == "parquet":
        raise InvalidRequestError("actions are read from csv or jsonl, not parquet")
    given = dict(zip(ACTION_OPTIONS, (carrier, note, date), strict=True))
    chosen = check_columns(columns or {})
    factory = _ActionFactory(fspath(path), kind, _normalize_options(kind, given), chosen)
    return _read_file(path, file_format, factory)


def read_list(
    file: BinaryIO,
    name: str,
    kind: type[AnyAction],
    *,
    columns: ColumnTitles,
    may_be_empty: bool = False,
    **options: Any,
) -> Iterator[AnyAction | BadInput]:
    """Read actions from an open file, detecting its format from its content.

    A compressed file begins with the gzip signature, and JSON Lines with a brace. Any other text is
    CSV, or numbers only. Actions are returned as soon as their lines are received.

    Args:
        file: The file, such as standard input, which is closed at the end.
        name: The file's name in error messages.
        kind: The action, as in ``read_actions``.
        columns: As in ``read_actions``.
        may_be_empty: Whether to accept an empty file instead of raising an error.
        options: Defaults for ``carrier``, ``note`` and ``date``, as in ``read_actions``.

    Raises:
        InvalidRequestError: An option is invalid.
    """
    defaults = _normalize_options(kind, options)
    chosen = check_columns(columns)
    return _read_stream(file, _ActionFactory(name, kind, defaults, chosen, may_be_empty))


def _normalize_options(
    kind: type[AnyAction] | None, options: Mapping[str, Any]
) -> Mapping[str, Any]:
    """Validate and normalise the default options, once for all lines."""
    given = {name: value for name, value in options.items() if value is not None}
    if kind is Remediate and "date" in given:
        raise InvalidRequestError("remediate takes no date")
    sample = Pause("0000000", **given)
    return {name: getattr(sample, name) for name in given}


def _read_file(
    path: FilePath, file_format: Format, factory: "_ActionFactory"
) -> Iterator[AnyAction | BadInput]:
    with factory.naming_file(), open_for_reading(path, file_format) as file:
        yield from factory.make_all(file, file_format)


def _read_stream(file: BinaryIO, factory: "_ActionFactory") -> Iterator[AnyAction | BadInput]:
    with factory.naming_file(), closing(file), open_stream(file) as (content, file_format):
        if file_format == "parquet":
            raise FileFormatError("lists of numbers are CSV or JSON Lines, not Parquet")
        yield from factory.make_all(content, file_format)


@attrs.frozen
class _Line:
    """A line of a list, with its fields or the reason why the line is invalid.

    Attributes:
        number: The line number, counted from 1.
        fields: The non-empty values, by field name.
        problem: The reason why the line is invalid, or ``None``.
        titles: The column titles, by field name.
    """

    number: int
    fields: Mapping[str, Any] = attrs.field(factory=dict)
    problem: str | None = None
    titles: Mapping[str, str] = attrs.field(factory=dict)


@attrs.frozen
class _ActionFactory:
    """Factory that creates actions from the lines of a list."""

    file_name: str
    kind: type[AnyAction] | None
    options: Mapping[str, Any]
    chosen: ColumnTitles
    may_be_empty: bool = False

    @contextmanager
    def naming_file(self) -> Iterator[None]:
        """Prefix error messages with the file name."""
        try:
            yield
        except FileFormatError as error:
            raise FileFormatError(f"{self.file_name}: {error.message}") from None

    def make_all(self, file: BinaryIO, file_format: Format) -> Iterator[AnyAction | BadInput]:
        """Create an action or a ``BadInput`` from each line of a file."""
        if file_format == "csv":
            needs_action = self.kind is None
            lines = _csv_lines(
                file, self.chosen, needs_action=needs_action, may_be_empty=self.may_be_empty
            )
        else:
            lines = _json_lines(file, self.chosen)
        if "date" not in self.chosen:
            lines = _without_past_dates(lines, self.file_name)
        return map(self.make, lines)

    def make(self, line: _Line) -> AnyAction | BadInput:
        problem = line.problem
        if problem is None:
            try:
                return self._make_action(line.fields)
            except InvalidRequestError as error:
                problem = _with_hint(error.message, line)
        text = str(line.fields.get("ani") or f"line {line.number}")
        message = f"{self.file_name} line {line.number}: {problem}"
        return BadInput(text, InvalidRequestError(message))

    def _make_action(self, fields: Mapping[str, Any]) -> AnyAction:
        cls: Any = self._action_class(fields.get("action"))
        given = {name: fields[name] for name in ACTION_OPTIONS if name in fields}
        if cls is Remediate and "date" in given:
            raise InvalidRequestError("remediate takes no date")
        known = {field.name for field in attrs.fields(cls)}
        options = {name: value for name, value in self.options.items() if name in known}
        if cls is Activate:
            options.setdefault("date", None)  # Activate rejects None with a clear error
        action: AnyAction = cls(number_of(fields.get("ani")), **(options | given))
        return action

    def _action_class(self, text: Any) -> type[AnyAction]:
        if text is None:
            if self.kind is None:
                raise InvalidRequestError("it names no action")
            return self.kind
        name = str(text).strip().lower()
        if name not in ACTIONS:
            raise InvalidRequestError(f"action must be one of {', '.join(ACTIONS)}, not {name!r}")
        if self.kind not in (None, ACTIONS[name]):
            raise InvalidRequestError(f"its action is {name}, but another one is required")
        return ACTIONS[name]


def _with_hint(problem: str, line: _Line) -> str:
    """Append a hint on how to ignore the column, if the problem is an optional value."""
    for field, beginnings in _BEGINNINGS.items():
        if field in line.fields and field in line.titles and problem.startswith(beginnings):
            return f"{problem}; {leave_out_hint(field, line.titles[field])}"
    return problem


def number_of(value: Any) -> Any:
    """Return the number to pass to an action, which validates it.

    Raises:
        InvalidRequestError: A spreadsheet has truncated the number.
    """
    if isinstance(value, _JsonFloat):
        value = value.text
    if not isinstance(value, str):
        return "" if value is None else value
    if TRUNCATED_NUMBER.fullmatch(value):
        raise InvalidRequestError(truncated_number_error(value))
    return value


# Ignoring past dates


def _without_past_dates(lines: Iterator[_Line], file_name: str) -> Iterator[_Line]:
    """Ignore the date column if all values are past dates that are not valid action dates.

    The decision applies to the whole column, and is based on up to 1,000 rows, which are read
    before the first row is returned. Reading ahead stops at the first value that may be an action
    date.
    """
    ahead: list[_Line] = []
    for line in lines:
        if not ahead and "date" not in line.fields:
            yield line
            continue
        ahead.append(line)
        if "date" in line.fields and not _is_past_date(line.fields["date"]):
            yield from ahead
            yield from lines
            return
        if len(ahead) == _ROWS_AHEAD:
            break
    if ahead:
        title, example = ahead[0].titles["date"], ahead[0].fields["date"]
        _log.warning(
            "%s: the column %r is left out: its dates, such as %r, are of earlier years and not "
            "in a form of action dates (YYYY-MM-DD, YYYYMMDDHHMMSS)",
            file_name,
            title,
            example,
        )
    for line in chain(ahead, lines):
        if "date" not in line.fields:
            yield line
        elif _is_past_date(value := line.fields["date"]):
            fields = {name: cell for name, cell in line.fields.items() if name != "date"}
            yield attrs.evolve(line, fields=fields)
        else:
            title = line.titles["date"]
            yield attrs.evolve(
                line,
                problem=f"date {value!r} may be an action date, but the column {title!r} is left "
                f"out, because the dates above it are not; {choose_hint('date')}",
            )


def _is_past_date(value: object) -> bool:
    """Return whether the value contains only past years and is not a valid action date."""
    years = [int(year) for year in _YEAR.findall(value)] if isinstance(value, str) else []
    if not years or max(years) >= datetime.now(UTC).year:
        return False
    try:
        Pause("0000000", date=cast("str", value))
    except InvalidRequestError:
        return True
    return False


# Reading CSV


def _csv_lines(
    file: BinaryIO, chosen: ColumnTitles, *, needs_action: bool, may_be_empty: bool
) -> Iterator[_Line]:
    """Read the lines of a CSV file.

    Raises:
        FileFormatError: The file is empty or a report, or a required column is missing.
    """
    records = read_records(
        file, "surrogateescape", is_header=lambda cells: is_header(cells, chosen)
    )
    with closing(records) as source:
        header = next(source, None)
        if header is None:
            if may_be_empty:
                return
            raise FileFormatError("it is empty")
        columns = find_columns(header.cells, chosen)
        has_header = (
            "ani" in columns or len(header.cells) != 1 or not _looks_like_number(header.cells[0])
        )
        if has_header or any(title is not None for title in chosen.values()):
            check_header(header.cells, columns, chosen)
        titles = {name: header.cells[index].strip() for name, index in columns.items()}
        if not has_header:  # numbers only
            columns, titles = {"ani": 0}, {}
            yield from _record_lines(header, columns, titles, 1)
        _check_columns(columns, header.cells, needs_action=needs_action)
        for record in source:
            if has_header or not _is_comment(record):
                yield from _record_lines(record, columns, titles, len(header.cells))


def _is_comment(record: CsvRecord) -> bool:
    return bool(record.cells) and record.cells[0].lstrip("\ufeff \t").startswith("#")


def _looks_like_number(cell: str) -> bool:
    """Return whether the cell is a (possibly truncated) number. Column titles contain letters."""
    text = _cell_text(cell) or ""
    return any(pattern.fullmatch(text) for pattern in (TRUNCATED_NUMBER, _DIGITS_ONLY_TITLE))


def _check_columns(columns: Mapping[str, int], titles: list[str], *, needs_action: bool) -> None:
    if "ani" not in columns:
        problem = (
            "its first line must be a header, as in 'ani,note', but looks like a number's line"
            if any(map(_looks_like_number, titles))
            else f"none of its columns is called ani, phone or number ({choose_hint('ani')})"
        )
        raise FileFormatError(f"{problem}: {titles}")
    if needs_action and "action" not in columns:
        raise FileFormatError("it has no column 'action', and no kind of action is given")


def _record_lines(
    record: CsvRecord, columns: Mapping[str, int], titles: Mapping[str, str], width: int
) -> Iterator[_Line]:
    first, last = record.first_line, record.last_line
    if record.problem is not None:
        # A record with an unclosed quote includes all following lines: report each line.
        where = "" if first == last else f" in lines {first} to {last}"
        for number in range(first, last + 1):
            yield _Line(number, problem=f"broken CSV{where}: {record.problem}")
        return
    if len(record.cells) > width:
        yield _Line(first, problem=f"{len(record.cells)} cells, the header has {width}")
        return
    cells = {
        name: _cell_text(record.cells[index])
        for name, index in columns.items()
        if index < len(record.cells)
    }
    if any(_SURROGATE.search(cell or "") for cell in cells.values()):
        yield _Line(first, problem="it is not UTF-8 text: save the file as UTF-8")
    elif any(cell.strip() for cell in record.cells):
        fields = {name: cell for name, cell in cells.items() if cell is not None}
        yield _Line(first, fields, titles=titles)


def _cell_text(cell: str) -> str | None:
    """Return the text of a cell without spreadsheet markers, or ``None`` if it is empty."""
    stripped = cell.strip()
    if text_formula := _TEXT_FORMULA.fullmatch(stripped):
        return text_formula[1]
    return unescape(stripped) or None


# Reading JSON Lines


class _JsonFloat(float):
    """A JSON number with a fraction or exponent, and its text, to detect a lossy 2.3E+09."""

    text: str

    def __new__(cls, text: str) -> Self:
        number = super().__new__(cls, text)
        number.text = text
        return number


def _json_lines(file: BinaryIO, chosen: ColumnTitles) -> Iterator[_Line]:
    """Read the lines of a JSON Lines file, including a saved inventory.

    Raises:
        FileFormatError: The file is a report, according to its first line.
    """
    is_first = True
    for number, raw in enumerate(file, start=1):
        text = raw.strip(b"\xef\xbb\xbf \t\r\n")
        if not text or (is_first and _is_inventory_metadata(text)):
            continue
        line = _json_line(number, text, chosen)
        if is_first and line.problem == REPORT:  # on later lines, only that line is invalid
            raise FileFormatError(REPORT)
        is_first = False
        yield line


def _is_inventory_metadata(text: bytes) -> bool:
    content = (load_json_object(text) or {}).get(METADATA_KEY)
    if content == "report":
        raise FileFormatError(REPORT)
    return content == "inventory"


def _json_line(number: int, text: bytes, chosen: ColumnTitles) -> _Line:
    try:
        value = json.loads(text, parse_float=_JsonFloat)
    except (ValueError, RecursionError) as error:
        return _Line(number, problem=f"not JSON: {error}")
    if not isinstance(value, dict):
        is_number = isinstance(value, str | int | float) and not isinstance(value, bool)
        if is_number:
            return _Line(number, {"ani": value})
        return _Line(number, problem="neither a JSON object nor a number")
    titles = list(value)
    try:
        columns = find_columns(titles, chosen)
    except FileFormatError as error:
        return _Line(number, problem=error.message)
    cells = list(value.values())
    fields = {
        name: cells[index] for name, index in columns.items() if cells[index] not in (None, "")
    }
    return _Line(number, fields, titles={name: titles[index] for name, index in columns.items()})
