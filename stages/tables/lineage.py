"""`data/model/lineage.parquet`: every picture that this model or any of its ancestors was trained on."""

import pyarrow as pa

from stages.tables import model
from stages.tables.table import Table

LINEAGE = Table(
    path=f"{model.FOLDER}/{model.LINEAGE}",
    schema=pa.schema(
        {
            "image_id": pa.string(),
            "group": pa.string(),  # its group at the time
            "members": pa.list_(pa.string()),  # every picture of that group at the time, itself included
            "sources": pa.list_(pa.string()),  # every source that stood on its side at the time; null: none known
            "phash": pa.uint64(),  # finds its near-duplicates when its own file is gone
        }
    ),
    key=("image_id",),
    order=("image_id",),
    stage="train",
    added=("sources",),
)
