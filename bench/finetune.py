"""Measure what published weights are worth, and how to fine-tune them: accuracy by epoch, and seconds.

    python -m stages.pretrained     # writes the weights that this begins with
    python -m bench.finetune SHARED/data/clothing.tar [--senders SHARED/data/clothing_senders.csv]
                             [--second SHARED/data/cifar10_near_duplicates.tar] [--seeds 1 2 3] [--epochs 10]
                             [--arms scratch frozen fine-tuned] [--set frozen_fraction=0.4 ...] [--output FILE]

The clothing photos, children's sub-classes merged into the grown-ups', classes of 40 pictures and more; and of the
second library, whose folders are its classes, up to 150 pictures per class. For each seed a fifth is held out: of every
class by chance, and once more by sender, so that nobody's pictures stand on both sides. A tenth of the rest validates,
drawn in the same way. Then each arm trains EfficientNet-Lite0 at 224 pixels by the code of the stage `train`:

    scratch      from random weights
    frozen       from ImageNet's, of which only the output layer learns
    fine-tuned   from ImageNet's, with the settings that `make adopt` chooses for photographs

Each training gives a second row, "averaged": the same steps, but of the last weights and of their moving averages over
an epoch (`train.average_weights`) those are taken that validate better.

--set gives parameters of `train` for the fine-tuned arm. After each epoch the accuracy on what was held out is taken;
the validation loss decides which epoch is kept. Writes OUTPUT.csv (one row per epoch) and OUTPUT.svg, and prints the
table. What is in OUTPUT.csv already is not measured again.
"""

import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml
from numpy.typing import NDArray

from bench.harness import options, print_frame, save_chart
from bench.warm_start import InMemory, classes_of, names_in, prepared, right
from intake.photographs import TRAINING_SETTINGS
from runtime import parameters
from stages.pretrained import FOLDER as PRETRAINED
from stages.training import warm_start
from stages.training.averaging import averages_in
from stages.training.checkpoints import Checkpoints
from stages.training.devices import Devices
from stages.training.fit import Trainer
from stages.training.session import recipe

NETWORK = "efficientnet_lite0"
WEIGHTS = f"{PRETRAINED}/{NETWORK}.weights.h5"
SIDE = 224
MINIMUM, MAXIMUM = 40, 150  # pictures of a class; the maximum is of the second library, so that it takes as long
TEST_FRACTION, VALIDATION_FRACTION = 0.2, 0.1
# Of the section `train`, those of the augmentation aside, which is the same for all.
PROPOSED = {key.removeprefix("train."): value for key, value in TRAINING_SETTINGS.items() if key.count(".") == 1}
SHARED: Mapping[str, Any] = {
    "network": NETWORK,
    "batch_size": 32,
    "warm_up_from_scratch": 0.1,
    "augmentation": {"mirror": True, "rotation": 10.0, "zoom": 0.1},
}
# What each arm changes.
ARMS: Mapping[str, Mapping[str, Any]] = {
    "scratch": {"weights": None, "learning_rate_from_scratch": 0.004},
    "frozen": {"weights": WEIGHTS, "learning_rate_from_scratch": 0.004, "frozen_fraction": 1.0},
    "fine-tuned": {"weights": WEIGHTS, **PROPOSED},
}


@dataclass(frozen=True)
class Library:
    """Prepared pictures.

    Attributes:
        name: of the library.
        pixels: of each picture.
        class_names: of each picture.
        senders: of each picture; None where nobody knows.
    """

    name: str
    pixels: NDArray[np.uint8]
    class_names: NDArray[np.str_]
    senders: NDArray[np.int64] | None


def read_clothes(path: Path, senders: Path | None) -> Library:
    """Prepare the clothes of classes of `MINIMUM` and more."""
    names = np.array(names_in(path, lambda name: name.startswith("library/")))
    found, counts = np.unique(classes_of(names), return_counts=True)
    names = names[np.isin(classes_of(names), found[counts >= MINIMUM])]
    who = None if senders is None else pd.read_csv(senders, index_col="path")["sender"].loc[names].to_numpy()
    return Library("clothes", prepared(path, names, SIDE), classes_of(names), who)


