"""Inventories, reports and lists of actions, to files and from files.

CSV, JSON Lines and Parquet (the extra ``parquet``), told by the file's suffix. Every value is read
as it was written, with its type, but for what CSV has no place for: how an inventory was read, and
how long a batch took. What is written is there as a whole or not at all.

::

    save_inventory, load_inventory   a value to a file, and back
    save_report, load_report
    save_anis, save_results          a stream to a file, as it comes
    read_anis, read_results          row by row from a file
    read_actions                     what to do, from a file of anybody's making

::

    saving, loading, actions   what is offered
    lists                      the lines of anybody's lists
    writing                    rows to a file of any form, here or in threads
    layout, about              what is kept: rows, results, and how an inventory was read
    as_csv, as_jsonl, as_parquet   the forms; each writes rows and reads chunks
    chunks                     what the forms have in common
    guard                      text that spreadsheets leave alone
    text                       CSV as it comes from anywhere
    formats, draft             names, compression, and taking a place in one step
"""

from nrm_async._inputs import BadInput
from nrm_async.files.actions import read_actions
from nrm_async.files.formats import FilePath, Format
from nrm_async.files.loading import load_inventory, load_report, read_anis, read_results
from nrm_async.files.saving import save_anis, save_inventory, save_report, save_results

__all__ = [
    "BadInput",
    "FilePath",
    "Format",
    "load_inventory",
    "load_report",
    "read_actions",
    "read_anis",
    "read_results",
    "save_anis",
    "save_inventory",
    "save_report",
    "save_results",
]
