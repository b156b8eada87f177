"""An inventory to work on: read from the API, or loaded from a file."""

import asyncio

from nrm_async import Inventory
from nrm_async.actions import normalize_prefix
from nrm_async.cli.bars import Bars
from nrm_async.cli.options import Connection, format_of_file
from nrm_async.cli.run import FAILED, OK
from nrm_async.cli.show import complain, side_screen, waiting
from nrm_async.files import load_inventory


async def read(connection: Connection, number: str | None = None) -> Inventory:
    """The inventory as it is now."""
    with Bars(side_screen()) as bars:
        async with connection.client(bars) as client:
            return await client.inventory(number=number)


async def load(path: str, number: str | None = None) -> Inventory:
    """An inventory that was saved, or the numbers of it that begin with these digits."""
    prefix = None if number is None else normalize_prefix(number)
    format_of_file(path, "the name of an inventory")
    with waiting(f"Loading {path}"):
        inventory = await asyncio.to_thread(load_inventory, path)
    if prefix is None:
        return inventory
    return inventory.where(lambda ani: ani.phone.startswith(prefix))


def code_of(inventory: Inventory) -> int:
    """Say what is missing of an inventory that was just read; the exit code for it."""
    if inventory.complete:
        return OK
    gaps = [
        f"{len(found):,} {words}"
        for found, words in (
            (inventory.missing, "pages could not be read"),
            (inventory.malformed, "rows could not be understood"),
        )
        if found
    ]
    if inventory.malformed:
        first = inventory.malformed[0]
        gaps.append(f"the first: {first.phone or 'no number'}: {first.path} {first.problem}")
    if inventory.missing:
        gaps.append(f"the first: {inventory.missing[0]}")
    complain(
        "the inventory is not complete: "
        + ("; ".join(gaps) or f"it changed while it was read, in all of {inventory.passes} passes")
    )
    return FAILED
