"""Save and load inventories and reports, and read actions from lists of numbers.

The formats are CSV, JSON Lines and Parquet (requires the extra ``parquet``). The file's suffix
selects the format. All formats preserve every value and its type, but CSV does not store how an
inventory was read or how long a batch took. Files are replaced atomically.

::

    save_inventory, load_inventory   write a value to a file, and read it back
    save_report, load_report
    save_anis, save_results          write a stream to a file
    read_anis, read_results          iterate over the rows of a file
    read_actions                     read actions from user-supplied lists of numbers

Modules::

    saving, loading                            the functions above, except ``read_actions``
    number_lists, list_columns                 read actions from lists; find a list's columns
    schema                                     columns and metadata of inventories and reports
    csv_format, jsonl_format, parquet_format   a row writer and a chunk reader for each format
    csv_dialect                                detects the encoding, delimiter and header of CSV
    csv_text                                   escapes text, to prevent CSV injection
    common                                     suffixes, compression and other shared code
    atomic                                     atomic file replacement
"""

from nrm_async._inputs import BadInput
from nrm_async.files.common import FilePath, Format
from nrm_async.files.list_columns import ColumnTitles
from nrm_async.files.loading import load_inventory, load_report, read_anis, read_results
from nrm_async.files.number_lists import read_actions
from nrm_async.files.saving import save_anis, save_inventory, save_report, save_results

__all__ = [
    "BadInput",
    "ColumnTitles",
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
