"""`data/candidates.parquet`: for each class that lacks pictures, the unlabelled ones that most probably are of it."""

import pyarrow as pa

from stages.tables.table import Table

CANDIDATES = Table(
    path="data/candidates.parquet",
    schema=pa.schema(
        {
            "class_name": pa.string(),  # with fewer real pictures than identify.wanted, in the model or not
            "rank": pa.int64(),  # from 1
            "image_id": pa.string(),
            "path": pa.string(),  # relative to data/; of several files of this picture the first
            "confidence": pa.float64(),  # in this class, 0 to 100, of a linear classifier on data/embeddings
            "predicted": pa.string(),  # class_1 of data/identified.parquet
        }
    ),
    key=("class_name", "rank"),
    order=("class_name", "rank"),
    stage="identify",
)
