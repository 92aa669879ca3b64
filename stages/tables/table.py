"""A table of the pipeline: one Parquet file with known columns, a key and a defined order of rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from runtime.errors import InputError
from runtime.outputs import whole

if TYPE_CHECKING:  # a third of a second, which `fingerprint` saves where nearly nothing is new
    import pandas as pd


@dataclass(frozen=True)
class Table:
    """Where a table is, what it holds, and how its rows are ordered.

    Attributes:
        path: relative to the root of the repository.
        schema: names and types of the columns, in order.
        key: columns whose values together are unique.
        order: columns by which the rows are sorted, ascending, nulls first.
        stage: the stage that writes it, for the message when it is absent.
    """

    path: str
    schema: pa.Schema
    key: tuple[str, ...]
    order: tuple[str, ...]
    stage: str

    def read(self, path: str | None = None) -> pd.DataFrame:
        """Read the table.

        Args:
            path: another path to read from, such as the base's copy; by default the table's own.

        Returns:
            A frame with the columns of the schema; integers are of pandas' nullable types.

        Raises:
            InputError: the file is absent, or lacks a column.
        """
        import pandas as pd

        # Integers stay integers where a value is missing: a float64 cannot hold a 64-bit hash.
        dtypes = {pa.uint64(): pd.UInt64Dtype(), pa.int64(): pd.Int64Dtype()}
        path = path or self.path
        try:
            table = pq.read_table(path)
        except FileNotFoundError:
            raise InputError(f"{path} is not there: `dvc repro {self.stage}` writes it.") from None
        missing = [name for name in self.schema.names if name not in table.column_names]
        if missing:
            raise InputError(
                f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(table.column_names)}. "
                f"`dvc repro {self.stage}` writes it again."
            )
        frame: pd.DataFrame = table.select(self.schema.names).to_pandas(types_mapper=dtypes.get)
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
        rows = frame.sort_values(list(self.order), kind="stable", na_position="first")
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
