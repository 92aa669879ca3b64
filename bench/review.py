"""Plant wrong labels in a library of photographs, and count how many come up first in the review.

    python -m bench.review SHARED/data/clothing.tar --work FOLDER [--seeds 1 2] [--folds 4]

The clothing photos of `bench/warm_start.py`, at 48 pixels, parted into training, validation and test pictures. Of all
of them two in a hundred get the label of another class, drawn with the seed. A small network is trained on what is left
of the truth, and one more for each fold, without it. What is then counted is the planted labels among

    the first rows of the review table, as `score` lists it, with and without the folds
    its rows that are `probably_mislabelled`
    what cleanlab finds in the same scores, by its default method and by the one that ours is
    what both find if only the output layer is refitted, by folds of the embeddings, instead of the network

The library has mistakes of its own, 1.4 % by eye (docs/measurements/clothing.md): these count as wrong
suggestions here. cleanlab is no dependency of the project: `pip install cleanlab` into an environment of your own.
FOLDER keeps the predictions of each seed, so that the counting can be repeated without the training.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from cleanlab.filter import find_label_issues as find_with_cleanlab
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.harness import options, print_frame
from bench.warm_start import InMemory, answers, divide, read
from stages.metrics.model_scores import with_scaling
from stages.metrics.scaling import UNSCALED
from stages.metrics.splits import set_slices
from stages.suspects.evidence import gather_evidence
from stages.suspects.mislabelled import find_issues_held_out, find_label_issues
from stages.suspects.neighbours import Embedded, units
from stages.suspects.review_table import class_examples, reasons, worst_first

PLANTED = 0.02
THRESHOLD, NEAR = 95.0, 0.25  # of params.yaml
FIRST = (10, 20, 50, 100)
NO_CONFUSED = pd.DataFrame({"truth": [], "predicted": [], "weight": []}).astype({"truth": str, "predicted": str})


class Predictions(NamedTuple):
    """What networks say of every picture, in the order of the rows of a review.

    Attributes:
        split: train, validation or test.
        true: class of each picture.
        label: the same, or the planted one.
        scores: of the network that was trained on the training pictures.
        embeddings: of the same network.
        held_out: scores of the training pictures by networks that were trained on the other folds.
        fold: of the training pictures.
    """

    split: NDArray[np.str_]
    true: NDArray[np.int64]
    label: NDArray[np.int64]
    scores: NDArray[np.float32]
    embeddings: NDArray[np.float16]
    held_out: NDArray[np.float32]
    fold: NDArray[np.int64]


def plant(true: NDArray[np.int64], num_classes: int, seed: int) -> NDArray[np.int64]:
    """Give a share of the pictures the label of another class."""
    rng = np.random.default_rng([seed, 2])
    rows = rng.choice(len(true), round(PLANTED * len(true)), replace=False)
    labels = true.copy()
    labels[rows] = (true[rows] + rng.integers(1, num_classes, len(rows))) % num_classes
    return labels


def predict(pixels: NDArray[np.uint8], class_names: NDArray[np.str_], seed: int, num_folds: int) -> Predictions:
    """Plant, train and score; rows are sorted by split."""
    names, true = np.unique(class_names, return_inverse=True)
    parts = divide(class_names, seed)
    order = np.concatenate([parts[name] for name in ("test", "train", "validation")])
    split = np.repeat(["test", "train", "validation"], [len(parts[name]) for name in ("test", "train", "validation")])
    label = plant(true.astype(np.int64), len(names), seed)[order]
    pixels, true = pixels[order], true[order].astype(np.int64)

    def part(rows: NDArray[np.bool_]) -> InMemory:
        return InMemory(pixels[rows], label[rows], len(names))

    training, validation = split == "train", part(split == "validation")
    scores, embeddings = answers(pixels, (part(training), validation), seed)
    fold = np.random.default_rng([seed, 3]).permutation(int(training.sum())) % num_folds
    held_out = np.zeros((training.sum(), len(names)), np.float32)
    of_training = np.flatnonzero(training)
    for number in range(num_folds):
        others = np.isin(np.arange(len(label)), of_training[fold != number])
        rows = of_training[fold == number]
        held_out[fold == number] = answers(pixels[rows], (part(others), validation), seed)[0]
    return Predictions(split, true, label, scores, embeddings.astype(np.float16), held_out, fold)


def refitted(predictions: Predictions) -> NDArray[np.float32]:
    """Score the training pictures by output layers that are fitted to the embeddings of the other folds."""
    training = predictions.split == "train"
    embeddings, labels = predictions.embeddings[training].astype(np.float64), predictions.label[training]
    embeddings = (embeddings - embeddings.mean(axis=0)) / (embeddings.std(axis=0) + 1e-9)
    scores = np.zeros_like(predictions.held_out)
    for number in np.unique(predictions.fold):
        others = predictions.fold != number
        model = LogisticRegression(C=0.1, max_iter=500).fit(embeddings[others], labels[others])
        scores[np.ix_(~others, model.classes_)] = model.predict_proba(embeddings[~others])
    return scores


def reviewed(predictions: Predictions, held_out: NDArray[np.float32] | None) -> pd.DataFrame:
    """List the pictures as `score` does; `image_id` is the number of the row."""
    names = [f"class {number:02d}" for number in range(predictions.scores.shape[1])]
    named = np.array(names, dtype=object)
    rows = pd.DataFrame(
        {"image_id": [f"{row:06d}" for row in range(len(predictions.label))], "split": predictions.split}
    )
    rows["truth"], rows["predicted"] = named[predictions.label], named[predictions.scores.argmax(axis=1)]
    rows["confidence"] = 100.0 * predictions.scores.max(axis=1)
    rows["source"] = None
    model = with_scaling(rows, "", (predictions.scores, names), NO_CONFUSED, UNSCALED)
    slices = set_slices(rows["split"].to_numpy(dtype=object), [])
    embedded = Embedded(units(predictions.embeddings), predictions.label, np.arange(len(rows)))
    issues = find_issues_held_out(model.matrix, model.answers.truth, slices["train"], held_out)
    evidence = gather_evidence(slices, model.answers, issues, embedded, np.zeros(len(rows), dtype=bool), NEAR)
    images = rows[["image_id"]].assign(path=rows["image_id"], set="library", dropped=None, faults=None)
    holds = reasons(model.answers, None, THRESHOLD, evidence)
    return worst_first(rows, holds, evidence, class_examples(rows, embedded, slices["train"], names), images)


def rankings(predictions: Predictions) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """Yield which scores of training pictures are used, which method, and the rows that it finds, likeliest first."""
    training = predictions.split == "train"
    for name, held_out in (
        ("of the network that saw them", None),
        ("output layer refitted by folds", refitted(predictions)),
        ("network trained by folds", predictions.held_out),
    ):
        scores = predictions.scores.copy()
        if held_out is not None:
            scores[training] = held_out
        agreed = (scores.argmax(axis=1) == predictions.label)[training].mean()
        print(f"scores of training pictures {name}: they agree with {agreed:.3f} of the labels")
        table = reviewed(predictions, held_out)
        yield name, "review table, all reasons", table["image_id"].astype(int).to_numpy()
        doubted = table["reason"].eq("probably_mislabelled") | table["also"].fillna("").str.contains("probably_mis")
        yield name, "review table, probably_mislabelled", table.loc[doubted, "image_id"].astype(int).to_numpy()
        issues = find_label_issues(scores, predictions.label)
        rows = np.flatnonzero(issues.suggested >= 0)
        yield name, "ours", rows[np.argsort(issues.self_confidence[rows], kind="stable")]
        for method in ("confident_learning", "prune_by_noise_rate"):
            ranked = find_with_cleanlab(
                predictions.label, scores, filter_by=method, return_indices_ranked_by="self_confidence", n_jobs=1
            )
            yield name, f"cleanlab, {method}", np.asarray(ranked)


def count(predictions: Predictions, seed: int) -> pd.DataFrame:
    """Count the planted labels among what each method suggests first, and among all of it."""
    planted, training = predictions.label != predictions.true, predictions.split == "train"
    counted = []
    for scores, method, rows in rankings(predictions):
        hits = planted[rows]
        row = {"seed": seed, "scores of training pictures": scores, "method": method, "suggested": len(rows)}
        row |= {f"in the first {first}": hits[:first].sum() for first in FIRST}
        row |= {"found": hits.sum(), "of": planted.sum(), "in training": (planted[rows] & training[rows]).sum()}
        counted.append(row | {"of trained on": (planted & training).sum()})
    return pd.DataFrame(counted)


def main() -> None:
    """Run the measurement."""
    asked = options(__doc__, "photos", work=Path, seeds=[1, 2], folds=4, size=48)
    asked.work.mkdir(parents=True, exist_ok=True)
    counted = []
    for seed in asked.seeds:
        path = asked.work / f"review-{seed}-{asked.folds}-{asked.size}.npz"
        if not path.exists():
            np.savez(path, **predict(*read(asked.photos, asked.size), seed, asked.folds)._asdict())
        predictions = Predictions(**np.load(path))
        right = predictions.scores.argmax(axis=1) == predictions.true
        for split in np.unique(predictions.split):
            print(f"seed {seed}: {right[predictions.split == split].mean():.3f} of {split} right by the true labels")
        counted.append(count(predictions, seed))
    table = pd.concat(counted)
    table.to_csv(asked.work / "review.csv", index=False)
    keys = ["scores of training pictures", "method"]
    print_frame(table.drop(columns="seed").groupby(keys, sort=False).sum().reset_index())


if __name__ == "__main__":
    main()
