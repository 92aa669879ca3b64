"""A table of the pipeline: one Parquet file with known columns, a key and a defined order of rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import IO, TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runtime.errors import InputError
from runtime.outputs import whole
from runtime.regular_files import open_regular

if TYPE_CHECKING:  # a third of a second, which `fingerprint` saves where nearly nothing is new
    import pandas as pd

# Twenty times a library of a million pictures: a file of some kilobytes may claim to have billions of rows.
MAX_ROWS = 20_000_000
# Of all columns, decompressed: the widest table, the fingerprints, takes about 600 a row.
MAX_BYTES = 4 * 2**30
_NUMBER_BYTES = 8  # of the widest number
_OFFSET_BYTES = 8  # of a text in memory, its characters aside


@dataclass(frozen=True)
class _Leaf:
    """What a file says of a column, or of the values in a column of lists.

    Attributes:
        path: of the values, such as "members.list.element".
        num_values: of all rows.
        stored_bytes: decompressed.
        width: bytes of each value; None for texts.
    """

    path: str
    num_values: int
    stored_bytes: int
    width: int | None

    @property
    def column(self) -> str:
        return self.path.split(".")[0]


@dataclass(frozen=True)
class Table:
    """Where a table is, what it holds, and how its rows are ordered.

    Attributes:
        path: relative to the root of the repository.
        schema: names and types of the columns, in order.
        key: columns whose values together are unique.
        order: columns by which the rows are sorted, ascending, nulls first.
        stage: the stage that writes it, for the message when it is absent.
        added: columns that the files of earlier releases lack; there they are null.
    """

    path: str
    schema: pa.Schema
    key: tuple[str, ...]
    order: tuple[str, ...]
    stage: str
    added: tuple[str, ...] = ()

    def read(self, path: str | None = None) -> pd.DataFrame:
        """Read the table.

        Args:
            path: another path to read from, such as the base's copy; by default the table's own.

        Returns:
            A frame with the columns of the schema; integers are of pandas' nullable types.

        Raises:
            InputError: the file is absent, no table, larger than any of ours, or its columns are not those of the
                schema.
        """
        path = path or self.path
        remedy = f"`dvc repro {self.stage}` writes it." if path == self.path else self._remedy(path)
        with open_regular(path, remedy) as file:
            return self._to_pandas(self._checked(file, path, self.schema.names))

    def parse(self, content: bytes, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """Read the table out of the bytes of its file; as `read`.

        Args:
            content: of the file.
            columns: which to read; by default all of the schema.
        """
        return self._to_pandas(self._checked(BytesIO(content), self.path, columns or self.schema.names))

    def _checked(self, file: IO[bytes], path: str, columns: Sequence[str]) -> pa.Table:
        """Read columns, after everything that the file says of itself was checked."""
        try:
            parquet = pq.ParquetFile(file)
            self._require_bounds(parquet.metadata, path)
            lacking = [name for name in self.added if name not in parquet.schema_arrow.names]
            self._require_schema(parquet.schema_arrow, path, lacking)
            self._require_decoded_bound(file, parquet.metadata, path, columns)
            table = parquet.read(columns=[name for name in columns if name not in lacking])
            # What the file holds may differ from what it says of itself; Arrow counts, and looks at every text.
            table.validate(full=True)
        except (pa.ArrowException, OSError) as error:
            reason = str(error).splitlines()[0].rstrip(".")
            raise InputError(f"{path} is damaged, or no Parquet file ({reason}). {self._remedy(path)}") from None
        if nulls := [name for name in self.key if name in columns and table[name].null_count]:
            raise InputError(f"{path} has rows without {nulls[0]}. {self._remedy(path)}")
        for name in lacking:
            table = table.append_column(name, pa.nulls(len(table), self.schema.field(name).type))
        return table.select(columns)

    def _require_bounds(self, metadata: pq.FileMetaData, path: str) -> None:
        groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
        num_rows = max(metadata.num_rows, sum(group.num_rows for group in groups))
        num_bytes = sum(group.total_byte_size for group in groups)
        if num_rows > MAX_ROWS or num_bytes > MAX_BYTES:
            raise self._too_large(path, num_rows, num_bytes)

    def _require_decoded_bound(
        self, file: IO[bytes], metadata: pq.FileMetaData, path: str, columns: Sequence[str]
    ) -> None:
        """Bound what texts take: a file has each different one once, while in memory it stands in every row."""
        leaves = [leaf for leaf in _leaves(metadata) if leaf.column in columns]
        # No text is longer than all that is stored. The texts are only looked at where this bound does not do.
        if sum(leaf.num_values * (leaf.width or leaf.stored_bytes) for leaf in leaves) <= MAX_BYTES:
            return
        texts = [leaf for leaf in leaves if leaf.width is None]
        once = pq.ParquetFile(file, read_dictionary=[leaf.path for leaf in texts])
        num_bytes = sum(leaf.num_values * (leaf.width or _OFFSET_BYTES) for leaf in leaves)
        num_bytes += sum(_text_bytes(once.read(columns=[leaf.column])[leaf.column]) for leaf in texts)
        if num_bytes > MAX_BYTES:
            raise self._too_large(path, metadata.num_rows, num_bytes)

    def _too_large(self, path: str, num_rows: int, num_bytes: int) -> InputError:
        return InputError(
            f"{path} has {num_rows:,} rows, {num_bytes / 1e6:,.0f} MB decompressed; expected at most "
            f"{MAX_ROWS:,} rows and {MAX_BYTES / 1e6:,.0f} MB. {self._remedy(path)}"
        )

    def _require_schema(self, schema: pa.Schema, path: str, lacking: Sequence[str]) -> None:
        fields = [field for field in self.schema if field.name not in lacking]
        missing = [field.name for field in fields if schema.names.count(field.name) != 1]
        if missing:
            raise InputError(
                f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(schema.names)}. {self._remedy(path)}"
            )
        for field in fields:
            if (type_ := schema.field(field.name).type) != field.type:
                raise InputError(
                    f"{path}: the column {field.name} should be {field.type}, it is {type_}. {self._remedy(path)}"
                )

    def _remedy(self, path: str) -> str:
        if path != self.path:
            return f"`dvc checkout --force {path}` brings it back."
        return f"`dvc repro --force {self.stage}` writes it again, `dvc checkout --force {path}` brings it back."

    def _to_pandas(self, table: pa.Table) -> pd.DataFrame:
        import pandas as pd

        # Integers stay integers where a value is missing: a float64 cannot hold a 64-bit hash.
        dtypes = {pa.uint64(): pd.UInt64Dtype(), pa.int64(): pd.Int64Dtype()}
        frame: pd.DataFrame = table.to_pandas(types_mapper=dtypes.get)
        return frame

    def write(self, frame: pd.DataFrame, path: str | None = None) -> None:
        """Sort the rows and write them, the file whole or not at all, the same bytes for the same rows.

        Args:
            frame: has at least the columns of the schema; others are left out.
            path: another path to write to; by default the table's own.

        Raises:
            ValueError: two rows share a key, which is a bug of the stage.
        """
        if frame.duplicated(list(self.key)).any():
            rows = frame[frame.duplicated(list(self.key), keep=False)].head(4)
            raise ValueError(f"{self.path}: rows share the key {self.key}:\n{rows}")
        # A column of nulls alone would be one of numbers.
        lists = {field.name: object for field in self.schema if pa.types.is_list(field.type) and field.name in frame}
        rows = frame.astype(lists).sort_values(list(self.order), kind="stable", na_position="first")
        self._write(pa.Table.from_pandas(rows, schema=self.schema, preserve_index=False), path)

    def write_arrow(self, table: pa.Table) -> None:
        """Sort the rows of an Arrow table and write them, as `write` does those of a frame.

        Args:
            table: has at least the columns of the schema; others are left out.

        Raises:
            ValueError: two rows share a key, which is a bug of the stage.
        """
        if len(table.group_by(list(self.key)).aggregate([])) < len(table):
            raise ValueError(f"{self.path}: rows share the key {self.key}")
        order = [(name, "ascending", "at_start") for name in self.order]
        self._write(table.select(self.schema.names).sort_by(order), None)

    def _write(self, table: pa.Table, path: str | None) -> None:
        with whole(path or self.path) as partial:
            # One chunk: how the rows came together does not show in the file.
            pq.write_table(table.replace_schema_metadata(None).combine_chunks(), partial, compression="zstd")


def _leaves(metadata: pq.FileMetaData) -> list[_Leaf]:
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    leaves = []
    for number in range(metadata.num_columns):
        declared, chunks = metadata.schema.column(number), [group.column(number) for group in groups]
        leaves.append(
            _Leaf(
                declared.path,
                sum(chunk.num_values for chunk in chunks),
                sum(chunk.total_uncompressed_size for chunk in chunks),
                None if declared.physical_type == "BYTE_ARRAY" else max(declared.length, _NUMBER_BYTES),
            )
        )
    return leaves


def _text_bytes(column: pa.ChunkedArray) -> int:
    """Add up the lengths of the texts of a column, or of its lists, which was read with each different text once."""
    total = 0
    for chunk in column.chunks:
        texts = chunk.flatten() if pa.types.is_list(chunk.type) else chunk
        lengths = pc.binary_length(texts.dictionary)
        total += pc.sum(lengths.take(texts.indices).cast(pa.int64())).as_py() or 0
    return total
