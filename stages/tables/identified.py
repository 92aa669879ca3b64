"""`data/identified.parquet`: what the model takes each unlabelled picture for."""

import pyarrow as pa

from stages.tables.table import Table

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
            "candidate": pa.string(),  # class by a linear classifier on embeddings, of all classes
            "candidate_confidence": pa.float64(),  # 0 to 100
            "high": pa.bool_(),  # confidence_1 is at least identify.high
            "low": pa.bool_(),  # confidence_1 is below identify.low
            "wanted": pa.bool_(),  # class_1 or candidate lacks real pictures, or class_1 relies on staged ones
            "distance": pa.float64(),  # to the nearest labelled picture of class_1: 1 less the cosine
            "distance_to_any": pa.float64(),  # to the nearest labelled picture of any class
            "look_alike": pa.bool_(),  # class_1 and class_2 are a pair that people or the model confuse
            "novel": pa.bool_(),  # far from everything: perhaps of no class yet
            "novel_group": pa.int64(),  # novel pictures that are similar share one, 1 is the largest; null where alone
        }
    ),
    key=("path",),
    order=("path",),
    stage="identify",
)
