"""What to do, from a file of anybody's making; a bad line is told of in its place."""

import re
from collections.abc import Iterator, Mapping
from os import fspath
from typing import Any, BinaryIO, Final, TypeAlias

import attrs

from nrm_async._inputs import BadInput
from nrm_async.actions import ActionDate, Activate, Pause, Remediate
from nrm_async.errors import FileFormatError, InvalidRequestError
from nrm_async.files.as_csv import damage
from nrm_async.files.formats import FilePath, Format, format_of, opened
from nrm_async.files.guard import DAMAGED
from nrm_async.files.lists import Line, csv_lines, json_lines
from nrm_async.results.record import ACTIONS

AnyAction: TypeAlias = Pause | Activate | Remediate

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
    a file of bare numbers needs no header, and may have remarks: lines that begin with ``#``.
    Blank lines are passed over. ``action``, ``carrier``, ``note`` and ``date`` are
    optional, further columns are passed over. Separators, a byte order mark, UTF-16 and the
    text marks of spreadsheets are understood.

    Nothing is lost: a line of which no action can be made is given out as a ``BadInput``, which
    a batch turns into a ``Failed`` that names the line. So is a number that a spreadsheet has
    cut to 2.34568E+09: it cannot be known which number it was.

    A saved inventory is a list too. A saved report is not: as a list it would send again what was
    applied, or may have been. Its ``retryable`` is what to run again.

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
        FileFormatError: No column is a number's, or two are, or none says what to do; or it is
            a report, which has a column ``outcome``.
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
            for line in _lines(file, form, recipe):
                yield recipe.made(line)
    except FileFormatError as error:
        raise FileFormatError(f"{fspath(path)}: {error.message}") from None


def _lines(file: BinaryIO, form: Format, recipe: "_Recipe") -> Iterator[Line]:
    if form == "csv":
        return csv_lines(file, is_kind_known=recipe.kind is not None)
    return json_lines(file)


@attrs.frozen
class _Recipe:
    """How a line becomes an action."""

    name: str
    kind: type[AnyAction] | None
    options: Mapping[str, Any]

    def made(self, line: Line) -> AnyAction | BadInput:
        if line.problem is not None:
            return self._bad(line, line.problem)
        try:
            return self._action(line.said)
        except InvalidRequestError as error:
            return self._bad(line, error.message)

    def _bad(self, line: Line, problem: str) -> BadInput:
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
        action: AnyAction = kind(number_of(said.get("ani")), **(options | given))
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


def number_of(value: Any) -> Any:
    """The number as it was meant.

    Raises:
        InvalidRequestError: That cannot be known: a spreadsheet has cut it.
    """
    if isinstance(value, float) or (isinstance(value, str) and _DECIMAL.fullmatch(value)):
        raise InvalidRequestError(f"{value} is a decimal number, not a phone number")
    if not isinstance(value, str):
        return "" if value is None else value
    if DAMAGED.fullmatch(value):
        raise InvalidRequestError(damage(value))
    return value
