"""Measure how far half precision moves what a trained model answers, and how fast it is: `evaluate.precision`.

    python -m bench.precision [--rounds 3]

The model of data/model scores every picture of data/splits.parquet from data/shards in each precision, in batches of
`evaluate.batch_size`, as `evaluate` does. A move is the largest of a picture's classes, in points of confidence; a
promotion is refused where one of ten pictures moves by more than a point. `KERAS_BACKEND=jax` measures JAX, which
refuses bfloat16 on a CPU.
"""

from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from bench.harness import in_turn, options, print_table, timed
from runtime import parameters
from runtime.errors import ParameterError
from stages.models import determinism, files
from stages.models.precision import calculating_in
from stages.models.predict import predict
from stages.shards.index import read_index
from stages.shards.tars import ShardReader
from stages.tables.model import FOLDER as MODEL
from stages.tables.shards import FOLDER as SHARDS
from stages.tables.splits import SPLITS


def networks() -> dict[str, files.TrainedModel]:
    """Load the model once for each precision that the backend calculates in."""
    models = {}
    for precision in get_args(parameters.Precision):
        try:
            with calculating_in(precision, "evaluate.precision"):
                models[precision] = files.load(Path(MODEL))
        except ParameterError as error:
            print(error)
    return models


def main() -> None:
    """Run the measurement."""
    rounds = options(__doc__, rounds=3).rounds
    batch_size = parameters.read(parameters.Evaluate).batch_size
    determinism.enable(seed=0)
    image_ids = SPLITS.read()["image_id"].unique().tolist()
    scores: dict[str, NDArray[np.float32]] = {}
    with ShardReader(SHARDS, read_index()) as reader:

        def score(precision: str, model: files.TrainedModel) -> float:
            return timed(
                lambda: scores.update({precision: predict(model.network, reader, image_ids, batch_size)[0]})
            ).clock

        seconds = in_turn({name: lambda n=name, m=model: score(n, m) for name, model in networks().items()}, rounds)
    rows = []
    for precision, values in scores.items():
        moved = 100 * np.abs(values - scores["float32"]).max(axis=1)
        changed = int((values.argmax(axis=1) != scores["float32"].argmax(axis=1)).sum())
        figures = moved.mean(), np.quantile(moved, 0.99), moved.max()
        rows.append(
            (precision, *figures, f"{changed} of {len(moved):,}", len(image_ids) / np.median(seconds[precision]))
        )
    print_table(["precision", "move, mean", "99th percentile", "largest", "other best class", "pictures/s"], rows)


if __name__ == "__main__":
    main()
