"""What changed: between two inventories, or from now on."""

import logging
import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Final

from rich.console import Console

from nrm_async import AuthenticationError, Change, InventoryDiff, NRMError, diff
from nrm_async.cli.options import Connection
from nrm_async.cli.run import OK
from nrm_async.cli.show import Cell, Column, TableWriter, complain, console, json_line, line
from nrm_async.cli.source import code_of, load, read

_COLUMNS: Final = (
    Column("Change", 7),
    Column("ANI", 10),
    Column("Field", 20),
    Column("Before", 24),
    Column("After", 24),
)
_ALSO: Final = Column("Also changed")


async def show_diff(
    connection: Connection,
    old: str,
    new: str | None,
    number: str | None,
    *,
    all_fields: bool,
    as_json: bool,
) -> int:
    """Compare a saved inventory with another one, or with the one there is now."""
    before = await load(old, number)
    after = await (read(connection, number) if new is None else load(new, number))
    found = diff(before, after)
    code = OK if new is not None else code_of(after)
    if code == OK:
        _warn(found)
    if as_json:
        json_line(found.as_dict())
    else:
        screen = console()
        _show(screen, found, all_fields=all_fields)
        line(screen, _sum(found))
    return code


def _warn(found: InventoryDiff) -> None:
    """A row that a reading missed would pass for one that came or went."""
    if not found.complete:
        complain(
            "one of them is not known to be complete (CSV never tells): what is added or removed "
            "may only have been missed"
        )


def _show(screen: Console, found: InventoryDiff, *, all_fields: bool) -> None:
    """A line for each number, or for each field of each."""
    if all_fields:
        changed = (_cells(change) for change in found.changed)
        TableWriter(screen, _COLUMNS).add(chain(changed, _come_and_gone(found)))
    else:
        rows = chain(_by_number(found.changed), _come_and_gone(found))
        TableWriter(screen, (*_COLUMNS, _ALSO)).add(_padded(row) for row in rows)


def _by_number(changes: Iterable[Change]) -> Iterator[Sequence[Cell]]:
    """The first change of each number, with the names of its other fields; status comes first."""
    grouped: dict[object, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.id, []).append(change)
    for first, *others in grouped.values():
        yield (*_cells(first), ", ".join(other.field for other in others))


def _padded(row: Sequence[Cell]) -> Sequence[Cell]:
    return (*row, *("",) * (len(_COLUMNS) + 1 - len(row)))


def _cells(change: Change) -> Sequence[Cell]:
    return "changed", change.phone, change.field, _shown(change.old), _shown(change.new)


def _come_and_gone(found: InventoryDiff) -> Iterator[Sequence[Cell]]:
    for ani in found.added:
        yield "added", ani.phone, None, None, ani.status_label or ani.status
    for ani in found.removed:
        yield "removed", ani.phone, None, ani.status_label or ani.status, None


def _shown(value: Any) -> Cell:
    return value if value is None or isinstance(value, int | float) else str(value)


def _sum(found: InventoryDiff) -> str:
    if not found:
        return "Nothing changed"
    return (
        f"{len(found.added):,} added, {len(found.removed):,} removed, "
        f"{len({change.id for change in found.changed}):,} changed in {len(found.changed):,} fields"
    )


async def watch(
    connection: Connection,
    every: timedelta,
    start: str | None,
    number: str | None,
    *,
    all_fields: bool,
    as_json: bool,
) -> int:
    """Print what changes, as it changes, until interrupted."""
    known = None if start is None else await load(start)
    async with connection.client() as client:
        changes = client.watch(every=every, number=number, start=known, on_error=_end_for_a_key)
        screen = console()
        async for found in changes:
            moment = datetime.now(UTC).isoformat(timespec="seconds")
            if as_json:
                json_line({"at": moment, **found.as_dict()})
            else:
                _warn(found)
                line(screen, f"{moment}: {_sum(found)}")
                _show(screen, found, all_fields=all_fields)
            sys.stdout.flush()
    return OK


def _end_for_a_key(error: NRMError) -> None:
    """Other failures pass, and are told by the log; a key that is not accepted stays so."""
    if isinstance(error, AuthenticationError):
        raise error


class Complaints(logging.Handler):
    """The library's warnings, each as one line of the command's."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line."""
        complain(record.getMessage())
