"""Ask DuckDB, which reads Parquet by parts, and write each answer as Parquet and CSV."""

import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from runtime.errors import RetrainError

QUERIES, REVIEWED, SAMPLES = (Path(__file__).with_name(f"{name}.sql") for name in ("usage", "reviewed", "drift"))
_MEMORY = "500MB"  # DuckDB goes to the disk beyond it
Row = dict[str, Any]
Tables = dict[str, list[Row]]
_NAME = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


class DuckError(RetrainError):
    """DuckDB could not answer."""


def queries(text: str) -> dict[str, str]:
    """Split a file of queries: each follows a line `-- name: ...`. What stands before the first is named "".

    Args:
        text: of the file.
    """
    first, *parts = _NAME.split(text)
    return {"": first} | dict(zip(parts[::2], (part.strip() for part in parts[1::2]), strict=True))


def literal(value: object) -> str:
    """Write a value as SQL has it: a number, a text, or a time."""
    if isinstance(value, int | float):
        return f"cast({value!r} as double)"
    if isinstance(value, datetime):
        return f"timestamptz '{value.isoformat()}'"
    return "'" + str(value).replace("'", "''") + "'"


def script(text: str, variables: Mapping[str, object], folder: Path) -> str:
    """Write what DuckDB is to do: each query's answer goes to a file of its name.

    Args:
        text: of a file of queries.
        variables: that the queries ask for by `getvariable`.
        folder: where the files are written.
    """
    parts = queries(text)
    lines = [f"set memory_limit = '{_MEMORY}';", f"set temp_directory = {literal(folder / 'duckdb.partial')};"]
    lines += ["set timezone = 'UTC';", "set preserve_insertion_order = true;"]
    lines += [f"set variable {name} = {literal(value)};" for name, value in variables.items()]
    lines.append(parts.pop(""))
    for name, query in parts.items():
        parquet, csv = (literal(folder / f"{name}.{kind}") for kind in ("parquet", "csv"))
        lines.append(f"copy ({query.rstrip(';')}) to {parquet} (format parquet, compression zstd);")
        lines.append(f"copy (from read_parquet({parquet})) to {csv} (format csv, header);")
    return "\n".join(lines) + "\n"


def ask(text: str, variables: Mapping[str, object], folder: Path) -> Tables:
    """Answer queries.

    Args:
        text: of a file of queries.
        variables: that they ask for.
        folder: for the answers, which are small.

    Returns:
        The rows of each query's answer by its name; None where SQL has null.

    Raises:
        DuckError: a query failed; nothing of ours should.
    """
    command = [sys.executable, "-m", "duckdb_cli", "-batch", "-bail", "-no-init"]
    done = subprocess.run(command, input=script(text, variables, folder), capture_output=True, encoding="utf-8")
    if done.returncode or done.stderr:
        raise DuckError(f"DuckDB could not answer: {done.stderr.strip() or done.stdout.strip()}")
    return {name: pq.read_table(folder / f"{name}.parquet").to_pylist() for name in queries(text) if name}


def write_table(rows: list[Row], schema: pa.Schema, folder: Path, name: str) -> None:
    """Write a table that was calculated here as Parquet and CSV."""
    table = pa.Table.from_pylist(rows, schema)
    pq.write_table(table, folder / f"{name}.parquet", compression="zstd")
    pacsv.write_csv(table, folder / f"{name}.csv")
