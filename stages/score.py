"""Compute the metrics, the reports, what a person should look at, and the gate's verdict.

A picture whose class the model does not know is an error, whatever it answers, and is counted. A set without pictures,
or a figure that means nothing in it, gives null. The gate's verdict stops nothing: `make promote` obeys it.

With score.calibrate, every confidence here is scaled by the temperature learned on validation, as in what is exported;
`identify` shows unscaled ones, for it needs no score.

Reads: data/predictions/, data/held_out/, data/confused.csv (truth, predicted, weight), data/images.parquet, data/base
    (calibration.json)
Writes: data/scores/metrics.json, data/scores/gate.json, data/scores/calibration.json, data/scores/wanted_error.json,
    data/scores/figures.csv, data/scores/threshold_report.csv, data/scores/per_class.csv,
    data/scores/confused_pairs.csv, data/scores/benchmarks.csv, data/scores/against_base.csv,
    data/scores/calibration.csv, data/scores/plot_threshold.csv, data/scores/plot_reliability.csv,
    data/scores/plot_recall.csv, data/scores/plot_confused.csv (columns: stages/tables/scores.py),
    data/scores/review.parquet (rank, reason, image_id, path, split, truth, predicted, confidence, base_predicted,
    base_confidence, faults, also, suggested, truth_example, predicted_example, suggested_example, nearest)
Params: score, gate
"""

import json
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.errors import InputError
from runtime.memory_map import release_pages
from runtime.outputs import whole, write_json
from stages.labels.confused import PATH as CONFUSED
from stages.labels.confused import read_confused
from stages.metrics.answers import Answers
from stages.metrics.figures import DIGITS
from stages.metrics.splits import JUDGING, places
from stages.metrics.temperature import applied_temperature, fit_temperature
from stages.reports import gate
from stages.reports.calibration import calibration_report
from stages.reports.judged import Judged, at_temperature, by_set, figures_by_set
from stages.reports.layout import lay_out
from stages.reports.summaries import summaries
from stages.reports.wanted_error import wanted_error_report
from stages.suspects.embeddings import read_class_names, read_embeddings
from stages.suspects.evidence import NUM_NEIGHBOURS, Evidence, drawn_elsewhere, near_training
from stages.suspects.mislabelled import LabelIssues, find_label_issues, with_held_out
from stages.suspects.neighbours import Embedded, medoids, nearest
from stages.suspects.review_table import reasons, worst_first
from stages.tables import scores
from stages.tables.held_out import HELD_OUT, HELD_OUT_SCORES
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
    classes = read_class_names(classes_path)
    try:
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


def read_held_out(rows: pd.DataFrame, classes: Sequence[str]) -> NDArray[np.float32] | None:
    """Read what networks say of the training pictures that they did not see.

    Args:
        rows: columns `image_id`, `split`, sorted by both.
        classes: those of the model.

    Returns:
        A memory map of shape (training pictures, classes), float32, in the order of the rows; None where nobody asked.

    Raises:
        InputError: a file is absent, or it is about other pictures or classes.
    """
    held_out = HELD_OUT.read()["image_id"]
    try:
        scores: NDArray[np.float32] = np.load(HELD_OUT_SCORES, mmap_mode="r" if len(held_out) else None)
    except FileNotFoundError:
        raise InputError(f"{HELD_OUT_SCORES} is not there: `dvc repro cross_validate` writes it.") from None
    if held_out.empty:
        return None
    trained = rows.loc[rows["split"] == "train", "image_id"]
    if held_out.tolist() != trained.tolist() or scores.shape != (len(trained), len(classes)):
        raise InputError(
            f"{HELD_OUT.path} should be about the {len(trained)} training pictures and {len(classes)} classes of "
            f"{ROWS.path}; it is about {len(held_out)} pictures, {HELD_OUT_SCORES} of shape {scores.shape}. `dvc repro "
            "--force cross_validate` writes them anew."
        )
    return scores


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


def learn_temperature(model: Judged, validation: slice, asked: bool) -> dict[str, Any]:
    """Learn the temperature from the validation set.

    Args:
        model: at temperature 1.
        validation: the rows of the validation set.
        asked: whether the parameters ask for it to be applied.

    Returns:
        What calibration.json holds: `temperature`, None where the validation set does not tell; `applied`, whether
        confidences are scaled by it, here and in what is served; `num_pictures` of the validation set.
    """
    temperature = fit_temperature(model.matrix[validation], model.answers.truth[validation])
    applied = asked and temperature is not None
    return {"temperature": temperature, "applied": applied, "num_pictures": validation.stop - validation.start}


