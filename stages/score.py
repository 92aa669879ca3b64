"""Compute the metrics, the reports, what a person should look at, and the gate's verdict.

A picture whose class the model does not know is an error, whatever it answers, and is counted. A set without pictures,
or a figure that means nothing in it, gives null. The gate's verdict stops nothing: `make promote` obeys it.

Reads: data/predictions/, data/confused.csv (truth, predicted, weight), data/images.parquet
Writes: data/scores/metrics.json, data/scores/gate.json, data/scores/threshold_report.csv, data/scores/per_class.csv,
    data/scores/confused_pairs.csv, data/scores/benchmarks.csv, data/scores/plot_threshold.csv,
    data/scores/plot_confused.csv (columns: stages/tables/scores.py), data/scores/review.parquet (rank, reason,
    image_id, path, split, truth, predicted, confidence, base_predicted, base_confidence, faults)
Params: score, gate
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stages import _params
from stages._command import run
from stages._errors import InputError
from stages._outputs import whole, write_json
from stages.labels.confused import PATH as CONFUSED
from stages.labels.confused import read_confused
from stages.metrics import gate
from stages.metrics.answers import Answers, answer
from stages.metrics.figures import DIGITS
from stages.metrics.ranking import rank
from stages.metrics.reports import lay_out
from stages.metrics.review import reasons, worst_first
from stages.metrics.splits import JUDGING, places
from stages.metrics.summaries import summaries
from stages.tables import scores
from stages.tables.images import IMAGES
from stages.tables.predictions import BASE_CLASSES, BASE_SCORES, CLASSES, ROWS, SCORES
from stages.tables.review import REVIEW

log = logging.getLogger(__name__)


def read_scores(path: str, classes_path: str, rows: pd.DataFrame) -> tuple[NDArray[np.float32], list[str]]:
    """Open a matrix of scores as a memory map, with the names of its columns.

    Args:
        path: of the matrix.
        classes_path: of the names.
        rows: what the rows of the matrix are about.

    Returns:
        The matrix, of shape (rows, classes), and the names; no rows and no names where there is no model.

    Raises:
        InputError: a file is absent, or the matrix has another shape or type than rows and names ask for.
    """
    try:
        classes = json.loads(Path(classes_path).read_text(encoding="utf-8"))
        matrix = np.load(path, mmap_mode="r") if classes else np.empty((0, 0), dtype=np.float32)
    except FileNotFoundError as error:
        raise InputError(f"{error.filename} is not there: `dvc repro evaluate` writes it.") from None
    expected = (len(rows), len(classes)) if classes else (0, 0)
    if matrix.shape != expected or matrix.dtype != np.float32:
        raise InputError(
            f"{path} should be {expected[0]} rows of {expected[1]} float32 scores after {ROWS.path} and "
            f"{classes_path}; it is {matrix.shape} of {matrix.dtype}. `dvc repro --force evaluate` writes them anew."
        )
    return matrix, classes


def check(rows: pd.DataFrame, classes: Sequence[str], column: str) -> None:
    """Refuse rows without an order or an answer.

    Args:
        rows: columns `split` and `column`.
        classes: those of the model; none where there is no model.
        column: the one with the answers.

    Raises:
        InputError: an answer is not one of the classes, sets do not stand together, or there are no rows.
    """
    strange = rows[~rows[column].isin(classes)] if classes else rows[rows[column].notna()]
    if rows.empty or len(strange) or not rows["split"].is_monotonic_increasing:
        raise InputError(
            f"{ROWS.path} should hold pictures, sorted by split, with {column} one of the model's {len(classes)} "
            f"classes; of its {len(rows)} rows {len(strange)} have another. "
            "`dvc repro --force evaluate` writes it anew."
        )


def of_sets(answers: Answers | None, place: Mapping[str, slice]) -> dict[str, Answers]:
    """Part the answers by set; nothing where there are none because there is no base."""
    return {name: answers.take(rows) for name, rows in place.items()} if answers is not None else {}


def write_csv(path: str, frame: pd.DataFrame) -> None:
    """Write a report: numbers rounded, and whole ones written as such even where one is missing."""
    counts = {name: "Int64" for name in frame if name in scores.COUNTS}
    with whole(path) as partial:
        frame.astype(counts).round(DIGITS).to_csv(partial, index=False, lineterminator="\n")


def main() -> None:
    """Run the stage."""
    threshold, limits = _params.read(_params.Score).threshold, _params.read(_params.Gate)
    rows, images = ROWS.read(), IMAGES.read()
    matrix, classes = read_scores(SCORES, CLASSES, rows)
    base_matrix, base_classes = read_scores(BASE_SCORES, BASE_CLASSES, rows)
    confused = read_confused(CONFUSED, {*images["class_name"].dropna(), *classes, *base_classes})
    check(rows, classes, "predicted")
    check(rows, base_classes, "base_predicted")

    place = places(rows["split"].to_numpy(dtype=object), set(images["set"]) - {"library"})
    model = answer(rows, "", matrix, classes, confused)
    base = answer(rows, "base_", base_matrix, base_classes, confused) if base_classes else None
    sets, base_sets = of_sets(model, place), of_sets(base, place)
    rankings = {name: rank(matrix[place[name]], sets[name].truth) for name in JUDGING}
    metrics = summaries(sets, rankings, threshold)
    rulings = gate.judge_all(limits.rules, limits.not_worse_than_base, sets, base_sets, threshold)
    reports = lay_out(sets, base_sets, rulings, confused, threshold)
    suspected = rows["image_id"].isin(images.loc[images["faults"].notna(), "image_id"]).to_numpy()
    worst = worst_first(rows, reasons(model, base, threshold, suspected), images)

    for path, frame in reports.items():
        write_csv(path, frame)
    REVIEW.write(worst)
    write_json(scores.METRICS, metrics)
    write_json(scores.GATE, gate.verdict(rulings))
    log.info(
        "score: top-1 %s on %d test pictures, %d to review, %d confused pairs not in the model; the gate says %s",
        metrics["test"]["top_1_accuracy"],
        metrics["test"]["num_pictures"],
        len(worst),
        (~confused[["truth", "predicted"]].isin(classes).all(axis=1)).sum(),
        gate.verdict(rulings)["verdict"],
    )


if __name__ == "__main__":
    run(main)
