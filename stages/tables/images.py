"""`data/images.parquet`: one row per file of the library and the benchmarks, with its label and whether it is used."""

import pyarrow as pa

from stages.tables.table import Table

IMAGES = Table(
    path="data/images.parquet",
    schema=pa.schema(
        {
            "image_id": pa.string(),
            "path": pa.string(),  # relative to data/
            "sub_class": pa.string(),  # after relabelling; null in out_of_scope
            "class_name": pa.string(),  # null in out_of_scope and where the origin is unknown
            "was": pa.string(),  # names that the sub-class had before, sorted, with / between them; null if it had none
            "origin": pa.string(),  # real, staged, synthetic, unknown
            "set": pa.string(),  # library, or the benchmark
            "group": pa.string(),  # the smallest image_id of those it is a near-duplicate of or alike to
            "said_same": pa.list_(pa.string()),  # what people said shows the same, there or gone, itself included
            "group_size": pa.int64(),  # pictures in its group, itself included
            "confirmed": pa.bool_(),  # a person said that its sub-class is right, or rightly none: not for review
            "dropped": pa.string(),  # null, or why
            "phash": pa.uint64(),
            "faults": pa.string(),  # null, or what is suspected of its quality; see stages/images/faults.py
            "source": pa.string(),  # sender, session or burst, by which it stands on one side; null: none known
            "sources": pa.list_(pa.string()),  # every source that a burst or a near-duplicate joins to this one; null
        }
    ),
    key=("path",),
    order=("image_id", "path"),
    stage="merge",
    added=("confirmed",),
)
