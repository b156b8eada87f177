"""Read an inventory from the API or a file; export or summarise it."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from typing import Final

import attrs

from nrm_async import InvalidRequestError, Inventory
from nrm_async.actions import normalize_prefix
from nrm_async.cli.console import (
    Cell,
    Column,
    ProgressBars,
    pluralize,
    print_json,
    print_line,
    print_table,
    progress,
    spinner,
    stderr_console,
    stdout_console,
    warn,
)
from nrm_async.cli.exit_codes import FAILED, OK
from nrm_async.cli.options import Connection, file_format
from nrm_async.files import Format, load_inventory, save_inventory
from nrm_async.files.common import check_target
from nrm_async.inventory import Summary

STDOUT: Final = "-"

_GROUPS: Final = {"by_status": "Status", "by_campaign": "Campaign", "by_area_code": "Area code"}
_ROWS_PER_GROUP: Final = 10  # --json prints all of them
_RATES: Final = ("contact_rate", "success_rate", "block_rate", "no_answer_rate")


async def read(connection: Connection, number: str | None = None) -> Inventory:
    """Read the current inventory from the API."""
    with ProgressBars(stderr_console()) as bars:
        async with connection.client(bars) as client:
            return await client.inventory(number=number)


async def load(path: str, number: str | None = None) -> Inventory:
    """Load a saved inventory, optionally only the numbers with a prefix."""
    prefix = None if number is None else normalize_prefix(number)
    file_format(path, "the name of an inventory")
    with spinner(f"Loading {path}"):
        inventory = await asyncio.to_thread(load_inventory, path)
    if prefix is None:
        return inventory
    return inventory.where(lambda ani: ani.phone.startswith(prefix))


def check_complete(inventory: Inventory) -> int:
    """Return the exit code for an inventory read from the API; warn if it is incomplete."""
    for note in inventory.notes:
        warn(note)
    if inventory.complete:
        return OK
    gaps = []
    if inventory.missing:
        gaps.append(f"{pluralize(len(inventory.missing), 'page')} could not be read")
    if inventory.malformed:
        first = inventory.malformed[0]
        gaps.append(f"{pluralize(len(inventory.malformed), 'row')} could not be understood")
        gaps.append(f"the first: {first.phone or 'no number'}: {first.path} {first.problem}")
    if inventory.missing:
        gaps.append(f"the first: {inventory.missing[0]}")
    if not gaps:
        gaps.append(inventory.why_incomplete or "completeness could not be proven")
    warn(f"the inventory is not complete: {'; '.join(gaps)}")
    return FAILED


@attrs.frozen
class ExportTarget:
    """The destination and format of an export.

    Raises:
        InvalidRequestError: The format is unknown, the file cannot be written, or a binary format
            would be written to a terminal.
        ConfigurationError: The format needs an extra that is not installed.
    """

    path: str
    format: Format | None = None
    for_spreadsheet: bool = False

    def __attrs_post_init__(self) -> None:
        if self.path != STDOUT:
            if self.format is None:
                file_format(self.path, "without --format, FILE")
            check_target(self.path, self.format)
        elif self.format is None:
            raise InvalidRequestError("--format is required to write to standard output")
        elif self.format == "parquet" and sys.stdout.isatty():
            raise InvalidRequestError(
                "parquet cannot be written to a terminal: name a file, or use a pipe"
            )

    def save(self, inventory: Inventory) -> None:
        """Write the inventory."""
        with progress(stderr_console()) as bars:
            bar = bars.add_task("Writing", total=len(inventory))
            save_inventory(
                self.path if self.path != STDOUT else sys.stdout.buffer,
                inventory,
                format=self.format,
                for_spreadsheet=self.for_spreadsheet,
                on_progress=lambda count: bars.update(bar, completed=count),
            )


async def export(connection: Connection, target: ExportTarget, number: str | None) -> int:
    """Read the inventory and write it; return the exit code."""
    inventory = await read(connection, number)
    await asyncio.to_thread(target.save, inventory)
    if target.path != STDOUT:
        print_line(stdout_console(), f"{pluralize(len(inventory))} written to {target.path}")
    return check_complete(inventory)


async def show_summary(
    connection: Connection, path: str | None, number: str | None, *, as_json: bool
) -> int:
    """Print a summary of a saved inventory, or of the current one."""
    code = OK
    if path is None:
        inventory = await read(connection, number)
        code = check_complete(inventory)
    else:
        inventory = await load(path, number)
        if not inventory.complete:
            warn(f"{path} is not marked as complete")
    summary = inventory.summary()
    if as_json:
        print_json({**summary.as_dict(), "complete": inventory.complete})
    else:
        _print_summary(summary)
    return code


def _print_summary(summary: Summary) -> None:
    console = stdout_console()
    print_line(
        console,
        f"{pluralize(summary.numbers)}, {summary.active:,} active; in the last 30 days "
        f"{pluralize(summary.dials, 'dial')}, {pluralize(summary.contacts, 'contact')}",
    )
    rates = [
        f"{name.removesuffix('_rate').replace('_', ' ')} {value:.2f} %"
        for name in _RATES
        if (value := getattr(summary, name)) is not None
    ]
    print_line(console, f"Rates, weighted by dials: {', '.join(rates) or 'none known'}")
    for name, title in _GROUPS.items():
        if counts := getattr(summary, name):
            columns = (Column(title, 24), Column("Numbers", is_number=True))
            print_line(console, "")
            print_table(console, columns, _largest(counts))


def _largest(counts: Mapping[str | None, int]) -> Iterator[tuple[Cell, Cell]]:
    largest = list(counts.items())[:_ROWS_PER_GROUP]
    yield from largest
    if rest := len(counts) - len(largest):
        yield f"{rest:,} others", sum(counts.values()) - sum(count for _, count in largest)
