"""A table of the pipeline: one Parquet file with known columns, a key and a defined order of rows."""

from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from stages._errors import InputError
from stages._outputs import whole

# Integers stay integers where a value is missing: a float64 cannot hold a 64-bit hash.
_DTYPES = {pa.uint64(): pd.UInt64Dtype(), pa.int64(): pd.Int64Dtype()}


@dataclass(frozen=True)
class Table:
    """Where a table stands, what it holds, and how its rows are ordered.

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
            path: another place to read from, such as the base's copy; by default the table's own.

        Returns:
            A frame with the columns of the schema; integers are of pandas' nullable types.

        Raises:
            InputError: the file is absent, or lacks a column.
        """
        path = path or self.path
        try:
            table = pq.read_table(path)
        except FileNotFoundError:
            raise InputError(f"{path} is not there: `dvc repro {self.stage}` writes it.") from None
        missing = [name for name in self.schema.names if name not in table.column_names]
        if missing:
            raise InputError(
                f"{path} lacks the columns {', '.join(missing)}; it has {', '.join(table.column_names)}. "
                f"`dvc repro {self.stage}` writes it anew."
            )
        frame: pd.DataFrame = table.select(self.schema.names).to_pandas(types_mapper=_DTYPES.get)
        return frame

    def write(self, frame: pd.DataFrame, path: str | None = None) -> None:
        """Sort the rows and write them, the file whole or not at all, the same bytes for the same rows.

        Args:
            frame: has at least the columns of the schema; others are left out.
            path: another place to write to; by default the table's own.

        Raises:
            ValueError: two rows share a key, which is a bug of the stage.
        """
        if frame.duplicated(list(self.key)).any():
            rows = frame[frame.duplicated(list(self.key), keep=False)].head(4)
            raise ValueError(f"{self.path}: rows share the key {self.key}:\n{rows}")
        rows = frame.sort_values(list(self.order), kind="stable", na_position="first")
        table = pa.Table.from_pandas(rows, schema=self.schema, preserve_index=False)
        with whole(path or self.path) as partial:
            pq.write_table(table.replace_schema_metadata(None), partial, compression="zstd")
