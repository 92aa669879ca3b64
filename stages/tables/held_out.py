"""`data/held_out/`: what networks say of training pictures that they were not trained on; no rows if nobody asked."""

import pyarrow as pa

from stages.tables.table import Table

FOLDER = "data/held_out"
HELD_OUT = Table(
    path=f"{FOLDER}/rows.parquet",
    schema=pa.schema(
        {
            "image_id": pa.string(),
            "fold": pa.int64(),  # from 0: pictures of the same fold were scored by the same network
        }
    ),
    key=("image_id",),
    order=("image_id",),
    stage="cross_validate",
)
HELD_OUT_SCORES = f"{FOLDER}/scores.npy"  # rows x classes, float32: row i is row i of HELD_OUT, columns as in SCORES
