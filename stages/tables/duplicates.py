"""`data/duplicates.parquet`: a row a pair of pictures that show the same."""

import pyarrow as pa

from stages.tables._table import Table

DUPLICATES = Table(
    path="data/duplicates.parquet",
    schema=pa.schema(
        {
            "image_a": pa.string(),  # image_a < image_b
            "image_b": pa.string(),
            "kind": pa.string(),  # identical: the same pixels; near: within dedup.distance, or decided by a person
            "distance": pa.int64(),  # bits in which the hashes differ
            "keep": pa.string(),  # the image_id to keep
            "label_conflict": pa.bool_(),  # the two stand in different classes
        }
    ),
    key=("image_a", "image_b"),
    order=("image_a", "image_b"),
    stage="dedup",
)
