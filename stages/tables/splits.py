"""`data/splits.parquet`: which pictures train, validate, test, or are in a benchmark; and the counts per class."""

import pyarrow as pa

from stages.tables.table import Table

SPLITS = Table(
    path="data/splits.parquet",
    schema=pa.schema(
        {
            "image_id": pa.string(),
            "class_name": pa.string(),  # null in out_of_scope
            "split": pa.string(),  # train, validation, test, or the benchmark's name
        }
    ),
    key=("image_id", "split"),
    order=("split", "image_id"),
    stage="split",
)
CLASS_COUNTS = "data/class_counts.csv"
COUNT_COLUMNS = (
    "class_name",
    "included",
    "why_out",  # empty for a class that is in
    "real",  # pictures by origin, those dropped left out
    "staged",
    "synthetic",
    "train",  # pictures by split
    "validation",
    "test",
    "unused",
    "train_real",  # training pictures by origin
    "train_staged",
    "train_synthetic",
    "suspected_bad",  # of the pictures counted by origin, those with a fault
)
