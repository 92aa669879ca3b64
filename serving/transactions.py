"""The table `transactions` of the gateway's log: a row per picture that somebody sent, in SQLite and in Parquet."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NUM_BEST = 3
# What a row says became of a transaction. One that was under way when the gateway ended is aborted.
UNDER_WAY, ANSWERED, REFUSED, FAILED, ABORTED = "under_way", "answered", "refused", "failed", "aborted"

_TIME, _TEXT, _WHOLE, _REAL = pa.timestamp("ms", "UTC"), pa.string(), pa.int64(), pa.float64()
_BEST = {f"class_{rank}": _TEXT for rank in range(1, NUM_BEST + 1)}
_BEST |= {f"confidence_{rank}": _REAL for rank in range(1, NUM_BEST + 1)}
COLUMNS: dict[str, pa.DataType] = {
    "transaction_id": _TEXT,
    "received_at": _TIME,
    "answered_at": _TIME,
    "replica": _TEXT,
    "image_id": _TEXT,  # MD5 of the picture that is kept, which has no metadata; null where none is kept
    "bytes": _WHOLE,  # as they were sent
    "width": _WHOLE,
    "height": _WHOLE,
    "format": _TEXT,  # as it was sent
    "faults": _TEXT,  # of stages.images.faults.FAULTS, with ", " between them
    "version": _WHOLE,  # of the model that answered
    "threshold": _REAL,
    **_BEST,  # 0 to 100
    "scores": pa.list_(pa.float32()),  # of all classes, rounded to float16
    "embedding": pa.list_(pa.float32()),  # of serving.projection, rounded to float16; null where a server answered
    "in_scope": pa.bool_(),  # by the model's own rule; null where it has none
    "scope_distance": _REAL,  # to the nearest class mean, 0 to 2; null where the export has no limit
    "shown": pa.bool_(),  # the user was told class_1
    "status": _TEXT,
    "http_status": _WHOLE,
    "error": _TEXT,
    "shadow_version": _WHOLE,  # of a second model, whose answer nobody was given
    "shadow_class": _TEXT,
    "shadow_confidence": _REAL,
    "shadow_shown": pa.bool_(),
    "read_ms": _REAL,
    "prepare_ms": _REAL,
    "store_ms": _REAL,
    "model_ms": _REAL,
    "total_ms": _REAL,
    "client": _TEXT,  # what the client says of its build
    "user_hash": _TEXT,  # salted; the salt is drawn anew each day, and the old one is lost
    "feedback": _TEXT,
    "comment": _TEXT,
    "feedback_at": _TIME,
    "review_probability": _REAL,  # null: what was shipped never changes, so `make harvest` keeps it in its own list
}
SCHEMA = pa.schema(COLUMNS)
_SQLITE = {_TEXT: "TEXT", _TIME: "TEXT", _WHOLE: "INTEGER", pa.bool_(): "INTEGER", _REAL: "REAL"}
# In SQLite, times are text in ISO 8601 (UTC), scores and embedding blobs of little-endian float16.
_DEFINED = {name: f"{name} {_SQLITE.get(kind, 'BLOB')}" for name, kind in COLUMNS.items()}
_ALL = ", ".join(_DEFINED.values())
CREATE = f"CREATE TABLE IF NOT EXISTS transactions ({_ALL}, batch INTEGER, PRIMARY KEY (transaction_id))"


def add_columns(connection: sqlite3.Connection) -> None:
    """Add to the table of an older gateway the columns that it lacks; they are null in the rows that are there."""
    there = columns_of(connection)
    for name, defined in _DEFINED.items():
        if name not in there:
            connection.execute(f"ALTER TABLE transactions ADD COLUMN {defined}")


def columns_of(connection: sqlite3.Connection) -> set[str]:
    """Say which columns the table has: a log that no gateway has opened since may lack some."""
    return {row[1] for row in connection.execute("PRAGMA table_info(transactions)")}


def insert(connection: sqlite3.Connection, row: Mapping[str, Any]) -> None:
    """Write a row.

    Args:
        connection: to the log.
        row: by column; the others are null.
    """
    names = ", ".join(row)
    connection.execute(
        f"INSERT INTO transactions ({names}) VALUES ({', '.join('?' * len(row))})",  # noqa: S608
        [_stored(value) for value in row.values()],
    )


def update(connection: sqlite3.Connection, transaction: str, changes: Mapping[str, Any]) -> bool:
    """Change columns of a row that is not on its way to another place.

    Returns:
        Whether there is such a row.
    """
    settings = ", ".join(f"{name} = ?" for name in changes)
    done = connection.execute(
        f"UPDATE transactions SET {settings} WHERE transaction_id = ? AND batch IS NULL",  # noqa: S608
        [*(_stored(value) for value in changes.values()), transaction],
    )
    return done.rowcount > 0


def to_arrow(rows: list[sqlite3.Row], columns: Sequence[str] = tuple(COLUMNS)) -> pa.Table:
    """Turn rows of the log into a table of some columns."""
    schema = pa.schema([(name, COLUMNS[name]) for name in columns])
    return pa.Table.from_pylist([{name: _read(row[name], COLUMNS[name]) for name in columns} for row in rows], schema)


def text_of(moment: datetime) -> str:
    """Write a time as the log has it."""
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _stored(value: Any) -> Any:
    if isinstance(value, datetime):
        return text_of(value)
    return packed(value) if isinstance(value, np.ndarray) else value


def packed(scores: NDArray[np.float32]) -> bytes:
    """Write scores as the log has them."""
    return scores.astype("<f2").tobytes()


def _read(value: Any, kind: pa.DataType) -> Any:
    if value is None:
        return None
    if kind == _TIME:
        return datetime.fromisoformat(value)
    if kind == pa.bool_():
        return bool(value)
    return np.frombuffer(value, "<f2").astype(np.float32) if isinstance(value, bytes) else value
