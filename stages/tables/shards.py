"""`data/shards/index.parquet`: in which tar, and where in it, each picture's bytes are."""

import pyarrow as pa

from stages.tables.table import Table

FOLDER = "data/shards"
INDEX = Table(
    path=f"{FOLDER}/index.parquet",
    schema=pa.schema(
        {
            "image_id": pa.string(),
            "shard": pa.string(),  # the tar's file name, such as 00000.tar
            "offset": pa.int64(),  # of the encoded picture's first byte in the tar
            "size": pa.int64(),  # in bytes
        }
    ),
    key=("image_id",),
    order=("shard", "offset"),
    stage="shard",
)
