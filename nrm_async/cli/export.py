"""The inventory to a file, or to standard output."""

import asyncio
import sys
from typing import Final

import attrs

from nrm_async import InvalidRequestError, Inventory
from nrm_async.cli.bars import progress
from nrm_async.cli.options import Connection, format_of_file
from nrm_async.cli.show import console, counted, line, side_screen
from nrm_async.cli.source import code_of, read
from nrm_async.files import Format, save_inventory
from nrm_async.files.formats import check_target

TO_OUTPUT: Final = "-"


@attrs.frozen
class Target:
    """Where to write, and in which form.

    Raises:
        InvalidRequestError: No form is told, it could not be written there, or a terminal would
            be shown bytes.
        ConfigurationError: An extra is needed for it that is not installed.
    """

    path: str
    format: Format | None = None
    for_spreadsheet: bool = False

    def __attrs_post_init__(self) -> None:
        if self.path != TO_OUTPUT:
            self._check_name()
            check_target(self.path, self.format)
        elif self.format is None:
            raise InvalidRequestError("--format must be given to write to standard output")
        elif self.format == "parquet" and sys.stdout.isatty():
            raise InvalidRequestError("parquet is not for a terminal: name a file, or pipe it")

    def _check_name(self) -> None:
        if self.format is None:
            format_of_file(self.path, "without --format, FILE")

    def save(self, inventory: Inventory) -> None:
        """Write it."""
        with progress(side_screen()) as bars:
            bar = bars.add_task("Writing", total=len(inventory))
            save_inventory(
                self.path if self.path != TO_OUTPUT else sys.stdout.buffer,
                inventory,
                format=self.format,
                for_spreadsheet=self.for_spreadsheet,
                on_progress=lambda count: bars.update(bar, completed=count),
            )


async def export(connection: Connection, target: Target, number: str | None) -> int:
    """Read the inventory, and write it whole, with how it was read."""
    inventory = await read(connection, number)
    await asyncio.to_thread(target.save, inventory)
    if target.path != TO_OUTPUT:
        line(console(), f"{counted(len(inventory))} written to {target.path}")
    return code_of(inventory)
