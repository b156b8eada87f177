"""An inventory as a value: its numbers, how the reading of them went, and what changed since.

No I/O and no clock: what reads an inventory is ``listing``.

::

    value     Inventory: rows, provenance, look-ups, filters, groups
    summary   counts and weighted rates
    diff      what changed between two inventories
"""

from nrm_async.inventory.diff import Change, InventoryDiff, diff
from nrm_async.inventory.summary import Summary
from nrm_async.inventory.value import Inventory, is_number

__all__ = ["Change", "Inventory", "InventoryDiff", "Summary", "diff", "is_number"]
