"""What a file holds, whatever its form: a description, and rows of typed columns.

::

    {"nrm_async": "inventory", "version": 1, "rows": 500, "about": {"complete": true, …}}

is the description: the first line of JSON Lines, and metadata of Parquet. CSV has no place for
it.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol, TypeAlias

import attrs

from nrm_async._tables import Column
from nrm_async.errors import FileFormatError

MARK: Final = "nrm_async"
"""Key of a description; no row has a column of this name."""

_VERSION: Final = 1

Content: TypeAlias = Literal["inventory", "report"]


@attrs.frozen
class Description:
    """What a file says of itself.

    Attributes:
        content: What its rows are.
        rows: How many they are, where that was known when it was begun.
        about: What else there is to know: how an inventory was read, say.
    """

    content: Content
    rows: int | None = None
    about: Mapping[str, Any] = attrs.field(factory=dict)

    def to_json(self) -> str:
        """As one line of JSON."""
        said = {MARK: self.content, "version": _VERSION, "rows": self.rows, "about": self.about}
        return json.dumps(said)


def read_description(text: str | bytes, content: Content) -> Description | None:
    """The description, or ``None`` where this is none.

    Raises:
        FileFormatError: It is that of other content, or of a later version of this package.
    """
    try:
        said = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(said, dict) or MARK not in said:
        return None
    if said[MARK] != content:
        raise FileFormatError(f"it holds {said[MARK]!r}, not {content!r}")
    if said.get("version") != _VERSION:
        raise FileFormatError(f"it is of version {said.get('version')!r}, known is {_VERSION}")
    rows, about = said.get("rows"), said.get("about")
    return Description(content, rows if isinstance(rows, int) else None, about or {})


@attrs.frozen
class Chunk:
    """Some rows, as columns of values.

    Attributes:
        cells: A sequence of values for each column.
        places: Where in the file each row is, in words.
    """

    cells: Sequence[Sequence[Any]]
    places: Sequence[str]


class Sink(Protocol):
    """Where rows go."""

    def add(self, rows: Sequence[object]) -> None:
        """Write more rows.

        Raises:
            InvalidRequestError: A value cannot be written.
        """

    def close(self) -> None:
        """Write what is still to be written; the file itself stays open."""


def decoded(
    column: Column, cells: Sequence[Any], decode: Callable[[Any], Any], places: Sequence[str]
) -> list[Any]:
    """The values of a column's cells, where ``None`` is an empty cell.

    Raises:
        FileFormatError: The first cell that does not hold what it should, with its place.
    """
    try:
        return column.filled([None if cell is None else decode(cell) for cell in cells])
    except ValueError:
        problems = (_problem(column, cell, decode) for cell in cells)
        place, problem = next(both for both in zip(places, problems, strict=True) if both[1])
        raise FileFormatError(f"{place}: {problem}") from None


def _problem(column: Column, cell: Any, decode: Callable[[Any], Any]) -> str | None:
    if cell is None:
        return f"{column.name} is missing" if column.is_required else None
    try:
        decode(cell)
    except FileFormatError as error:  # it has words of its own
        return f"{column.name}: {error}"
    except ValueError:
        return f"{column.must_be}, not {repr(cell)[:60]}"
    return None