def read_second(path: Path) -> Library:
    """Prepare the first `MAXIMUM` pictures of every folder of a tar."""
    names = pd.Series(names_in(path, lambda name: name.endswith((".jpg", ".png"))))
    names = names[names.groupby(classes_of(names)).cumcount() < MAXIMUM]
    return Library(path.stem, prepared(path, names.tolist(), SIDE), classes_of(names), None)


def divide(groups: NDArray[Any], class_names: NDArray[np.str_], fraction: float, seed: int) -> NDArray[np.bool_]:
    """Draw what is held out of every class, group by group, so that no group is on both sides.

    Args:
        groups: of each picture; its number, where every picture is drawn by itself.
        class_names: of each picture.
        fraction: of each class's pictures, as nearly as whole groups allow.
        seed: of the draw.
    """
    wanted = {name: fraction * number for name, number in zip(*np.unique(class_names, return_counts=True), strict=True)}
    held_out = np.zeros(len(groups), bool)
    for group in np.random.default_rng(seed).permutation(np.unique(groups)):
        rows = groups == group
        names, counts = np.unique(class_names[rows], return_counts=True)
        # A group is taken if that brings its classes nearer to what is wanted of them.
        nearer = sum(abs(wanted[name]) - abs(wanted[name] - count) for name, count in zip(names, counts, strict=True))
        if nearer > 0:
            held_out |= rows
            wanted |= {name: wanted[name] - count for name, count in zip(names, counts, strict=True)}
    return held_out


def parts_of(library: Library, by_sender: bool, seed: int) -> dict[str, InMemory]:
    """Draw what is held out and what validates; the rest trains."""
    groups = library.senders if by_sender else np.arange(len(library.pixels))
    assert groups is not None
    test = divide(groups, library.class_names, TEST_FRACTION, seed)
    validation = np.zeros(len(test), bool)
    validation[~test] = divide(groups[~test], library.class_names[~test], VALIDATION_FRACTION, seed)
    numbers = np.unique(library.class_names, return_inverse=True)[1]
    return {
        name: InMemory(library.pixels[rows], numbers[rows], int(numbers.max()) + 1)
        for name, rows in (("test", test), ("validation", validation), ("train", ~test & ~validation))
    }


@cache
def committed() -> parameters.Train:
    """Read params.yaml as it is when the measurement begins: it may change in the hours that follow."""
    return parameters.read(parameters.Train)


def run(arm: str, changes: Mapping[str, Any], parts: Mapping[str, InMemory], epochs: int, seed: int) -> pd.DataFrame:
    """Train one arm, and give two rows per epoch: of the last weights, and of what validates better."""
    settled = {**SHARED, **ARMS[arm], **changes, "epochs_from_scratch": epochs, "seed": seed, "average_weights": 1.0}
    params = parameters.Train.model_validate(committed().model_dump() | settled)
    network = warm_start.start(params, SIDE, parts["train"].num_classes)
    training, validation, test = (parts[name] for name in ("train", "validation", "test"))
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints("run", Path(folder))
        trainer = Trainer(network, recipe(params, warm=False), len(training.labels), checkpoints, Devices())
        for _ in range(epochs):
            started = time.monotonic()
            better = trainer.epoch(training, validation) | {"seconds": time.monotonic() - started}  # type: ignore[arg-type]
            loss, accuracy = trainer.validate(validation)  # type: ignore[arg-type]
            last = better | {"val_loss": loss, "val_accuracy": accuracy, "averaged": 0.0}
            last["test_accuracy"] = better["test_accuracy"] = right(network, test).mean()
            if trainer.averages is not None:
                with averages_in(network, trainer.averages):
                    better["test_accuracy"] = right(network, test).mean()
            rows += [last | {"arm": arm}, better | {"arm": f"{arm}, averaged"}]
            figures = f"{last['test_accuracy']:.3f} right, averaged {better['test_accuracy']:.3f}"
            print(f"{arm}, epoch {last['epoch']}: {figures}, {last['seconds']:.0f} s", flush=True)
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> pd.DataFrame:
    """Take the means over the seeds; the kept epoch is the one with the lowest validation loss."""
    results = []
    for key, each in rows.groupby(["library", "held out", "epochs", "arm", "seed"], sort=False):
        kept = each.loc[each["val_loss"].idxmin()]
        figures = kept["test_accuracy"], each["test_accuracy"].max(), kept["epoch"], each["seconds"].sum()
        results.append((*key[:4], *figures))
    columns = ["library", "held out", "epochs", "arm", "test accuracy", "best epoch's", "kept epoch", "seconds"]
    table = pd.DataFrame(results, columns=columns).groupby(columns[:4], sort=False)
    means = table.mean()
    means.insert(1, "from", table["test accuracy"].min())
    means.insert(2, "to", table["test accuracy"].max())
    means.insert(0, "seeds", table.size())
    return means.reset_index()