def base_temperature() -> float:
    """Read by what the base's confidences are scaled where it is served; 1 for not at all."""
    try:
        calibration = json.loads(Path(scores.BASE_CALIBRATION).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return 1.0  # a base that was put there by hand
    return applied_temperature(calibration)


def doubt(model: Judged, training: slice, held_out: NDArray[np.float32] | None) -> LabelIssues:
    """Look for wrong labels.

    Args:
        model: at temperature 1.
        training: the rows of the training pictures.
        held_out: their scores by networks that did not see them, or None.
    """
    matrix = model.matrix if held_out is None else with_held_out(model.matrix, training, held_out)
    issues = find_label_issues(matrix, model.answers.truth)
    release_pages(matrix)
    release_pages(model.matrix)
    return issues


def weigh(
    place: Mapping[str, slice],
    answers: Answers,
    issues: LabelIssues,
    embedded: Embedded,
    suspected: NDArray[np.bool_],
    near: float,
) -> Evidence:
    """Gather what speaks against each picture beside the model's answer.

    Args:
        place: set to its rows.
        answers: of the model.
        issues: from `doubt`.
        embedded: every row.
        suspected: of shape (rows,): whether the picture has a fault.
        near: share of the usual distance to a training picture that is suspiciously near.
    """
    trained, usual = (np.zeros(len(suspected), dtype=bool) for _ in range(2))
    trained[place["train"]] = True
    for name in JUDGING:
        usual[place[name]] = True
    training = embedded.take(place["train"])
    neighbours = nearest(embedded, training, NUM_NEIGHBOURS)
    return Evidence(
        trained,
        suspected,
        issues,
        neighbours,
        drawn_elsewhere(neighbours, training.classes, answers.truth, answers.num_classes),
        near_training(neighbours, trained, usual, near),
    )


def groups(rows: pd.DataFrame, images: pd.DataFrame) -> NDArray[np.int64]:
    """Number the groups of near-duplicates: of shape (rows,), int64."""
    group = rows["image_id"].map(images.drop_duplicates("image_id").set_index("image_id")["group"])
    return pd.factorize(group)[0].astype(np.int64)


def typical(rows: pd.DataFrame, embedded: Embedded, training: slice, classes: Sequence[str]) -> pd.Series:
    """Choose the most typical training picture of each class: image_id by class name, null without one."""
    image_ids = rows["image_id"].to_numpy(dtype=object)[training]
    found = medoids(embedded.vectors[training], embedded.classes[training], len(classes))
    return pd.Series([image_ids[row] if row >= 0 else None for row in found], index=list(classes), dtype=object)


def with_confidences(rows: pd.DataFrame, new: Answers, base: Answers | None) -> pd.DataFrame:
    """Put the confidences that the models are judged by in place of the unscaled ones."""
    base_confidence = base.confidence if base is not None else rows["base_confidence"]
    return rows.assign(confidence=new.confidence, base_confidence=base_confidence)


def write_csv(path: str, frame: pd.DataFrame) -> None:
    """Write a report: numbers rounded, and whole ones written as such even where one is missing."""
    counts = {name: "Int64" for name in frame if name in scores.COUNTS}
    with whole(path) as partial:
        frame.astype(counts).round(DIGITS).to_csv(partial, index=False, lineterminator="\n")


def main() -> None:
    """Run the stage."""
    params, limits = parameters.read(parameters.Score), parameters.read(parameters.Gate)
    threshold = params.threshold
    rows, images = ROWS.read(), IMAGES.read()
    matrix, classes = read_scores(SCORES, CLASSES, rows)
    base_matrix, base_classes = read_scores(BASE_SCORES, BASE_CLASSES, rows)
    confused = read_confused(CONFUSED, {*images["class_name"].dropna(), *classes, *base_classes})
    check(rows, classes, "predicted")
    check(rows, base_classes, "base_predicted")

    place = places(rows["split"].to_numpy(dtype=object), set(images["set"]) - {"library"})
    raw = at_temperature(rows, "", (matrix, classes), confused, 1.0)
    calibration = learn_temperature(raw, place["validation"], params.calibrate)
    by_temperature = {1.0: raw}
    if temperature := calibration["temperature"]:
        by_temperature[temperature] = at_temperature(rows, "", (matrix, classes), confused, temperature)
    judged = {"new": by_temperature[temperature] if calibration["applied"] else raw}
    if base_classes:
        judged["base"] = at_temperature(rows, "base_", (base_matrix, base_classes), confused, base_temperature())
    sets = {name: by_set(model.answers, place) for name, model in judged.items()}
    values = {name: figures_by_set(model, sets[name], place, threshold) for name, model in judged.items()}
    rulings = gate.judge_all(limits, sets["new"], sets.get("base", {}), threshold)
    compared = {number: by_set(model.answers, place) for number, model in by_temperature.items()}
    verdict = gate.verdict(rulings)
    reports = lay_out(values, sets, rulings, confused, threshold)
    reports[scores.CALIBRATION_REPORT] = calibration_report(compared, threshold)
    metrics = summaries(values["new"])
    wanted = wanted_error_report(sets["new"]["validation"], sets["new"]["test"], params.wanted_error)
    new, base = judged["new"].answers, judged["base"].answers if base_classes else None
    suspected = rows["image_id"].isin(images.loc[images["faults"].notna(), "image_id"]).to_numpy()
    # The memory of the scores is given back before the embeddings are read: the two together would be the peak.
    issues = doubt(raw, place["train"], read_held_out(rows, classes))
    embedded = Embedded(read_embeddings(rows), raw.answers.truth, groups(rows, images))
    evidence = weigh(place, raw.answers, issues, embedded, suspected, params.near)
    examples = typical(rows, embedded, place["train"], classes)
    holds = reasons(new, base, threshold, evidence)
    worst = worst_first(with_confidences(rows, new, base), holds, evidence, examples, images)

    for path, frame in reports.items():
        write_csv(path, frame)
    REVIEW.write(worst)
    write_json(scores.METRICS, metrics)
    write_json(scores.GATE, verdict)
    write_json(scores.CALIBRATION, calibration)
    write_json(scores.WANTED_ERROR, wanted)
    log.info(
        "score: top-1 %s on %d test pictures, %d to review, %d confused pairs not in the model; the gate says %s",
        metrics["test"]["top_1_accuracy"],
        metrics["test"]["num_pictures"],
        len(worst),
        (~confused[["truth", "predicted"]].isin(classes).all(axis=1)).sum(),
        verdict["verdict"],
    )


if __name__ == "__main__":
    run(main)
