"""Compute the metrics, the reports, what a person should look at, and the gate's verdict.

A picture whose class the model does not know is an error, whatever it answers, and is counted. A set without pictures,
or a figure that means nothing in it, gives null. The gate's verdict stops nothing: `make promote` obeys it.

Every confidence here is that of score.confidence, fitted on validation where there is something to fit, as in what is
exported; `identify` shows those of the plain softmax, for it needs no score.

An answer is shown if its confidence reaches score.threshold and its picture is in scope: not farther from the nearest
class mean than the share score.in_scope of the training pictures is from the means of the others.

Reads: data/predictions/, data/embeddings/, data/confused.csv (truth, predicted, weight), data/images.parquet, data/base
    (calibration.json)
Writes: data/scores/metrics.json, data/scores/gate.json, data/scores/calibration.json, data/scores/wanted_error.json,
    data/scores/figures.csv, data/scores/threshold_report.csv, data/scores/per_class.csv,
    data/scores/confused_pairs.csv, data/scores/benchmarks.csv, data/scores/against_base.csv,
    data/scores/calibration.csv, data/scores/confidences.csv, data/scores/plot_threshold.csv,
    data/scores/plot_reliability.csv, data/scores/plot_recall.csv, data/scores/plot_confused.csv (columns:
    stages/tables/scores.py),
    data/scores/review.parquet (rank, reason, image_id, path, split, truth, predicted, confidence, base_predicted,
    base_confidence, faults, also, suggested, truth_example, predicted_example, suggested_example, nearest)
Params: score, gate, export (version)
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.errors import BaseError
from runtime.memory_map import release_pages
from runtime.outputs import whole, write_json
from runtime.wording import counted
from stages.embeddings.discriminant import folds_of, known_together
from stages.embeddings.vectors import read_vectors
from stages.labels.confused import PATH as CONFUSED
from stages.labels.confused import read_confused
from stages.labels.names import renamed_classes
from stages.metrics.answers import Answers
from stages.metrics.model_scores import ModelScores, answers_by_set, figures_by_set, held_out_rows, with_scaling
from stages.metrics.scaling import UNSCALED, Scaling, applied_scaling
from stages.metrics.scope import in_scope, scope_limit
from stages.metrics.splits import set_slices
from stages.metrics.ways import Ways, confidences, fit_ways
from stages.models.base import BASE_CALIBRATION, require_base_after_release
from stages.reports import gate
from stages.reports.calibration import calibration_report
from stages.reports.confidences import confidence_report
from stages.reports.csv_reports import csv_reports
from stages.reports.summaries import summaries
from stages.reports.wanted_error import wanted_error_report
from stages.suspects.evidence import duplicate_groups, gather_evidence
from stages.suspects.neighbours import Embedded
from stages.suspects.review_table import class_examples, reasons, worst_first
from stages.tables import scores
from stages.tables.documents import read_calibration
from stages.tables.images import IMAGES
from stages.tables.matrices import check_answers, read_scores
from stages.tables.predictions import BASE_CLASSES, BASE_SCORES, CLASSES, ROWS, SCORES
from stages.tables.review import REVIEW

log = logging.getLogger(__name__)


class Inputs(NamedTuple):
    """What the stage reads.

    Attributes:
        rows: of the predictions, with the `source` of each picture, and whether it is `in_scope` and `base_in_scope`.
        scope_limit: the distance up to which a picture is in scope; None for no limit.
        images: columns of `data/images.parquet`.
        confused: columns `truth`, `predicted`, `weight`.
        matrix: scores of the new model, of shape (rows, classes), float32: a memory map.
        classes: names of its columns.
        base_matrix: scores of the base; no rows without one.
        base_classes: names of its columns; none without a base.
        slices: set to its rows.
    """

    rows: pd.DataFrame
    scope_limit: float | None
    images: pd.DataFrame
    confused: pd.DataFrame
    matrix: NDArray[np.float32]
    classes: list[str]
    base_matrix: NDArray[np.float32]
    base_classes: list[str]
    slices: dict[str, slice]


class Models(NamedTuple):
    """What the models say of every row.

    Attributes:
        by_way: the new model, by what score.confidence calls its confidences: as they are, and scaled if that can be.
        scalings: of the new model and of the base, by way; fitted on validation, None where that cannot tell.
        calibration: what calibration.json holds: the scaling; `applied`, whether confidences are scaled by it, here and
            in what is served; `num_pictures` of the validation set; `scope_limit`.
        base: with the confidences that it is served with; None without one.
    """

    by_way: dict[str, ModelScores]
    scalings: dict[str, dict[str, Scaling | None]]
    calibration: dict[str, Any]
    base: ModelScores | None

    @property
    def unscaled(self) -> ModelScores:
        """The new model with confidences as they are."""
        return self.by_way["softmax"]

    @property
    def new(self) -> ModelScores:
        """The new model with the confidences that users will see."""
        return self.by_way[self.calibration["confidence"] if self.calibration["applied"] else "softmax"]


class Results(NamedTuple):
    """What the stage writes.

    Attributes:
        tables: path to rows, of the CSV files.
        documents: path to content, of the JSON files.
        review: rows of the review table.
    """

    tables: dict[str, pd.DataFrame]
    documents: dict[str, Any]
    review: pd.DataFrame


def load(share_in_scope: float | None) -> Inputs:
    """Read and check what the stage reads, but for the embeddings, which come when the scores are done with.

    Args:
        share_in_scope: score.in_scope.
    """
    rows, images = ROWS.read(), IMAGES.read()
    sources = images[images["dropped"].isna()].drop_duplicates("image_id").set_index("image_id")["source"]
    rows["source"] = rows["image_id"].map(sources)
    limit = scope_limit(rows, share_in_scope)
    for prefix, of_model in (("", limit), ("base_", base_calibration().get("scope_limit"))):
        rows[f"{prefix}in_scope"] = in_scope(rows[f"{prefix}scope_distance"].to_numpy(), of_model)
    matrix, classes = read_scores(SCORES, CLASSES, rows)
    base_matrix, base_classes = read_scores(BASE_SCORES, BASE_CLASSES, rows)
    known = {*images["class_name"].dropna(), *classes, *base_classes}
    confused = read_confused(CONFUSED, known, renamed_classes(images))
    check_answers(rows, classes, "predicted")
    check_answers(rows, base_classes, "base_predicted")
    slices = set_slices(rows["split"].to_numpy(dtype=object), set(images["set"]) - {"library"})
    return Inputs(rows, limit, images, confused, matrix, classes, base_matrix, base_classes, slices)


def announce(inputs: Inputs) -> None:
    """Say what was read."""
    foreign = int((~inputs.confused[["truth", "predicted"]].isin(inputs.classes).all(axis=1)).sum())
    log.info(
        "score: %s in %s, %s, %s%s",
        counted(len(inputs.rows), "picture"),
        counted(len(inputs.slices), "set"),
        counted(len(inputs.classes), "class", "classes"),
        "compared with the base" if inputs.base_classes else "no base to compare with",
        f"; {counted(foreign, 'line')} of {CONFUSED} on classes that the model does not know" if foreign else "",
    )


def compare_with_truth(inputs: Inputs, confidence: str) -> Models:
    """Compare the answers of both models with the truth, and fit their confidences on the validation set.

    Args:
        inputs: from `load`.
        confidence: score.confidence.
    """
    rows, confused, new = inputs.rows, inputs.confused, (inputs.matrix, inputs.classes)
    unscaled, validation = with_scaling(rows, "", new, confused, UNSCALED), inputs.slices["validation"]
    scalings = {"new": fit_ways(inputs.matrix[validation], unscaled.answers.truth[validation])}
    shown = "temperature" if confidence == "softmax" else confidence  # what it would do stands beside what is done
    scaling = scalings["new"][shown]
    calibration = {
        "confidence": confidence,
        **(scaling._asdict() if scaling else dict.fromkeys(Scaling._fields)),
        "applied": confidence == shown and scaling is not None,
        "num_pictures": validation.stop - validation.start,
        "scope_limit": inputs.scope_limit,
    }
    if scaling is None and confidence != "softmax":
        log.warning(
            "score: score.confidence is %s, and the validation set does not tell a temperature, as where all of its "
            "pictures are right: confidences stay those of the softmax",
            confidence,
        )
    by_way = {"softmax": unscaled} | ({shown: with_scaling(rows, "", new, confused, scaling)} if scaling else {})
    base = None
    if inputs.base_classes:
        base_scores = (inputs.base_matrix, inputs.base_classes)
        base = with_scaling(rows, "base_", base_scores, confused, applied_scaling(base_calibration()))
        scalings["base"] = fit_ways(inputs.base_matrix[validation], base.answers.truth[validation])
    return Models(by_way, scalings, calibration, base)


def base_calibration() -> dict[str, Any]:
    """Read by what the base's confidences are scaled where it is served, and its limit."""
    if not Path(BASE_CALIBRATION).exists():
        return {"applied": False}  # a base that was put there by hand
    remedy = f"`dvc checkout --force {BASE_CALIBRATION}` brings it back."
    return read_calibration(BASE_CALIBRATION, remedy, BaseError)


