"""Parquet, through pyarrow (the extra ``parquet``): typed columns, compressed with zstd.

The description is metadata of the schema, under ``nrm_async``. What Arrow's types cannot hold
exactly is kept beside, see ``nrm_async._tables.arrow``.
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from nrm_async._tables import Column
from nrm_async._tables.arrow import exact_batch, pyarrow, schema, values_of
from nrm_async.errors import FileFormatError
from nrm_async.files.chunks import MARK, Chunk, Content, Description, read_description

# A row group is what is kept in memory: enough to compress and to skip well, and no more.
_ROWS_OF_A_GROUP: Final = 50_000
_BYTES_OF_A_GROUP: Final = 16_000_000
_ROWS_AT_ONCE: Final = 5_000


class ParquetSink:
    """Rows to Parquet.

    Args:
        file: Where to write; it stays open.
        columns: The columns.
        description: Goes into the metadata.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[Column], description: Description) -> None:
        self._pa = pyarrow("parquet")
        self._columns = columns
        self._batches: list[Any] = []
        self._schema = schema(columns, {MARK: description.to_json()}, exact=True)
        self._writer = self._pa.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def add(self, rows: Sequence[object]) -> None:
        """Write more rows."""
        self._batches.append(exact_batch(self._columns, rows))
        count = sum(batch.num_rows for batch in self._batches)
        size = sum(batch.nbytes for batch in self._batches)
        if count >= _ROWS_OF_A_GROUP or size >= _BYTES_OF_A_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        table = self._pa.Table.from_batches(self._batches, self._batches[0].schema)
        self._batches.clear()
        self._writer.write_table(table.replace_schema_metadata(self._schema.metadata))

    def close(self) -> None:
        """Write what is left; the file stays open."""
        if self._batches:
            self._write_group()
        self._writer.close()


def read_parquet(
    file: BinaryIO, columns: Sequence[Column], content: Content
) -> tuple[Description | None, Iterator[Chunk]]:
    """The description, if there is one, and the rows.

    Raises:
        FileFormatError: It is no Parquet, or lacks a column, or holds something else in one.
        ConfigurationError: The extra is not installed.
    """
    pa = pyarrow("parquet")
    try:
        source = pa.parquet.ParquetFile(file)
    except pa.ArrowException as error:
        raise FileFormatError(f"no Parquet: {error}") from None
    said = (source.schema_arrow.metadata or {}).get(MARK.encode())
    return read_description(said, content) if said else None, _chunks(pa, source, columns)


def _chunks(pa: Any, source: Any, columns: Sequence[Column]) -> Iterator[Chunk]:
    begin = 0
    try:
        for batch in source.iter_batches(_ROWS_AT_ONCE):
            end = begin + batch.num_rows
            places = [f"row {number}" for number in range(begin + 1, end + 1)]
            yield Chunk(values_of(columns, batch), places)
            begin = end
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise FileFormatError(f"after row {begin}: {error}") from None
