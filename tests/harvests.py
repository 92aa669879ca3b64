"""What `make harvest` writes, of answers that a test makes up: a picture each, and the list."""

import hashlib
from datetime import UTC, datetime
from io import BytesIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from intake.harvest import PICTURES, SCHEMA, TRANSACTIONS

RECEIVED = datetime(2026, 11, 20, 12, tzinfo=UTC)


def transaction(number: int) -> str:
    return f"01a21c44-f07f-7e89-87a7-{number:012x}"


def picture(number: int) -> str:
    """Draw a picture where those of a harvest are; gives its image_id."""
    pixels, out = np.random.default_rng(1000 + number).integers(0, 255, (60, 80, 3), np.uint8), BytesIO()
    Image.fromarray(pixels).save(out, "PNG")
    image_id = hashlib.md5(out.getvalue()).hexdigest()
    PICTURES.mkdir(parents=True, exist_ok=True)
    (PICTURES / image_id).write_bytes(out.getvalue())
    return image_id


def answered(number: int, *best: str, shown: bool = True, of: int | None = None, **more) -> dict:
    """Answer a picture: the best class first.

    Args:
        number: of the transaction.
        best: up to three classes.
        shown: whether the user was told the first.
        of: number of the picture; that of the transaction by default.
        more: columns of the list.
    """
    confidences = (97.5, 2.0, 0.5) if shown else (60.25, 30.0, 9.75)
    row = {"transaction_id": transaction(number), "received_at": RECEIVED, "replica": "a_1", "version": 7}
    row |= {"image_id": picture(number if of is None else of), "threshold": 95.0, "in_scope": True, "shown": shown}
    for rank, (name, confidence) in enumerate(zip(best, confidences, strict=False), 1):
        row |= {f"class_{rank}": name, f"confidence_{rank}": confidence}
    return row | {"review_probability": 1.0, "place": "build/gateway"} | more


def write_harvest(*rows: dict) -> None:
    """Write the list, and remove pictures that it does not name, as `make harvest` does."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(list(rows), SCHEMA), TRANSACTIONS)
    for path in PICTURES.iterdir():
        if path.name not in {row["image_id"] for row in rows}:
            path.unlink()
