"""What users say of answers whose rows were shipped, or are on their way: in a table of its own, until it is shipped.

A row that was shipped never changes, so what is said later is joined to it by whoever reads the place.
"""

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from serving import transactions
from serving.transactions import text_of

SAID = ("feedback", "comment", "feedback_at")
COLUMNS = ("transaction_id", *SAID)
_KNOWN = """
    SELECT 1 FROM transactions WHERE transaction_id = ?1 UNION ALL SELECT 1 FROM shipped WHERE transaction_id = ?1"""
_WAITING = """
    SELECT late_feedback.*, place, substr(file, 5, 10) AS day FROM late_feedback JOIN shipped USING (transaction_id)
    ORDER BY place, day, transaction_id"""
CREATE = f"CREATE TABLE IF NOT EXISTS late_feedback (transaction_id TEXT PRIMARY KEY, {', '.join(SAID)})"


def note(connection: sqlite3.Connection, transaction: str, said: Mapping[str, Any]) -> bool:
    """Note what a user says of an answer: in its row, or beside it where that is shipped or on its way.

    Args:
        connection: to the log.
        transaction: of which.
        said: by column of SAID.

    Returns:
        Whether the log knows the transaction.
    """
    if transactions.update(connection, transaction, said):
        return True
    known = connection.execute(_KNOWN, [transaction]).fetchone()
    if known:
        values = [transaction, said["feedback"], said["comment"], text_of(said["feedback_at"])]
        connection.execute("INSERT OR REPLACE INTO late_feedback VALUES (?, ?, ?, ?)", values)
    return known is not None


def waiting(connection: sqlite3.Connection) -> list[sqlite3.Row]:
    """List what was said of rows that were shipped: COLUMNS, and `place` and `day` of the row; by these two."""
    return connection.execute(_WAITING).fetchall()


def delete_sent(connection: sqlite3.Connection, rows: Iterable[sqlite3.Row]) -> None:
    """Delete what was sent, unless something else was said since."""
    connection.executemany(
        "DELETE FROM late_feedback WHERE transaction_id = ? AND feedback_at = ?",
        [(row["transaction_id"], row["feedback_at"]) for row in rows],
    )


def join(rows: pa.Table, late: pa.Table) -> pa.Table:
    """Put what was said late into rows.

    Args:
        rows: with `transaction_id`, and any of SAID.
        late: COLUMNS, at most one row per transaction.
    """
    found = pc.index_in(rows["transaction_id"], value_set=late["transaction_id"].combine_chunks())
    for number, field in enumerate(rows.schema):
        if field.name in SAID:
            said = pc.if_else(pc.is_valid(found), late[field.name].take(found), rows[field.name])
            rows = rows.set_column(number, field, said)
    return rows
