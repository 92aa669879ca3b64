"""Bring transactions of a place together in one Parquet file that DuckDB reads."""

from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from serving.reading import Place
from serving.transactions import SCHEMA
from serving.usage.period import Period

# No picture, and nothing that a user typed.
COLUMNS = [
    *("transaction_id", "received_at", "replica", "bytes", "faults", "version", "threshold"),
    *("class_1", "confidence_1", "in_scope", "shown", "status", "http_status", "error"),
    *("shadow_version", "shadow_class", "shadow_confidence", "shadow_shown"),
    *("read_ms", "prepare_ms", "store_ms", "model_ms", "total_ms", "client", "user_hash", "feedback"),
]


def gather(place: Place, period: Period, path: Path) -> datetime | None:
    """Write the transactions of a period to a Parquet file, a part at a time.

    Args:
        place: where they are.
        period: of which.
        path: of the file.

    Returns:
        When the first was received; None where there is none.
    """
    since, until = (pa.scalar(moment, SCHEMA.field("received_at").type) for moment in period[1:])
    first: datetime | None = None
    with pq.ParquetWriter(path, pa.schema([SCHEMA.field(name) for name in COLUMNS]), compression="zstd") as writer:
        for rows in place.batches(period.since.date().isoformat(), COLUMNS):
            moments = rows["received_at"]
            kept = rows.filter(pc.and_(pc.greater_equal(moments, since), pc.less(moments, until)))
            if len(kept):
                writer.write_table(kept)
                earliest: datetime = pc.min(kept["received_at"]).as_py()
                first = earliest if first is None else min(first, earliest)
    return first
