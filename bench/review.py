"""Plant wrong labels among photographs of clothes, and count how many stand first in the list of doubted labels.

    python -m bench.review SHARED/data/clothing.tar --work FOLDER [--seeds 1 2 3]

Of the pictures of all classes of 40 and more, two in a hundred get the label of another class, drawn with the seed.
Each label is judged by classifiers on embeddings that were fitted without the picture's fold: the linear discriminant
of `score`, at several shrinkages, and logistic regression; in the order of the label's own probability, and as cleanlab
lists them. The library has mistakes of its own, 1.4 % by eye (docs/measurements/clothing.md): these count as wrong.
cleanlab is no dependency of the project: `pip install cleanlab` into an environment of your own, or go without.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from time import process_time

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from bench.embedded import read_embedded
from bench.harness import options, print_frame
from stages.embeddings import discriminant
from stages.embeddings.discriminant import folds_of, held_out_log_scores
from stages.suspects.mislabelled import find_label_issues

MINIMUM, PLANTED, FRACTION = 40, 0.02, 0.05  # the last of params.yaml
FIRST = (10, 20, 50, 100)


def plant(true: NDArray[np.int64], num_classes: int, seed: int) -> NDArray[np.int64]:
    """Give a share of the pictures the label of another class."""
    rng = np.random.default_rng([seed, 2])
    rows = rng.choice(len(true), round(PLANTED * len(true)), replace=False)
    labels = true.copy()
    labels[rows] = (true[rows] + rng.integers(1, num_classes, len(rows))) % num_classes
    return labels


def by_discriminant(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], folds: NDArray[np.int64], num_classes: int
) -> NDArray[np.float64]:
    """Logarithms of scores of each picture by the discriminant that was fitted without its fold."""
    scores = np.empty((len(labels), num_classes))
    for rows, block in held_out_log_scores(vectors, labels, folds, num_classes):
        scores[rows] = block
    return scores


def by_regression(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], folds: NDArray[np.int64], num_classes: int
) -> NDArray[np.float64]:
    """The same by logistic regression, C = 10."""
    scores = np.full((len(labels), num_classes), -np.inf)
    for fold in np.unique(folds):
        model = LogisticRegression(C=10, max_iter=500).fit(vectors[folds != fold], labels[folds != fold])
        scores[np.ix_(folds == fold, model.classes_)] = model.predict_log_proba(vectors[folds == fold])
    return scores


def ranked(scores: NDArray[np.float64], labels: NDArray[np.int64]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield how rows are listed, and the rows, most doubtful first."""
    own = scores[np.arange(len(labels)), labels]
    rows = np.flatnonzero(scores.argmax(axis=1) != labels)
    yield "label's own score", rows[np.argsort(own[rows], kind="stable")]
    if find_spec("cleanlab"):
        from cleanlab.filter import find_label_issues as theirs

        for method in ("confident_learning", "prune_by_noise_rate"):
            found = theirs(labels, np.exp(scores), filter_by=method, return_indices_ranked_by="self_confidence")
            yield f"cleanlab, {method}", np.asarray(found)


def measure(photographs: Path, work: Path, seed: int) -> Iterator[dict[str, object]]:
    """Count the planted labels among what each way suggests first, and among all of it."""
    photos = read_embedded(photographs, work)
    names, counts = np.unique(photos.labels, return_counts=True)
    names = names[(counts >= MINIMUM) & (names != "")]
    chosen = np.isin(photos.labels, names)
    vectors, true = photos.vectors[chosen], np.searchsorted(names, photos.labels[chosen]).astype(np.int64)
    labels, folds = plant(true, len(names), seed), folds_of(photos.paths[chosen])
    planted = labels != true

    def row(way: str, listed: str, scores: NDArray[np.float64], rows: NDArray[np.int64], seconds: float) -> dict:
        hits = planted[rows]
        right = (scores.argmax(axis=1) == true).mean()
        found = {f"first {first}": hits[:first].sum() for first in FIRST}
        cost = {"listed": len(rows), "found": hits.sum(), "of": planted.sum(), "seconds": seconds}
        return {"seed": seed, "scores by": way, "in the order of": listed, "right": right, **found, **cost}

    ways = {f"discriminant, shrinkage {value}": value for value in (0.1, 0.3, 0.5, 0.7)} | {"logistic regression": None}
    for way, shrinkage in ways.items():
        before = process_time()
        discriminant.SHRINKAGE = shrinkage or discriminant.SHRINKAGE
        scores = (by_discriminant if shrinkage else by_regression)(vectors, labels, folds, len(names))
        seconds = process_time() - before
        yield from (row(way, listed, scores, rows, seconds) for listed, rows in ranked(scores, labels))
        if shrinkage == 0.5:
            issues = find_label_issues(vectors, labels, len(names), folds, np.ones(len(labels), bool), FRACTION)
            rows = np.flatnonzero(issues.doubted)
            order = rows[np.argsort(issues.self_confidence[rows], kind="stable")]
            yield row(way, "as `score` lists it", scores, order, seconds)


def main() -> None:
    """Print the table, the mean of the seeds."""
    asked = options(__doc__, "photos", work=Path, seeds=[1, 2, 3])
    rows = pd.DataFrame([row for seed in asked.seeds for row in measure(asked.photos, asked.work, seed)])
    rows.to_csv(asked.work / "review.csv", index=False)
    keys = ["scores by", "in the order of"]
    print_frame(rows.drop(columns="seed").groupby(keys, sort=False).mean().reset_index())
    shown = rows[rows["in the order of"] == "as `score` lists it"]
    print_frame(shown[["seed", *(f"first {first}" for first in FIRST), "listed", "found", "of"]])


if __name__ == "__main__":
    main()
