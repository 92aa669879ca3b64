"""Made-up transactions, as gateways ship them, for tests and measurements of `make usage`."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from serving.archive import Archive
from serving.projection import NUM
from serving.transactions import SCHEMA

CLASSES = ["cup", "jug", "urn", "bowl", "vase"]


def visits(
    num: int,
    since: datetime,
    days: float,
    rng: np.random.Generator,
    class_names: Sequence[str] = CLASSES,
    version: int = 7,
    sure: float = 8.0,
    look: float = 0.0,
) -> pa.Table:
    """Draw transactions in the columns of the log, in the order of their times.

    Args:
        num: of them.
        since: when the first may come.
        days: within which they come.
        class_names: the first comes most often.
        version: of the model.
        sure: how confident the model is: larger is surer.
        look: how far the pictures look from what pictures of their classes look like.
    """
    seen, scored = rng.spawn(2)  # so that the other columns are drawn as they would be without them
    seconds = np.sort(rng.uniform(0, days * 86400, num))
    received = np.datetime64(since.astimezone(UTC).replace(tzinfo=None), "ms") + (seconds * 1000).astype("m8[ms]")
    status = rng.choice(["answered", "refused", "failed", "aborted"], num, p=[0.95, 0.03, 0.015, 0.005])
    answered = status == "answered"
    weights = 1 / np.arange(1, len(class_names) + 1)
    numbers = rng.choice(len(class_names), num, p=weights / weights.sum())
    names = np.array(class_names)[numbers]
    confidence = 100 * rng.beta(sure, 0.6, num)
    in_scope = rng.random(num) < 0.97
    parts = {name: rng.lognormal(mean, 0.4, num) for name, mean in (("read", 5), ("prepare", 1), ("store", 0))}
    parts["model"] = np.where(answered, rng.lognormal(4, 0.5, num), np.nan)
    columns = {
        "transaction_id": identities(num, rng),
        "received_at": received,
        "answered_at": received + np.timedelta64(80, "ms"),
        "replica": rng.choice(["a_1", "b_2"], num),
        "image_id": np.where(status == "refused", None, [rng.bytes(16).hex() for _ in range(num)]),
        "bytes": rng.integers(20_000, 4_000_000, num),
        "faults": np.where(
            answered, rng.choice(["", "dark", "blurred", "dark, blurred"], num, p=[0.9, 0.05, 0.04, 0.01]), ""
        ),
        "version": version,
        "threshold": 95.0,
        "class_1": names,
        "confidence_1": confidence,
        "in_scope": in_scope,
        "shown": answered & in_scope & (confidence >= 95),
        "status": status,
        "http_status": np.where(answered, 200, np.where(status == "refused", 422, 503)),
        "error": np.where(answered, None, np.where(status == "refused", "The picture is broken.", "no model")),
        **{f"{name}_ms": values for name, values in parts.items()},
        "total_ms": sum(np.nan_to_num(values) for values in parts.values()) + 1,
        "client": rng.choice(["web", "ios-3", "android-5"], num),
        "user_hash": np.char.mod("u%d", rng.integers(0, max(1, num // 3), num)),
        "feedback": np.where(rng.random(num) < 0.01, "wrong", None),
    }
    for name in ("version", "threshold", "class_1", "confidence_1", "in_scope", "shown"):
        columns[name] = np.where(answered, columns[name], None)
    columns["faults"] = np.where(columns["faults"] == "", None, columns["faults"])
    columns["scope_distance"] = np.where(answered & in_scope, 0.2, np.where(answered, 0.5, np.nan))
    columns["embedding"] = _lists(seen.normal(numbers[:, None] % 7 + look, 1, (num, NUM)), answered)
    columns["scores"] = _lists(_scores(numbers, confidence, len(class_names), scored), answered)
    arrays = [_array(columns.get(field.name), field.type, num) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def identities(num: int, rng: np.random.Generator) -> list[str]:
    """Identities by chance, but always the same of one generator: which ones are drawn for review follows from them."""
    data = rng.bytes(16 * num)
    return [str(UUID(bytes=data[16 * row : 16 * row + 16])) for row in range(num)]


def changed(rows: pa.Table, **columns: Sequence[object]) -> pa.Table:
    """Put other values into some columns."""
    for name, values in columns.items():
        rows = rows.set_column(
            rows.schema.get_field_index(name), SCHEMA.field(name), [pa.array(values, SCHEMA.field(name).type)]
        )
    return rows


def ship(rows: pa.Table, folder: Path, at_once: int = 100_000) -> Path:
    """Put transactions where gateways ship to."""
    archive = Archive(str(folder))
    archive.mark()
    days = pc.strftime(rows["received_at"], "%Y-%m-%d")
    for day in pc.unique(days).to_pylist():
        of_day = rows.filter(pc.equal(days, day))
        for number, start in enumerate(range(0, len(of_day), at_once), start=1):
            archive.send_rows(of_day.slice(start, at_once), day, "a_1", number)
    return folder


def ship_hourly(rows: pa.Table, folder: Path) -> Path:
    """Put transactions, in the order of their times, where each replica ships once an hour."""
    archive = Archive(str(folder))
    archive.mark()
    for replica in pc.unique(rows["replica"]).to_pylist():
        of_replica = rows.filter(pc.equal(rows["replica"], replica))
        names = pc.strftime(of_replica["received_at"], "%Y-%m-%dT%H").to_numpy().astype(str)
        hours, starts = np.unique(names, return_index=True)
        for number, (hour, of_hour) in enumerate(zip(hours, np.split(np.arange(len(names)), starts[1:]), strict=True)):
            archive.send_rows(of_replica.slice(of_hour[0], len(of_hour)), hour[:10], replica, number + 1)
    return folder


def at(*moments: str) -> list[datetime]:
    """Read times in ISO 8601."""
    return [datetime.fromisoformat(moment) for moment in moments]


def row_times(since: datetime, minutes: float, num: int) -> list[datetime]:
    """Give times at even distances."""
    return [since + timedelta(minutes=minutes * row) for row in range(num)]


def _scores(
    best: NDArray[np.int64], confidence: NDArray[np.float64], num_classes: int, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Share what the best class leaves among the others, by chance."""
    shares = rng.exponential(size=(len(best), num_classes))
    shares[np.arange(len(best)), best] = 0
    shares *= ((1 - confidence / 100) / shares.sum(axis=1))[:, None]
    shares[np.arange(len(best)), best] = confidence / 100
    return shares


def _lists(numbers: NDArray[np.float64], there: NDArray[np.bool_]) -> pa.Array:
    """Put a row of numbers into each row that has one, as a gateway rounds them."""
    values = pa.array(numbers[there].astype(np.float16).astype(np.float32).ravel())
    ends = np.concatenate([[0], np.cumsum(there) * numbers.shape[1]]).astype(np.int32)
    return pa.ListArray.from_arrays(ends, values, mask=pa.array(~there))


def _array(values: object, kind: pa.DataType, num: int) -> pa.Array:
    if values is None:
        return pa.nulls(num, kind)
    if isinstance(values, pa.Array):
        return values
    if np.isscalar(values):
        values = np.full(num, values)
    return pa.array(values, from_pandas=True).cast(kind) if not isinstance(values, list) else pa.array(values, kind)
