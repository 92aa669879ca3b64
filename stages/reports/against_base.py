"""The new model against the base on the same pictures: set by set, and class by class."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

from stages.metrics.agreement import class_weights
from stages.metrics.answers import Answers
from stages.metrics.clusters import is_clustered
from stages.metrics.comparison import comparable
from stages.metrics.paired import mcnemar, paired_interval, sign_test
from stages.metrics.truth import NO_CLASS
from stages.tables.scores import AGAINST_BASE_COLUMNS, HELD_OUT

LEVEL = 0.95
SEED = 0  # of the bootstrap: any number will do, but always the same


def against_base(sets: Mapping[str, Answers], base_sets: Mapping[str, Answers], threshold: float) -> pd.DataFrame:
    """Compare the two models.

    Args:
        sets: the new model's answers by set.
        base_sets: the base's to the same pictures; empty without a base.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        Rows with AGAINST_BASE_COLUMNS: one per set, then one per class of HELD_OUT, those that are least likely chance
        first. No rows without a base.
    """
    frame = pd.DataFrame(columns=list(AGAINST_BASE_COLUMNS))
    if not base_sets:
        return frame
    rows = [{"set": name, **_compare(sets[name], base_sets[name], threshold)} for name in sets]
    classes = _by_class(HELD_OUT, sets[HELD_OUT], base_sets[HELD_OUT], threshold)
    return pd.concat([pd.DataFrame(rows, columns=frame.columns), classes], ignore_index=True)


def _by_class(name: str, new: Answers, base: Answers, threshold: float) -> pd.DataFrame:
    """Compare class by class, with p-values that allow for how many classes there are.

    Source: Benjamini and Hochberg 1995, "Controlling the false discovery rate"; as in
        `scipy.stats.false_discovery_control`.
    """
    order = np.argsort(new.truth, kind="stable")
    classes, starts = np.unique(new.truth[order], return_index=True)
    parts = zip(classes, np.split(order, starts)[1:], strict=True)
    rows = [
        {"set": name, "class_name": new.names[number], **_compare(new.take(own), base.take(own), threshold)}
        for number, own in parts
        if number != NO_CLASS
    ]
    frame = pd.DataFrame(rows, columns=list(AGAINST_BASE_COLUMNS))
    compared = frame["num_pictures"] > 0
    if compared.any():
        chances = frame.loc[compared, "mcnemar_p"].astype(float)
        frame.loc[compared, "adjusted_p"] = false_discovery_control(chances)
    return frame.sort_values(["adjusted_p", "mcnemar_p", "class_name"], kind="stable", ignore_index=True)


def _compare(new: Answers, base: Answers, threshold: float) -> dict[str, Any]:
    same = comparable(base)
    num_left_out = int((~same).sum())
    new, base = new.take(same), base.take(same)
    if not len(new):
        return {"num_pictures": 0, "num_classes": 0, "num_left_out": num_left_out}
    right, base_right = new.acceptable(threshold), base.acceptable(threshold)
    wins, losses = int((right & ~base_right).sum()), int((base_right & ~right).sum())
    return {
        "num_pictures": len(new),
        "num_classes": len(np.unique(base.truth[base.known])),
        "num_left_out": num_left_out,
        "both_right": int((right & base_right).sum()),
        "wins": wins,
        "losses": losses,
        "both_wrong": int((~right & ~base_right).sum()),
        "mcnemar_p": _chance(right.astype(np.int64) - base_right, new.source),
        **_differences(new, base, threshold),
    }


def _chance(differences: NDArray[np.int64], sources: NDArray[np.int64] | None) -> float:
    if sources is not None and is_clustered(sources):
        return sign_test(differences, sources)
    return mcnemar(int((differences > 0).sum()), int((differences < 0).sum()))


def _differences(new: Answers, base: Answers, threshold: float) -> dict[str, float]:
    """Compute new minus base, each with its interval; of pictures that belong to no class coverage only."""
    differences = {"coverage": new.shown(threshold).astype(float) - base.shown(threshold)}
    if not new.out_of_scope:
        differences["accuracy"] = new.right.astype(float) - base.right
        differences["balanced_accuracy"] = differences["accuracy"] * class_weights(new.truth)
        differences["weighted_log_loss"] = new.weighted_log_loss - base.weighted_log_loss
    values: dict[str, float] = {}
    for name, each in differences.items():
        low, high = paired_interval(each, SEED, LEVEL, new.source) or (np.nan, np.nan)
        values |= {
            f"{name}_difference": float(each.mean()),
            f"{name}_difference_low": low,
            f"{name}_difference_high": high,
        }
    return values
