"""What one model says of every picture, its confidences scaled in one way; and its figures, set by set."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime.memory_map import release_pages
from stages.metrics.all_figures import all_figures
from stages.metrics.answers import Answers, gather_answers
from stages.metrics.figures import Figures
from stages.metrics.ranking import rank
from stages.metrics.scaling import UNSCALED, Scaling, scaled_on_disk
from stages.metrics.splits import EVALUATION_SPLITS
from stages.metrics.truth import NO_CLASS
from stages.tables.scores import ALL_SETS, HELD_OUT


class ModelScores(NamedTuple):
    """What a model says of every row.

    Attributes:
        matrix: scores of shape (rows, classes), float32.
        answers: in the order of the rows.
    """

    matrix: NDArray[np.float32]
    answers: Answers


def with_scaling(
    rows: pd.DataFrame,
    prefix: str,
    scores: tuple[NDArray[np.float32], list[str]],
    confused: pd.DataFrame,
    scaling: Scaling,
) -> ModelScores:
    """Scale a model's confidences, and compare its answers with the truth.

    Args:
        rows: as in `gather_answers`.
        prefix: empty for the new model, `base_` for the base.
        scores: its matrix, and the names of the columns.
        confused: as in `gather_answers`.
        scaling: of its confidences.
    """
    matrix, classes = scores
    if scaling != UNSCALED:
        matrix = scaled_on_disk(matrix, scaling)
        highest = np.asarray(matrix.max(axis=1), dtype=np.float64)
        rows = rows.assign(**{f"{prefix}confidence": np.minimum(100 * highest, 100.0)})
    model = ModelScores(matrix, gather_answers(rows, prefix, matrix, classes, confused))
    release_pages(matrix)
    return model


def answers_by_set(answers: Answers, slices: Mapping[str, slice]) -> dict[str, Answers]:
    """Divide the answers by set.

    Args:
        answers: to all rows.
        slices: set to its rows.

    Returns:
        Set to answers: HELD_OUT, then in the order of `slices`, last ALL_SETS with every picture that belongs to a
        class.
    """
    sets = {name: answers.take(rows) for name, rows in slices.items()}
    held_out = answers.take(held_out_rows(slices))
    return {HELD_OUT: held_out, **sets, ALL_SETS: answers.take(answers.truth != NO_CLASS)}


def figures_by_set(
    model: ModelScores, sets: Mapping[str, Answers], slices: Mapping[str, slice], threshold: float
) -> dict[str, Figures]:
    """Compute every figure of every set.

    Args:
        model: on all rows.
        sets: what `answers_by_set` returned of its answers.
        slices: set to its rows.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        Set to figures.
    """
    truth, held_out = model.answers.truth, held_out_rows(slices)
    only_held_out = np.full_like(truth, NO_CLASS)
    only_held_out[held_out] = truth[held_out]
    rankings = {name: rank(model.matrix[rows], truth[rows]) for name, rows in slices.items()}
    rankings |= {HELD_OUT: rank(model.matrix, only_held_out), ALL_SETS: rank(model.matrix, truth)}
    release_pages(model.matrix)
    confidence = sets[HELD_OUT].confidence
    return {name: all_figures(answers, rankings[name], confidence, threshold) for name, answers in sets.items()}


def held_out_rows(slices: Mapping[str, slice]) -> NDArray[np.int64]:
    """List the rows of HELD_OUT, in the order of its answers."""
    return np.concatenate([np.arange(slices[name].start, slices[name].stop) for name in EVALUATION_SPLITS])
