"""`data/identified.parquet`: what the model takes every unlabelled picture for."""

import pyarrow as pa

from stages.tables._table import Table

IDENTIFIED = Table(
    path="data/identified.parquet",
    schema=pa.schema(
        {
            "image_id": pa.string(),
            "path": pa.string(),  # relative to data/
            "class_1": pa.string(),
            "confidence_1": pa.float64(),  # 0 to 100
            "class_2": pa.string(),  # null where the model knows fewer classes
            "confidence_2": pa.float64(),
            "class_3": pa.string(),
            "confidence_3": pa.float64(),
            "high": pa.bool_(),  # confidence_1 is at least identify.high
            "low": pa.bool_(),  # confidence_1 is below identify.low
            "wanted": pa.bool_(),  # class_1 has fewer real pictures than identify.wanted
        }
    ),
    key=("path",),
    order=("path",),
    stage="identify",
)
