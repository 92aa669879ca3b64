"""`data/predictions/`: what the model, and the base, say of every picture of every set."""

import pyarrow as pa

from stages.tables.table import Table

FOLDER = "data/predictions"
ROWS = Table(
    path=f"{FOLDER}/rows.parquet",
    schema=pa.schema(
        {
            "image_id": pa.string(),
            "split": pa.string(),
            "truth": pa.string(),  # null in out_of_scope
            "predicted": pa.string(),
            "confidence": pa.float64(),  # 0 to 100
            "scope_distance": pa.float64(),  # 1 less the cosine to the nearest class mean
            "log_partition": pa.float64(),  # log of the sum of the exponentials of the logits: minus the energy
            "base_predicted": pa.string(),  # null without a base
            "base_confidence": pa.float64(),
            "base_scope_distance": pa.float64(),  # NaN where the base has no means of the same network's embeddings
            "base_log_partition": pa.float64(),
        }
    ),
    key=("image_id", "split"),
    order=("split", "image_id"),
    stage="evaluate",
)
SCORES = f"{FOLDER}/scores.npy"  # rows x classes, float32: row i is row i of ROWS
EMBEDDINGS = f"{FOLDER}/embeddings.npy"  # rows x features, float16
CLASSES = f"{FOLDER}/classes.json"  # class names in the order of the columns of SCORES
BASE_SCORES = f"{FOLDER}/base_scores.npy"  # rows x the base's classes, float32; zero rows without a base
BASE_CLASSES = f"{FOLDER}/base_classes.json"  # an empty list without a base
