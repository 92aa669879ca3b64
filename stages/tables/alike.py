"""`data/alike.parquet`: one row per pair of pictures so alike that one must not judge what the other has trained."""

import pyarrow as pa

from stages.tables.table import Table

ALIKE = Table(
    path="data/alike.parquet",
    schema=pa.schema(
        {
            "image_a": pa.string(),  # image_a < image_b
            "image_b": pa.string(),
            "cosine": pa.float64(),  # of the embeddings; compared with dedup.alike
            "edges": pa.float64(),  # correlation of the edges, laid over each other, 0 to 1
        }
    ),
    key=("image_a", "image_b"),
    order=("image_a", "image_b"),
    stage="dedup",
)
