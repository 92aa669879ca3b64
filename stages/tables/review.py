"""`data/scores/review.parquet`: the pictures that a person should look at, worst first."""

import pyarrow as pa

from stages.tables.table import Table

REVIEW = Table(
    path="data/scores/review.parquet",
    schema=pa.schema(
        {
            "rank": pa.int64(),  # 1 is the worst
            "reason": pa.string(),  # see stages/suspects/review_table.py
            "image_id": pa.string(),
            "path": pa.string(),  # relative to data/
            "split": pa.string(),
            "truth": pa.string(),  # null where it belongs to no class
            "predicted": pa.string(),
            "confidence": pa.float64(),  # 0 to 100
            "base_predicted": pa.string(),  # null without a base
            "base_confidence": pa.float64(),
            "faults": pa.string(),  # null, or what is suspected of the picture; see stages/images/faults.py
            "also": pa.string(),  # null, or the other reasons that hold
            "suggested": pa.string(),  # null, or the class that its label should rather be
            "truth_example": pa.string(),  # path of the most typical training picture of the class; null without one
            "predicted_example": pa.string(),
            "suggested_example": pa.string(),
            "nearest": pa.string(),  # path of the training picture most like it
        }
    ),
    key=("image_id", "split"),
    order=("rank",),
    stage="score",
)
