"""Read and write Parquet with pyarrow (requires the extra ``parquet``).

Columns are typed and compressed with zstd. The file's metadata is stored in the schema metadata,
under the key ``nrm_async``. Values that Arrow types cannot represent exactly are stored in an
additional last column (see ``nrm_async._arrow``).
"""

from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO, Final

from nrm_async._arrow import arrow_schema, from_batch, pyarrow, to_exact_batch
from nrm_async._columns import ColumnSpec
from nrm_async.errors import FileFormatError
from nrm_async.files.common import METADATA_KEY, Chunk, Content, Metadata, parse_metadata

# Large enough for efficient compression and row-group skipping, small enough to keep in memory.
_GROUP_ROWS: Final = 50_000
_GROUP_BYTES: Final = 16_000_000
_CHUNK_ROWS: Final = 5_000


class ParquetWriter:
    """Row writer for Parquet.

    Args:
        file: The open file, which is not closed.
        columns: The columns to write.
        metadata: The metadata, stored in the schema metadata.
    """

    def __init__(self, file: BinaryIO, columns: Sequence[ColumnSpec], metadata: Metadata) -> None:
        self._pa = pyarrow("parquet")
        self._columns = columns
        self._batches: list[Any] = []
        self._schema = arrow_schema(columns, {METADATA_KEY: metadata.to_json()}, exact=True)
        self._writer = self._pa.parquet.ParquetWriter(file, self._schema, compression="zstd")

    def write_rows(self, rows: Sequence[object]) -> None:
        """Buffer rows, and write a row group when the buffer is full."""
        self._batches.append(to_exact_batch(self._columns, rows))
        count = sum(batch.num_rows for batch in self._batches)
        size = sum(batch.nbytes for batch in self._batches)
        if count >= _GROUP_ROWS or size >= _GROUP_BYTES:
            self._write_group()

    def _write_group(self) -> None:
        table = self._pa.Table.from_batches(self._batches, self._batches[0].schema)
        self._batches.clear()
        self._writer.write_table(table.replace_schema_metadata(self._schema.metadata))

    def close(self) -> None:
        """Write the buffered rows and the footer, without closing the file."""
        if self._batches:
            self._write_group()
        self._writer.close()


def read_parquet(
    file: BinaryIO, columns: Sequence[ColumnSpec], content: Content
) -> tuple[Metadata | None, Iterator[Chunk]]:
    """Return the metadata, if present, and an iterator over the rows.

    Raises:
        FileFormatError: The file is not Parquet, lacks a required column, or has a column of the
            wrong type.
        ConfigurationError: The extra is not installed.
    """
    pa = pyarrow("parquet")
    try:
        source = pa.parquet.ParquetFile(file)
    except pa.ArrowException as error:
        raise FileFormatError(f"not Parquet: {error}") from None
    text = (source.schema_arrow.metadata or {}).get(METADATA_KEY.encode())
    return parse_metadata(text, content) if text else None, _chunks(pa, source, columns)


def _chunks(pa: Any, source: Any, columns: Sequence[ColumnSpec]) -> Iterator[Chunk]:
    begin = 0
    try:
        for batch in source.iter_batches(_CHUNK_ROWS):
            end = begin + batch.num_rows
            locations = [f"row {number}" for number in range(begin + 1, end + 1)]
            yield Chunk(from_batch(columns, batch), locations)
            begin = end
    except (pa.ArrowException, ValueError, OverflowError) as error:
        raise FileFormatError(f"after row {begin}: {error}") from None
