"""Bring transactions of a place together in one Parquet file that DuckDB reads."""

import logging
from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from runtime.wording import counted
from serving.reading import Place
from serving.transactions import ANSWERED, SCHEMA
from serving.usage.period import Period

log = logging.getLogger(__name__)

# No picture, and nothing that a user typed.
COLUMNS = [
    *("transaction_id", "received_at", "replica", "bytes", "faults", "version", "threshold"),
    *("class_1", "confidence_1", "embedding", "in_scope", "shown", "status", "http_status", "error"),
    *("shadow_version", "shadow_class", "shadow_confidence", "shadow_shown"),
    *("read_ms", "prepare_ms", "store_ms", "model_ms", "total_ms", "client", "user_hash", "feedback"),
]
_ROWS_AT_ONCE = 50_000  # what DuckDB takes of a Parquet file at once; a file of an hour has hundreds


def gather(place: Place, period: Period, path: Path) -> datetime | None:
    """Write the transactions of a period to a Parquet file, a part at a time.

    Answers without a version are left out, with a warning: no gateway of ours logs them, but the place may hold them.

    Args:
        place: where they are.
        period: of which.
        path: of the file.

    Returns:
        When the first was received; None where there is none.
    """
    since, until = (pa.scalar(moment, SCHEMA.field("received_at").type) for moment in period[1:])
    first: datetime | None = None
    num_nameless = 0
    with pq.ParquetWriter(path, pa.schema([SCHEMA.field(name) for name in COLUMNS]), compression="zstd") as writer:
        for rows in _in_parts(place.batches(period.since.date().isoformat(), COLUMNS)):
            moments = rows["received_at"]
            in_time = rows.filter(pc.and_(pc.greater_equal(moments, since), pc.less(moments, until)))
            nameless = pc.and_(pc.equal(in_time["status"], ANSWERED), pc.is_null(in_time["version"]))
            kept = in_time.filter(pc.invert(pc.fill_null(nameless, False)))
            num_nameless += len(in_time) - len(kept)
            if len(kept):
                writer.write_table(kept)
                earliest: datetime = pc.min(kept["received_at"]).as_py()
                first = earliest if first is None else min(first, earliest)
    if num_nameless:
        log.warning("usage: %s without a version left out", counted(num_nameless, "answer"))
    return first


def _in_parts(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Put small tables together."""
    waiting: list[pa.Table] = []
    for table in tables:
        waiting.append(table)
        if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
            yield pa.concat_tables(waiting)
            waiting = []
    if waiting:
        yield pa.concat_tables(waiting)
