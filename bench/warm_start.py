"""Measure what a warm start is worth: from scratch against warm, after new pictures and two new classes.

    python -m bench.warm_start SHARED/data/clothing.tar [--seeds 1 2 3] [--size 48]
                               [--output docs/measurements/warm_start]

The clothing photos, children's sub-classes merged into the grown-ups', classes of 50 pictures and more. For each seed a
fifth of every class is the test set, which no model is ever trained or chosen on, and a tenth of the rest validates.
The base is trained from scratch without the classes `body` and `undershirt` and without a tenth of the other classes'
training pictures. Then all pictures are there, and each arm trains on them:

    scratch          drawn at random                                        epochs, learning rate from scratch
    carry            from the base, rows of the output layer carried         fewer epochs, lower learning rate
    new              from the base, output layer drawn again                 the same
    shrunk           as carry, weights times 0.4 plus 0.1 times drawn ones   the same
    carry, long      as carry                                                the epochs and learning rate of scratch
    shrunk, long     as shrunk                                               the same

After each epoch the accuracy on the test set is taken. The validation loss decides which epoch is kept, as in the stage
`train`, whose code this uses. Writes OUTPUT.csv (one row per epoch) and OUTPUT.svg, and prints the table.
Seeds that are in OUTPUT.csv already are not measured again.
"""

import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from bench.harness import options, print_frame, save_chart
from stages.images.letterbox import letterbox
from stages.models import determinism, files, networks
from stages.models.description import Description
from stages.training import warm_start
from stages.training.checkpoints import Checkpoints
from stages.training.devices import Devices
from stages.training.fit import fit
from stages.training.recipe import Recipe

NEW_CLASSES = ("body", "undershirt")
MINIMUM = 50
NETWORK = "small"
TEST_FRACTION, VALIDATION_FRACTION, ADDED_FRACTION = 0.2, 0.1, 0.1
SCRATCH = {"epochs": 36, "learning_rate": 0.004}
WARM = {"epochs": 12, "learning_rate": 0.0005}


@dataclass(frozen=True)
class Arm:
    """One way to train on all pictures: what it starts from and for how long."""

    name: str
    head: Literal["carry", "new"] | None
    shrink: float
    perturb: float
    schedule: Mapping[str, Any]


ARMS = (
    Arm("scratch", None, 1.0, 0.0, SCRATCH),
    Arm("carry", "carry", 1.0, 0.0, WARM),
    Arm("new", "new", 1.0, 0.0, WARM),
    Arm("shrunk", "carry", 0.4, 0.1, WARM),
    Arm("carry, long", "carry", 1.0, 0.0, SCRATCH),
    Arm("shrunk, long", "carry", 0.4, 0.1, SCRATCH),
)


