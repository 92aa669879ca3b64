"""`data/duplicates.parquet`: one row per pair of pictures that show the same thing."""

import pyarrow as pa

from stages.tables.table import Table

DUPLICATES = Table(
    path="data/duplicates.parquet",
    schema=pa.schema(
        {
            "image_a": pa.string(),  # image_a < image_b
            "image_b": pa.string(),
            "kind": pa.string(),  # identical: the same pixels; near: similar enough, or decided by a person
            "distance": pa.int64(),  # bits in which the hashes differ, the second turned by `turn`
            "similarity": pa.float64(),  # of the two, the second turned; compared with dedup.similarity, or edges
            "turn": pa.string(),  # none, or how image_b is turned to look like image_a, as Pillow names it
            "keep": pa.string(),  # the image_id to keep
            "label_conflict": pa.bool_(),  # the two are in different classes
        }
    ),
    key=("image_a", "image_b"),
    order=("image_a", "image_b"),
    stage="dedup",
)
