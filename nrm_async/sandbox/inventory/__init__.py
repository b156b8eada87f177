"""The account's inventory. It scales to a million rows, and returns any page in constant time.

::

    generated  rows computed from a seed and an index
    imported   rows read from a file
    inventory  the current rows: a row source, changes, and the listing order
"""

from nrm_async.sandbox.inventory.generated import GeneratedRows, generate
from nrm_async.sandbox.inventory.imported import ImportedRows, read_rows
from nrm_async.sandbox.inventory.inventory import Inventory, RowSource

__all__ = ["GeneratedRows", "ImportedRows", "Inventory", "RowSource", "generate", "read_rows"]