@dataclass(frozen=True)
class InMemory:
    """Stands for LabelledPictures: the same batches, of pictures in memory."""

    pixels: NDArray[np.uint8]
    labels: NDArray[np.int64]
    num_classes: int

    @property
    def image_ids(self) -> Sequence[int]:
        """As many as there are pictures."""
        return range(len(self.labels))

    def batches(self, order: NDArray[np.int64], batch_size: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield pictures, and targets with a 1 in each row, in the given order."""
        one_hot = np.eye(self.num_classes, dtype=np.float32)
        for start in range(0, len(order), batch_size):
            rows = order[start : start + batch_size]
            yield self.pixels[rows], one_hot[self.labels[rows]]


def names_in(path: Path, wanted: Callable[[str], bool]) -> list[str]:
    """List the files of a tar whose names are wanted, sorted."""
    with tarfile.open(path) as tar:
        return sorted(member.name for member in tar if member.isfile() and wanted(member.name))


def prepared(path: Path, names: Sequence[str], size: int) -> NDArray[np.uint8]:
    """Prepare pictures of a tar as `shard` does."""
    pixels = []
    with tarfile.open(path) as tar:
        for name in names:
            data = tar.extractfile(name)
            assert data is not None
            pixels.append(letterbox(Image.open(BytesIO(data.read())).convert("RGB"), size))
    return np.stack(pixels)


def classes_of(names: Sequence[str]) -> NDArray[np.str_]:
    """Name the folder of each file, children's merged into the grown-ups'."""
    return np.array([Path(name).parent.name.removesuffix("_kids") for name in names])


def read_pictures(path: Path, size: int, wanted: Callable[[str], bool]) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Prepare the pictures of a tar whose names are wanted, in the order of their names, and name their classes."""
    names = names_in(path, wanted)
    return prepared(path, names, size), classes_of(names)


def read(path: Path, size: int) -> tuple[NDArray[np.uint8], NDArray[np.str_]]:
    """Prepare every picture of a class of `MINIMUM` and more."""
    pixels, class_names = read_pictures(path, size, lambda name: name.startswith("library/"))
    names, counts = np.unique(class_names, return_counts=True)
    kept = np.isin(class_names, names[counts >= MINIMUM]) & (class_names != "other")
    return pixels[kept], class_names[kept]


def divide(class_names: NDArray[np.str_], seed: int) -> dict[str, NDArray[np.int64]]:
    """Draw the rows of `test` and `validation`, of `train`, and of those of the base, in `base_...`."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[int]] = {
        name: [] for name in ("test", "validation", "train", "base_train", "base_validation")
    }
    for class_name in sorted(set(class_names)):
        rows = rng.permutation(np.flatnonzero(class_names == class_name))
        test, rest = np.split(rows, [round(TEST_FRACTION * len(rows))])
        validation, train = np.split(rest, [round(VALIDATION_FRACTION * len(rest))])
        parts["test"] += test.tolist()
        parts["validation"] += validation.tolist()
        parts["train"] += train.tolist()
        if class_name not in NEW_CLASSES:
            parts["base_validation"] += validation.tolist()
            parts["base_train"] += train[round(ADDED_FRACTION * len(train)) :].tolist()
    return {name: np.array(sorted(rows)) for name, rows in parts.items()}


def trained(
    network: keras.Model, training: InMemory, validation: InMemory, schedule: Mapping[str, Any], seed: int
) -> Iterator[dict[str, float]]:
    """Train by the stage's own loop, with the augmentation of these measurements."""
    augmentation = {"mirror": True, "rotation": 10.0, "zoom": 0.1}
    recipe = Recipe(**schedule, warm_up=0.1, batch_size=32, label_smoothing=0.02, seed=seed, **augmentation)
    return fitted(network, training, validation, recipe)


def fitted(
    network: keras.Model, training: InMemory, validation: InMemory, recipe: Recipe
) -> Iterator[dict[str, float]]:
    """Train by the stage's own loop, adding to each epoch's row the seconds that its steps and validation took."""
    with tempfile.TemporaryDirectory() as folder:
        rows = fit(network, training, validation, recipe, Checkpoints("run", Path(folder)), Devices())  # type: ignore[arg-type]
        started = time.monotonic()
        for row in rows:
            yield row | {"seconds": time.monotonic() - started}
            started = time.monotonic()


def right(network: keras.Model, pictures: InMemory) -> NDArray[np.bool_]:
    """Say of each picture whether the network's answer is right."""
    starts = range(0, len(pictures.labels), 256)
    scores = [network.predict_on_batch(pictures.pixels[start : start + 256])["scores"] for start in starts]
    return np.asarray(np.concatenate(scores).argmax(axis=1) == pictures.labels)


def answers(pixels: NDArray[np.uint8], parts: tuple[InMemory, InMemory], seed: int) -> list[NDArray[np.float32]]:
    """Train a network, and score and embed pictures with it."""
    determinism.enable(seed)
    network = networks.build(NETWORK, pixels.shape[1], parts[0].num_classes)
    accuracy = [row["val_accuracy"] for row in trained(network, *parts, SCRATCH, seed)]
    print(f"seed {seed}: {len(parts[0].labels)} pictures, at best {max(accuracy):.3f} right of validation", flush=True)
    said = [network.predict_on_batch(pixels[start : start + 256]) for start in range(0, len(pixels), 256)]
    return [np.concatenate([np.asarray(batch[name]) for batch in said]) for name in ("scores", "embedding")]


class Experiment:
    """The pictures of one seed.

    Args:
        pixels: of all pictures.
        class_names: of each.
        seed: of the division and of every training.
    """

    def __init__(self, pixels: NDArray[np.uint8], class_names: NDArray[np.str_], seed: int) -> None:
        self.seed, self._pixels, self._class_names = seed, pixels, class_names
        self.names = sorted(set(class_names.tolist()))
        self.base_names = [name for name in self.names if name not in NEW_CLASSES]
        self.parts = divide(class_names, seed)

    def part(self, name: str, of: Sequence[str]) -> InMemory:
        """Gather the pictures of one part, labelled by the number of their class among `of`."""
        rows = self.parts[name]
        return InMemory(self._pixels[rows], np.array([of.index(each) for each in self._class_names[rows]]), len(of))

    def network(self, num_classes: int) -> keras.Model:
        """Draw a network, always the same one of this seed."""
        determinism.enable(self.seed)
        return networks.build(NETWORK, self._pixels.shape[1], num_classes)

    def base(self) -> files.TrainedModel:
        """Train the base."""
        network = self.network(len(self.base_names))
        parts = (self.part(name, self.base_names) for name in ("base_train", "base_validation"))
        rows = pd.DataFrame(trained(network, *parts, SCRATCH, self.seed))
        print(
            f"seed {self.seed}: base, {rows['val_accuracy'].max():.3f} right of its validation set at best", flush=True
        )
        description = Description(
            format=1,
            network=NETWORK,
            size=self._pixels.shape[1],
            weights_sha256="0" * 64,
            sub_classes={name: [name] for name in self.base_names},
        )
        return files.TrainedModel(network, description, self.base_names)

    def run(self, arm: Arm, base: files.TrainedModel) -> pd.DataFrame:
        """Train one arm.

        Returns:
            One row per epoch; epoch 0 is before the first step.
        """
        network, test = self.network(len(self.names)), self.part("test", self.names)
        if arm.head is not None:
            sub_classes = {name: [name] for name in self.names}
            rows = warm_start.carried_rows(sub_classes, base.description.sub_classes, arm.head)
            warm_start.carry_over(network, base, rows, arm.shrink, arm.perturb)
        is_new = np.isin(test.labels, [self.names.index(name) for name in NEW_CLASSES])

        def judged(row: Mapping[str, float]) -> dict[str, Any]:
            is_right = right(network, test)
            old, new = is_right[~is_new].mean(), is_right[is_new].mean()
            figures = {"test_accuracy": is_right.mean(), "test_old": old, "test_new": new}
            return {"seed": self.seed, "arm": arm.name, **row, **figures}

        train, validation = (self.part(name, self.names) for name in ("train", "validation"))
        history = [judged({"epoch": 0})]
        history += [judged(row) for row in trained(network, train, validation, arm.schedule, self.seed)]
        return pd.DataFrame(history)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Take the means over the seeds; one row per arm.

    The kept epoch is the one with the lowest validation loss. The scratch run's best is the highest accuracy that any
    of its epochs has on the test set; an arm that never reaches it in a seed has no figure for that seed.
    """
    results = []
    seconds = rows.loc[rows["epoch"] > 1, "seconds"].median()
    best = rows[rows["arm"] == "scratch"].groupby("seed")["test_accuracy"].max()
    for (arm, seed), each in rows.groupby(["arm", "seed"], sort=False):
        kept = each.loc[each["val_loss"].idxmin()]
        reached = each.loc[each["test_accuracy"] >= best[seed], "epoch"]
        results.append(
            {
                "arm": arm,
                "before the first step": each["test_accuracy"].iloc[0],
                "kept epoch": kept["epoch"],
                "test accuracy": kept["test_accuracy"],
                "old classes": kept["test_old"],
                "new classes": kept["test_new"],
                "best epoch's": each["test_accuracy"].max(),
                "reached scratch's best in": 0 if reached.empty else 1,
                "after epochs": reached.min() if len(reached) else np.nan,
                "after seconds": reached.min() * seconds if len(reached) else np.nan,
            }
        )
    table = pd.DataFrame(results).groupby("arm", sort=False)
    means = table.mean()
    means["reached scratch's best in"] = table["reached scratch's best in"].sum()
    means.insert(3, "from", table["test accuracy"].min())
    means.insert(4, "to", table["test accuracy"].max())
    return means.reset_index()


def draw_chart(rows: pd.DataFrame, path: Path) -> None:
    """Draw the mean accuracy on the test set by epoch, one line per arm, the range over the seeds shaded."""
    title = "accuracy on the test set: mean and range over the seeds"
    accuracy = {"field": "test_accuracy", "type": "quantitative", "title": title}
    highest = {"field": "test_accuracy", "aggregate": "max"}
    chart = {
        "width": 620,
        "height": 340,
        "encoding": {"x": {"field": "epoch", "type": "quantitative"}, "color": {"field": "arm", "sort": None}},
        "layer": [
            {
                "mark": {"type": "area", "opacity": 0.1},
                "encoding": {"y": accuracy | {"aggregate": "min"}, "y2": highest},
            },
            {"mark": "line", "encoding": {"y": accuracy | {"aggregate": "mean"}}},
        ],
    }
    save_chart(path, rows[["arm", "epoch", "test_accuracy"]], chart)


def main() -> None:
    """Run the measurement."""
    asked = options(__doc__, "photos", seeds=[1, 2, 3], size=48, output=Path("docs/measurements/warm_start"))
    table = asked.output.with_suffix(".csv")
    histories = [pd.read_csv(table)] if table.exists() else []
    missing = [seed for seed in asked.seeds if not any(seed in set(rows["seed"]) for rows in histories)]
    pixels, class_names = read(asked.photos, asked.size)
    for seed in missing:
        experiment = Experiment(pixels, class_names, seed)
        print({name: len(rows) for name, rows in experiment.parts.items()}, flush=True)
        base = experiment.base()
        histories += [experiment.run(arm, base) for arm in ARMS]
        pd.concat(histories).to_csv(table, index=False, float_format="%.4g")
    rows = pd.concat(histories)
    print_frame(summary(rows))
    draw_chart(rows, asked.output.with_suffix(".svg"))


if __name__ == "__main__":
    main()
