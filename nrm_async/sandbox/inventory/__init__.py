"""The numbers of an account: a million of them in little memory, any page of them at once.

::

    areas      area codes and the places they belong to
    shuffle    a seeded permutation that is computed, not stored
    made       rows from a seed and an index
    loaded     rows from a file
    order      which row stands at which position, while numbers join and leave
    inventory  the rows as they stand now: a source, changes to it, and an order
"""

from nrm_async.sandbox.inventory.inventory import Inventory, Source
from nrm_async.sandbox.inventory.loaded import Loaded, read_rows
from nrm_async.sandbox.inventory.made import Made, generate

__all__ = ["Inventory", "Loaded", "Made", "Source", "generate", "read_rows"]