def judged_rows(inputs: Inputs) -> dict[str, NDArray[np.int64]]:
    """List the rows of every set but the training set, which flatters every confidence."""
    sets = {name: np.arange(rows.start, rows.stop) for name, rows in inputs.slices.items() if name != "train"}
    return {scores.HELD_OUT: held_out_rows(inputs.slices), **sets}


def compute_ways(inputs: Inputs, models: Models) -> dict[str, Ways]:
    """Compute the confidences of both models in every way, but for those that take embeddings."""
    rows = inputs.rows
    judged = np.flatnonzero(rows["split"] != "train")
    matrices = {"new": ("", inputs.matrix), "base": ("base_", inputs.base_matrix)}
    ways: dict[str, Ways] = {}
    for name in models.scalings:
        prefix, matrix = matrices[name]
        ways[name] = confidences(matrix, rows[f"{prefix}log_partition"].to_numpy(), models.scalings[name], judged)
        if (distance := rows[f"{prefix}scope_distance"]).notna().all():
            ways[name]["softmax_in_scope"] = np.where(rows[f"{prefix}in_scope"], ways[name]["softmax"], -1.0)
            ways[name]["distance_to_class_mean"] = -distance.to_numpy()
    return ways


def compare_ways(
    inputs: Inputs, models: Models, ways: Mapping[str, Ways], nearness: NDArray[np.float64], params: parameters.Score
) -> pd.DataFrame:
    """Compare the ways to a confidence, of the new model and of the base.

    Args:
        inputs: from `load`.
        models: from `compare_with_truth`.
        ways: from `compute_ways`, of each model.
        nearness: of every row: the similarity of the nearest training picture, which is no model's.
        params: threshold and wanted error.
    """
    answers = {"new": models.new.answers} | ({"base": models.base.answers} if models.base else {})
    sets, limits = judged_rows(inputs), (params.threshold, params.wanted_error)
    reports = [
        confidence_report(
            answers[name], {**of_model, "distance": nearness}, models.scalings[name], sets, *limits
        ).assign(model=name)
        for name, of_model in ways.items()
    ]
    return pd.concat(reports)


