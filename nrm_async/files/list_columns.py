"""Find the columns of a user-supplied list that contain the number and action options."""

import re
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias

from nrm_async.errors import FileFormatError, InvalidRequestError

ColumnTitles: TypeAlias = Mapping[str, str | None]

_FIELD_OF_TITLE: Final[Mapping[str, str]] = {
    title: field
    for field, titles in {
        "ani": "ani anis phone phones number numbers phonenumber phonenumbers phoneno tel "
        "telephone telephonenumber did dids tn tns callerid aninumber msisdn",
        "action": "action actions",
        "carrier": "carrier carrierid",
        "note": "note notes comment comments",
        "date": "date when actiondate",
    }.items()
    for title in titles.split()
}
FIELDS: Final = ("ani", "action", "carrier", "note", "date")
"""The supported fields of a list."""

_NOT_LETTERS: Final = re.compile(r"[\W_]+")

REPORT: Final = (
    "it is a report: its column 'outcome' contains the result of each action, and running it as a "
    "list would repeat actions that were applied or may have been; run "
    "load_report(path).retryable instead (on the command line, --retry). If it is not a report, "
    "remove that column"
)


def check_columns(columns: object) -> dict[str, str | None]:
    """Validate the caller's ``columns`` argument.

    Raises:
        InvalidRequestError: The argument is not a mapping of fields to titles, excludes the
            number, or assigns a column to two fields.
    """
    if not isinstance(columns, Mapping):
        raise InvalidRequestError(f"columns must be a mapping, not {type(columns).__name__}")
    chosen: dict[str, str | None] = {}
    for field, title in columns.items():
        if field not in FIELDS:
            raise InvalidRequestError(
                f"columns must be for the fields {', '.join(FIELDS)}, not {field!r}"
            )
        chosen[field] = check_title(field, title)
    if "ani" in chosen and chosen["ani"] is None:
        raise InvalidRequestError("columns must not leave out the number, 'ani'")
    titles = [title for title in chosen.values() if title is not None]
    for title in titles:
        if titles.count(title) > 1:
            raise InvalidRequestError(f"columns must not give two fields the column {title!r}")
    return chosen


def check_title(field: str, title: object) -> str | None:
    """Validate a column title, which may be ``None``.

    Raises:
        InvalidRequestError: The title is not text, or is blank.
    """
    if title is None or (isinstance(title, str) and title.strip()):
        return title
    raise InvalidRequestError(
        f"columns must give the title of the column {field!r}, or None to leave it out"
    )


def find_columns(titles: Sequence[str], chosen: ColumnTitles) -> dict[str, int]:
    """Return the column index of each field, from the chosen columns or from well-known titles.

    Raises:
        FileFormatError: Two columns match the same field, or the file is a report.
    """
    if any(title.strip().lower() == "outcome" for title in titles):
        raise FileFormatError(REPORT)
    found: dict[str, int] = {}
    for field, title in chosen.items():
        positions = [] if title is None else _positions(titles, title)
        if len(positions) > 1:
            raise FileFormatError(f"{len(positions)} columns are called {title!r}")
        if positions:
            found[field] = positions[0]
    explicit = set(found.values())
    for index, title in enumerate(titles):
        named = _FIELD_OF_TITLE.get(_letters(title))
        if named is None or named in chosen or index in explicit:
            continue
        if named in found:
            raise FileFormatError(
                f"{titles[found[named]]!r} and {title!r} may both be the {named}: "
                f"{choose_hint(named)}"
            )
        found[named] = index
    return found


def _positions(titles: Sequence[str], wanted: str) -> list[int]:
    """Return the columns with this title, or else those that match without case and punctuation."""
    exact = [index for index, title in enumerate(titles) if title.strip() == wanted.strip()]
    letters = _letters(wanted)
    if exact or not letters:
        return exact
    return [index for index, title in enumerate(titles) if _letters(title) == letters]


def _letters(title: str) -> str:
    return _NOT_LETTERS.sub("", title).lower()


def is_header(titles: Sequence[str], chosen: ColumnTitles) -> bool:
    """Return whether there are several titles, including one for the number."""
    return len(titles) > 1 and "ani" in find_columns(titles, chosen)


def check_header(titles: Sequence[str], found: Mapping[str, int], chosen: ColumnTitles) -> None:
    """Check that the file has all chosen columns.

    Raises:
        FileFormatError: A chosen column is missing.
    """
    for field, title in chosen.items():
        if title is not None and field not in found:
            raise FileFormatError(
                f"none of its columns is called {title!r}, which is chosen for {field}: {titles}"
            )


def choose_hint(field: str) -> str:
    """Return a hint that explains how to choose the column for a field."""
    return (
        f"say which with columns={{{field!r}: 'TITLE'}} (on the command line, "
        f"--column {field}=TITLE)"
    )


def leave_out_hint(field: str, title: str) -> str:
    """Return a hint that explains how to ignore a column for a field."""
    return (
        f"if the column {title!r} contains something else, leave it out with "
        f"columns={{{field!r}: None}} (on the command line, --no-column {field})"
    )
