"""Values as rows of typed columns: what files and data frames have in common.

The columns are derived from the fields of an attrs class, so that a table's shape is said once.

::

    columns  which columns a class has, what each may hold, and values turned into columns
    arrow    columns to Arrow and back, without loss; the extra ``parquet``
"""

from nrm_async._tables.columns import Column, Kind, columns_of, transposed

__all__ = ["Column", "Kind", "columns_of", "transposed"]