def compute_reports(
    inputs: Inputs, models: Models, params: parameters.Score, limits: parameters.Gate
) -> tuple[dict[str, pd.DataFrame], dict[str, Any]]:
    """Compute the figures, the reports and the verdict.

    Returns:
        The tables and the documents of Results.
    """
    slices, threshold = inputs.slices, params.threshold
    compared = {"new": models.new} | ({"base": models.base} if models.base else {})
    sets = {name: answers_by_set(model.answers, slices) for name, model in compared.items()}
    values = {name: figures_by_set(model, sets[name], slices, threshold) for name, model in compared.items()}
    rulings = gate.judge_all(limits, sets["new"], sets.get("base", {}), threshold)
    scaled = {way: answers_by_set(model.answers, slices) for way, model in models.by_way.items()}
    scalings = {way: models.scalings["new"][way] or UNSCALED for way in scaled}
    tables = csv_reports(values, sets, rulings, inputs.confused, threshold)
    tables[scores.CALIBRATION_REPORT] = calibration_report(scaled, scalings, threshold)
    documents = {
        scores.METRICS: summaries(values["new"]),
        scores.GATE: gate.verdict(rulings),
        scores.CALIBRATION: models.calibration,
        scores.WANTED_ERROR: wanted_error_report(sets["new"]["validation"], sets["new"]["test"], params.wanted_error),
    }
    return tables, documents


