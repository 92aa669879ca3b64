"""Measure what the memory of BatchNormalization's running averages does to a run of few steps, epoch by epoch.

    python -m bench.normalization SHARED/data/clothing.tar [--network efficientnet_lite0] [--size 48] [--pictures 640]
                                  [--epochs 10] [--seed 1]

Trains a network from random weights on that many of the clothing photos by the stage's own loop, once with Keras'
default momentum and once with the one that follows the run's steps. The steps are the same: only what validation and
the test set see of the running averages differs.
"""

from pathlib import Path
from typing import Any
from unittest.mock import patch

import keras
import numpy as np
import pandas as pd

from bench.harness import options, print_frame
from bench.warm_start import InMemory, divide, fitted, read, right
from stages.models import determinism, networks
from stages.training import fit
from stages.training.normalization import follow_steps
from stages.training.recipe import Recipe

ARMS = {"Keras' 0.99": lambda _network, _steps: None, "follows the steps": follow_steps}


def run(arm: str, network: keras.Model, parts: dict[str, InMemory], recipe: Recipe) -> pd.DataFrame:
    """Train one arm; one row per epoch."""
    rows: list[dict[str, Any]] = []
    with patch.object(fit, "follow_steps", ARMS[arm]):
        for row in fitted(network, parts["train"], parts["validation"], recipe):
            accuracy = right(network, parts["test"]).mean()
            rows.append({key: row[key] for key in ("epoch", "accuracy", "val_loss")} | {"test accuracy": accuracy})
            print(arm, rows[-1], flush=True)
    return pd.DataFrame(rows).set_index("epoch").add_prefix(f"{arm}: ")


def main() -> None:
    """Print the table."""
    defaults = {"size": 48, "pictures": 640, "epochs": 10, "seed": 1}
    asked = options(__doc__, "photos", network="efficientnet_lite0", **defaults)
    pixels, class_names = read(Path(asked.photos), asked.size)
    names, numbers = np.unique(class_names, return_inverse=True)
    parts = {
        name: InMemory(pixels[rows], numbers[rows], len(names))
        for name, rows in (
            (name, np.random.default_rng(asked.seed).permutation(rows)[: asked.pictures])
            for name, rows in divide(class_names, asked.seed).items()
        )
    }
    recipe = Recipe(
        epochs=asked.epochs,
        learning_rate=0.004,
        warm_up=0.1,
        batch_size=32,
        label_smoothing=0.03,
        seed=asked.seed,
        mirror=True,
        rotation=10.0,
        zoom=0.1,
    )
    tables = []
    for arm in ARMS:
        determinism.enable(asked.seed)
        network = networks.build(asked.network, asked.size, len(names))
        tables.append(run(arm, network, parts, recipe))
    print_frame(pd.concat(tables, axis=1).reset_index())


if __name__ == "__main__":
    main()