def draw_chart(rows: pd.DataFrame, path: Path) -> None:
    """Draw the mean accuracy on what was held out by epoch, one line per arm, one chart per library and division."""
    shown = rows.assign(division=rows["library"] + ", held out by " + rows["held out"])
    chart = {
        "mark": {"type": "line", "point": True},
        "encoding": {
            "x": {"field": "epoch", "type": "quantitative"},
            "y": {"field": "test_accuracy", "aggregate": "mean", "type": "quantitative", "title": "accuracy"},
            "color": {"field": "arm", "sort": None},
            "column": {"field": "division", "title": None, "sort": None},
        },
    }
    save_chart(path, shown[["division", "arm", "epoch", "test_accuracy"]], chart)


def main() -> None:
    """Run the measurement."""
    defaults = {"seeds": [1, 2, 3], "epochs": 10, "arms": list(ARMS), "set": [""]}
    output = Path("docs/measurements/finetune")
    asked = options(__doc__, "photos", senders=None, second=None, output=output, **defaults)
    committed()
    assert Path(WEIGHTS).is_file(), f"{WEIGHTS} is not there: python -m stages.pretrained writes it"
    changes = {key: yaml.safe_load(value) for key, _, value in (text.partition("=") for text in asked.set if text)}
    table = asked.output.with_suffix(".csv")
    libraries = [read_clothes(asked.photos, asked.senders)] + ([read_second(asked.second)] if asked.second else [])
    for seed in asked.seeds:
        for library in libraries:
            for by_sender in [False] + [True] * (library.senders is not None):
                held_out = "sender" if by_sender else "chance"
                key = {"library": library.name, "held out": held_out, "epochs": asked.epochs, "seed": seed}
                measure(table, key, parts_of(library, by_sender, seed), asked.arms, changes)
    rows = pd.read_csv(table)
    print_frame(summary(rows))
    draw_chart(rows, table.with_suffix(".svg"))


def measure(
    table: Path,
    key: Mapping[str, Any],
    parts: Mapping[str, InMemory],
    arms: Sequence[str],
    changes: Mapping[str, Any],
) -> None:
    """Add to the table the rows of the arms that are not there."""
    print(dict(key) | {name: len(part.labels) for name, part in parts.items()}, flush=True)
    for arm in arms:
        changed = changes if arm == "fine-tuned" else {}
        named = f"{arm}: {changed}" if changed else arm
        done = pd.read_csv(table) if table.exists() else pd.DataFrame(columns=[*key, "arm"])
        if (done[[*key, "arm"]] == pd.Series({**key, "arm": named})).all(axis=1).any():
            continue
        rows = run(arm, changed, parts, key["epochs"], key["seed"]).assign(**key)
        rows["arm"] = named + rows["arm"].str.removeprefix(arm)
        table.parent.mkdir(parents=True, exist_ok=True)
        pd.concat([done, rows]).to_csv(table, index=False, float_format="%.4g")


if __name__ == "__main__":
    main()
