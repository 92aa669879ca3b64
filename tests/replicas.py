"""Train a tiny network without BatchNormalization on one and on two devices: the numbers must agree. Prints JSON.

Run by tests/test_devices.py in a process of its own: TensorFlow cuts the CPU into devices only before its first use.
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

import keras  # noqa: E402
import numpy as np  # noqa: E402

from stages.training.devices import Devices, together  # noqa: E402


def figures(devices: Devices) -> dict[str, list[float]]:
    keras.utils.set_random_seed(1)
    with devices.scope():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(5, "relu"), keras.layers.Dense(3, "softmax")])
        model.compile("sgd", "categorical_crossentropy", metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
        model.optimizer.build(model.trainable_variables)
    steps = devices.steps(model)
    rng = np.random.default_rng(2)
    values, targets = rng.normal(size=(12, 8, 6)).astype("float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, 96)]
    results = [steps.train(each, wanted) for each, wanted in zip(values, targets.reshape(12, 8, 3), strict=True)]
    # 8, 5 and 1: shared evenly, unevenly, and with nothing left for the second device.
    results += [steps.test(values[0][:count], targets[:count]) for count in (8, 5, 1)]
    by_name = {name: [float(result[name]) for result in results] for name in ("loss", "accuracy")}
    return by_name | {"weights": np.concatenate([weight.ravel() for weight in model.get_weights()]).tolist()}


if __name__ == "__main__":
    with together(2, 8, "float32", 1) as two:
        print(json.dumps({"two": figures(two), "one": figures(Devices())}))
