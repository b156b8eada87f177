"""Print the changes between two inventories, or changes as they happen."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Any, Final

from rich.console import Console

from nrm_async import AuthenticationError, Change, InventoryDiff, NRMError, diff
from nrm_async.cli.console import (
    Cell,
    Column,
    TableWriter,
    print_json,
    print_line,
    stdout_console,
    warn,
)
from nrm_async.cli.exit_codes import OK
from nrm_async.cli.inventory import check_complete, load, read
from nrm_async.cli.options import Connection

_COLUMNS: Final = (
    Column("Change", 7),
    Column("ANI", 10),
    Column("Field", 20),
    Column("Before", 24),
    Column("After", 24),
)
_OTHER_FIELDS: Final = Column("Also changed")


async def show_diff(
    connection: Connection,
    old: str,
    new: str | None,
    number: str | None,
    *,
    all_fields: bool,
    as_json: bool,
) -> int:
    """Print the changes from a saved inventory to another one, or to the current one."""
    before = await load(old, number)
    after = await (read(connection, number) if new is None else load(new, number))
    found = diff(before, after)
    code = OK if new is not None else check_complete(after)
    if code == OK:
        _warn_incomplete(found)
    if as_json:
        print_json(found.as_dict())
    else:
        console = stdout_console()
        _print_changes(console, found, all_fields=all_fields)
        print_line(console, _totals(found))
    return code


async def watch(
    connection: Connection,
    every: timedelta,
    start: str | None,
    number: str | None,
    *,
    all_fields: bool,
    as_json: bool,
) -> int:
    """Print changes as they are found, until interrupted."""
    known = None if start is None else await load(start)
    async with connection.client() as client:
        changes = client.watch(every=every, number=number, start=known, on_error=_raise_if_fatal)
        console = stdout_console()
        async for found in changes:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            if as_json:
                print_json({"at": now, **found.as_dict()})
            else:
                _warn_incomplete(found)
                print_line(console, f"{now}: {_totals(found)}")
                _print_changes(console, found, all_fields=all_fields)
            sys.stdout.flush()
    return OK


def _raise_if_fatal(error: NRMError) -> None:
    """Raise if the key is rejected; other errors are logged and may be temporary."""
    if isinstance(error, AuthenticationError):
        raise error


def _warn_incomplete(found: InventoryDiff) -> None:
    """Warn that a row missing from an incomplete inventory appears as added or removed."""
    if not found.complete:
        warn(
            "one of the inventories may be incomplete (CSV files do not record this): rows shown "
            "as added or removed may only be missing from it"
        )


def _print_changes(console: Console, found: InventoryDiff, *, all_fields: bool) -> None:
    if all_fields:
        changed = (_cells(change) for change in found.changed)
        TableWriter(console, _COLUMNS).add(chain(changed, _added_and_removed(found)))
    else:
        rows = chain(_by_number(found.changed), _added_and_removed(found))
        width = len(_COLUMNS) + 1
        padded = ((*row, *("",) * (width - len(row))) for row in rows)
        TableWriter(console, (*_COLUMNS, _OTHER_FIELDS)).add(padded)


def _by_number(changes: Iterable[Change]) -> Iterator[Sequence[Cell]]:
    """Yield the first change to each number, with the names of its other changed fields.

    A diff lists status changes first.
    """
    grouped: dict[object, list[Change]] = {}
    for change in changes:
        grouped.setdefault(change.id, []).append(change)
    for first, *others in grouped.values():
        yield (*_cells(first), ", ".join(other.field for other in others))


def _cells(change: Change) -> Sequence[Cell]:
    return "changed", change.phone, change.field, _cell(change.old), _cell(change.new)


def _cell(value: Any) -> Cell:
    return value if value is None or isinstance(value, int | float) else str(value)


def _added_and_removed(found: InventoryDiff) -> Iterator[Sequence[Cell]]:
    for ani in found.added:
        yield "added", ani.phone, None, None, ani.status_label or ani.status
    for ani in found.removed:
        yield "removed", ani.phone, None, ani.status_label or ani.status, None


def _totals(found: InventoryDiff) -> str:
    if not found:
        return "Nothing changed"
    return (
        f"{len(found.added):,} added, {len(found.removed):,} removed, "
        f"{len({change.id for change in found.changed}):,} changed in {len(found.changed):,} fields"
    )
