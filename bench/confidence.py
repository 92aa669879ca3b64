"""Compare ways to a confidence, with and without label smoothing, on photographs of clothes and two kinds of strangers.

    python -m bench.confidence SHARED/data --work FOLDER [--seeds 1 2 3 4 5]

The network is EfficientNet-Lite0 with its ImageNet weights at 224 pixels, frozen; its output layer is trained, seconds
per seed. The clothes are those of `bench/warm_start.py`: a fifth of every class tests, a tenth of the rest validates.
Near strangers are the photographs of one class, drawn with the seed, which is left out everywhere else. Far strangers
are those of out_of_scope.tar; they are ImageNet's own, which flatters a distance between ImageNet's embeddings.

What is fitted is fitted on validation, and all figures are of the test set and of the strangers: AURC, coverage with
one wrong answer in twenty, coverage and selective risk at a threshold of 95, and the share of strangers that is shown
where half of the test pictures are. FOLDER keeps the embeddings.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.harness import options, print_frame
from bench.warm_start import divide, read_pictures
from stages import pretrained
from stages.embeddings.vectors import units
from stages.evaluate import log_partitions
from stages.metrics.answers import gather_answers
from stages.metrics.reliability import expected_calibration_error, reliability
from stages.metrics.scaling import Scaling
from stages.metrics.temperature import fit_temperature
from stages.metrics.ways import confidences, fit_ways
from stages.models import determinism
from stages.models.networks import DROPOUT
from stages.reports.confidences import confidence_report
from stages.suspects.neighbours import Embedded, nearest
from stages.tables.scores import HELD_OUT

SMOOTHING = (0.0, 0.03, 0.1)
ORDERS = (2, 3, 5, 10)  # of norms, whether or not validation would choose them
MINIMUM = 50  # pictures of a class
SIZE = 224
WANTED_ERROR, THRESHOLD = 0.05, 95.0
NO_CONFUSED = pd.DataFrame({"truth": [], "predicted": [], "weight": []}).astype({"truth": str, "predicted": str})
Features = NDArray[np.float16]


def embed(archive: Path, folder: Path, prefix: str) -> tuple[Features, NDArray[np.str_]]:
    """Embed the photographs of a tar, or read what an earlier run embedded; with the names of their classes."""
    path = folder / f"{archive.stem}.npz"
    if not path.exists():
        body = pretrained.fetch("efficientnet_lite0")[0]
        pixels, names = read_pictures(archive, SIZE, lambda name: prefix in name)
        starts = range(0, len(pixels), 64)
        parts = [body.predict_on_batch(pixels[start : start + 64].astype(np.float32)) for start in starts]
        np.savez(path, embeddings=np.concatenate(parts).astype(np.float16), names=names)
    kept = np.load(path, allow_pickle=False)
    return kept["embeddings"], kept["names"]


def train_head(
    features: Features, labels: NDArray[np.int64], parts: dict[str, NDArray[np.int64]], smoothing: float, seed: int
) -> keras.Model:
    """Train an output layer as the stage `train` would: the epoch with the lowest validation loss is kept."""
    determinism.enable(seed)
    num_classes = int(labels.max()) + 1
    embedding = keras.Input((features.shape[1],))
    dropped = keras.layers.Dropout(DROPOUT)(embedding)
    model = keras.Model(embedding, keras.layers.Dense(num_classes, activation="softmax", name="scores")(dropped))
    loss = keras.losses.CategoricalCrossentropy(label_smoothing=smoothing)
    model.compile(optimizer=keras.optimizers.AdamW(1e-3), loss=loss)
    x, y = features.astype(np.float32), np.eye(num_classes, dtype=np.float32)[np.maximum(labels, 0)]
    train, validation = ((x[parts[name]], y[parts[name]]) for name in ("train", "validation"))
    best = keras.callbacks.EarlyStopping(patience=40, restore_best_weights=True)
    model.fit(*train, validation_data=validation, epochs=40, batch_size=32, callbacks=[best], verbose=0)
    return model


def measure(features: Features, names: NDArray[np.str_], far: Features, seed: int) -> Iterator[pd.DataFrame]:
    """Compare the ways with each label smoothing.

    Yields:
        One row per way.
    """
    rng = np.random.default_rng([seed, 4])
    near = rng.choice(np.unique(names))
    everything = np.concatenate([features[names != near], features[names == near], far])
    known = names[names != near]
    class_names, labels = np.unique(known, return_inverse=True)
    parts = divide(known, seed)
    num_known, num_clothes = len(known), len(names)
    sets = {HELD_OUT: parts["test"], "near": np.arange(num_known, num_clothes)}
    sets |= {"far": np.arange(num_clothes, len(everything))}
    truth = np.full(len(everything), -1, np.int64)
    truth[:num_known] = labels
    for smoothing in SMOOTHING:
        model = train_head(everything, truth, parts, smoothing, seed)
        scores = np.asarray(model.predict(everything.astype(np.float32), batch_size=256, verbose=0))
        scalings = fit_ways(scores[parts["validation"]], truth[parts["validation"]])
        for order in ORDERS:
            found = fit_temperature(scores[parts["validation"]], truth[parts["validation"]], order)
            scalings[f"normalised, p = {order}"] = Scaling(found, order) if found else None
        judged = np.concatenate(list(sets.values()))
        ways = confidences(scores, log_partitions(model, scores, everything), scalings, judged)
        vectors, alone = units(everything), np.arange(len(everything))
        training = Embedded(vectors, truth, alone).take(np.isin(alone, parts["train"]))
        ways["distance"] = nearest(Embedded(vectors, truth, alone), training, 1).similarity[:, 0].astype(np.float64)
        rows = pd.DataFrame({"truth": pd.Series(np.append(class_names, None)[truth], dtype=object)})
        rows = rows.assign(predicted=class_names[scores.argmax(axis=1)], confidence=100.0 * scores.max(axis=1))
        answers = gather_answers(rows.assign(source=None, in_scope=True), "", scores, class_names.tolist(), NO_CONFUSED)
        half = float(np.median(ways["softmax"][parts["test"]]))
        report = confidence_report(answers, ways, scalings, sets, half, WANTED_ERROR)
        yield summary(report, ways, answers.right, parts["test"]).assign(label_smoothing=smoothing, seed=seed)


def summary(
    report: pd.DataFrame, ways: dict[str, NDArray[np.float64]], right: NDArray[np.bool_], test: NDArray[np.int64]
) -> pd.DataFrame:
    """Lay the report out, one row per way."""
    by_set = {name: rows.set_index("confidence") for name, rows in report.groupby("set")}
    table = pd.DataFrame({"accuracy": right[test].mean(), "AURC": by_set[HELD_OUT]["aurc"].astype(float)})
    table["coverage, 5 % wrong"] = by_set[HELD_OUT]["coverage_at_wanted_error"].astype(float)
    for name in ("near", "far"):
        table[f"{name} shown"] = by_set[name]["false_accept_rate"].astype(float)
        table[f"{name} AUC"] = by_set[name]["roc_auc_against_held_out"].astype(float)
    for name in ("softmax", "temperature", "normalised_logits"):
        confidence = ways[name][test]
        shown = confidence >= THRESHOLD
        table.loc[name, "ECE"] = expected_calibration_error(reliability(confidence, right[test]))
        table.loc[name, "coverage at 95"] = shown.mean()
        table.loc[name, "wrong at 95"] = (~right[test][shown]).mean() if shown.any() else np.nan
    table["norm_order"] = by_set[HELD_OUT]["norm_order"].astype(float)
    return table.rename_axis("way").reset_index()


def effect_of_smoothing(rows: pd.DataFrame) -> pd.DataFrame:
    """Compare the softmax with label smoothing and without, seed by seed: mean difference and standard deviation."""
    by_seed = rows[rows["way"] == "softmax"].drop(columns=["way", "norm_order"]).set_index(["label_smoothing", "seed"])
    differences = {smoothing: by_seed.loc[smoothing] - by_seed.loc[0.0] for smoothing in SMOOTHING[1:]}
    cells = {
        smoothing: [f"{mean:+.3f} ({spread:.3f})" for mean, spread in zip(each.mean(), each.std(), strict=True)]
        for smoothing, each in differences.items()
    }
    return pd.DataFrame(cells, index=by_seed.columns).T.rename_axis("label smoothing, minus none").reset_index()


def main() -> None:
    """Run the measurement."""
    asked: Any = options(__doc__, "archives", seeds=[1, 2, 3, 4, 5], work=Path("build/confidence"))
    asked.work.mkdir(parents=True, exist_ok=True)
    features, names = embed(asked.archives / "clothing.tar", asked.work, "library/")
    far, _ = embed(asked.archives / "out_of_scope.tar", asked.work, ".")
    classes, counts = np.unique(names, return_counts=True)
    used = np.isin(names, classes[counts >= MINIMUM]) & (names != "other")
    rows = pd.concat([each for seed in asked.seeds for each in measure(features[used], names[used], far, seed)])
    rows.to_csv(asked.work / "confidence.csv", index=False)
    means = rows.drop(columns="seed").groupby(["label_smoothing", "way"], sort=False).mean()
    print_frame(means.round(3).reset_index())
    print()
    print_frame(effect_of_smoothing(rows))


if __name__ == "__main__":
    main()