def compute_review(
    inputs: Inputs, models: Models, params: parameters.Score
) -> tuple[pd.DataFrame, NDArray[np.float64]]:
    """List what a person should look at, worst first; and say how near the nearest training picture of each is."""
    rows, images, training = inputs.rows, inputs.images, inputs.slices["train"]
    new, base = models.new.answers, models.base.answers if models.base else None
    # The memory of the scores is given back before the embeddings are read: the two together would be the peak.
    release_pages(models.unscaled.matrix)
    embedded = Embedded(read_vectors(rows["image_id"]), new.truth, duplicate_groups(rows, images))
    folds = folds_of(known_together(images).reindex(rows["image_id"]))
    suspected = rows["image_id"].isin(images.loc[images["faults"].notna(), "image_id"]).to_numpy()
    evidence = gather_evidence(inputs.slices, new, embedded, folds, suspected, params)
    examples = class_examples(rows, embedded, training, inputs.classes)
    confirmed = rows["image_id"].isin(images.loc[images["confirmed"].eq(True), "image_id"]).to_numpy()
    holds = reasons(new, base, params.threshold, evidence)
    if num_spared := int((holds.any(axis=0) & confirmed).sum()):
        log.info("score: %s that people confirmed left out of the review", counted(num_spared, "picture"))
    holds &= ~confirmed
    listed = worst_first(with_confidences(rows, new, base), holds, evidence, examples, images)
    return listed, evidence.neighbours.similarity[:, 0].astype(np.float64)


def with_confidences(rows: pd.DataFrame, new: Answers, base: Answers | None) -> pd.DataFrame:
    """Put the confidences that users will see in place of the unscaled ones."""
    base_confidence = base.confidence if base is not None else rows["base_confidence"]
    return rows.assign(confidence=new.confidence, base_confidence=base_confidence)


def headline(held_out: Mapping[str, Any]) -> str:
    """Say how many of the held-out pictures are right, as a share of them and as the mean over their classes."""
    accuracy, balanced = (held_out[name] for name in ("top_1_accuracy", "balanced_accuracy"))
    if accuracy is None:
        return "no held-out pictures"
    pictures = counted(held_out["num_pictures"], "held-out picture")
    classes = f"{held_out['num_classes']} of {held_out['num_classes_total']} classes"
    return f"top-1 accuracy {accuracy:.1%} on {pictures}, {balanced:.1%} as the mean over {classes}"


def write(results: Results) -> None:
    """Write every output."""
    for path, frame in results.tables.items():
        write_csv(path, frame)
    REVIEW.write(results.review)
    for path, content in results.documents.items():
        write_json(path, content)


def write_csv(path: str, frame: pd.DataFrame) -> None:
    """Write a report: numbers rounded, and whole ones written as such even where one is missing."""
    counts = {name: "Int64" for name in frame if name in scores.COUNTS}
    with whole(path) as partial:
        frame.astype(counts).round(scores.DIGITS).to_csv(partial, index=False, lineterminator="\n")


def main() -> None:
    """Run the stage."""
    params, limits = parameters.read(parameters.Score), parameters.read(parameters.Gate)
    require_base_after_release(parameters.read(parameters.Export).version)
    inputs = load(params.in_scope)
    announce(inputs)

    models = compare_with_truth(inputs, params.confidence)
    tables, documents = compute_reports(inputs, models, params, limits)
    ways = compute_ways(inputs, models)
    review, nearness = compute_review(inputs, models, params)
    tables[scores.CONFIDENCES] = compare_ways(inputs, models, ways, nearness, params)
    results = Results(tables, documents, review)

    write(results)
    log.info(
        "score: %s; %s to review; the gate says %s",
        headline(documents[scores.METRICS][scores.HELD_OUT]),
        counted(len(results.review), "picture"),
        documents[scores.GATE]["verdict"],
    )


if __name__ == "__main__":
    run(main)
