"""`data/embeddings/`: what a network that knows none of our labels sees in every readable picture."""

import pyarrow as pa

from stages.tables.table import Table

FOLDER = "data/embeddings"
EMBEDDED = Table(
    path=f"{FOLDER}/rows.parquet",
    schema=pa.schema({"image_id": pa.string()}),
    key=("image_id",),
    order=("image_id",),
    stage="embed",
)
EMBEDDINGS = f"{FOLDER}/embeddings.npy"  # rows x features, float16: row i is row i of EMBEDDED
