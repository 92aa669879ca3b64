"""Which pictures are suspected to be bad: measures of their quality, compared with limits."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from runtime.parameters import Quality

# How many robust standard deviations below the median a picture is suspected to be blurred.
_DEVIATIONS = 2.5
FAULTS = ("blank", "blurred", "dark", "low_contrast", "tiny", "odd_aspect", "damaged")
MEASURES = ("width", "height", "sharpness", "highlights", "contrast", "is_damaged")


def find_faults(measured: pd.DataFrame, limits: Quality) -> pd.Series:
    """Say what is suspected of each picture. It decides nothing: a person looks.

    A plain picture is blank and neither blurred nor low in contrast; one that was not measured has no fault.

    Args:
        measured: the columns MEASURES of data/fingerprints.parquet.
        limits: beyond which a measure is a fault.

    Returns:
        The faults of FAULTS that hold, in their order, with ", " between them; null where none does.
    """
    least = own_limit(measured["sharpness"]) if limits.min_sharpness is None else limits.min_sharpness
    columns: dict[str, Any] = {name: measured[name] for name in MEASURES}
    columns |= {name: measured[name].astype("Float64") for name in ("width", "height")}
    columns["is_damaged"] = measured["is_damaged"].astype("boolean")
    holds = _judge(columns, limits, least)
    names = pd.Series("", index=measured.index)
    for name in FAULTS:
        names += (holds[name].fillna(False)).map({True: f", {name}", False: ""}).astype(str)
    return names.str.removeprefix(", ").where(names != "", None)


def faults_of(measured: Mapping[str, Any], limits: Quality, least_sharpness: float) -> list[str]:
    """Say what is suspected of one picture, by the rules of `find_faults`.

    Args:
        measured: the MEASURES by name; `sharpness` is None where it was not measured.
        limits: beyond which a measure is a fault.
        least_sharpness: below it a picture is blurred.
    """
    numbers = {name: np.float64(np.nan if measured[name] is None else measured[name]) for name in MEASURES}
    holds = _judge(numbers | {"is_damaged": np.bool_(measured["is_damaged"])}, limits, least_sharpness)
    return [name for name in FAULTS if holds[name]]


def _judge(measured: Mapping[str, Any], limits: Quality, least_sharpness: float) -> dict[str, Any]:
    """Compare columns of a table, or the numbers of one picture."""
    shorter = np.minimum(measured["width"], measured["height"])
    longer = np.maximum(measured["width"], measured["height"])
    blank = measured["contrast"] < limits.blank_contrast
    return {
        "blank": blank,
        "blurred": ~blank & (measured["sharpness"] < least_sharpness),
        "dark": measured["highlights"] < limits.min_highlights,
        "low_contrast": ~blank & (measured["contrast"] < limits.min_contrast),
        "tiny": shorter < limits.min_side,
        "odd_aspect": longer > limits.max_aspect * shorter,
        "damaged": measured["is_damaged"],
    }


def own_limit(sharpness: pd.Series) -> float:
    """Say below which sharpness a picture is suspected to be blurred, from how sharp the others are.

    A studio's photos are smoother than a street's, so no number suits both. Sharpness is a ratio: logarithms are
    compared.

    Args:
        sharpness: of all pictures; null for those that were not measured.

    Returns:
        The limit; 0, below which nothing is, where no picture was measured.

    Source: median and median absolute deviation as robust z-scores, Iglewicz and Hoaglin 1993, "How to Detect and
        Handle Outliers"; their 3.5 for outliers is lowered, since suspicion costs a look only. bench/quality.py
        measures it.
    """
    logarithms = np.log(sharpness[sharpness > 0].to_numpy(np.float64))
    if not len(logarithms):
        return 0.0
    median = np.median(logarithms)
    deviation = 1.4826 * np.median(np.abs(logarithms - median))  # of a normal distribution, the standard deviation
    return float(np.exp(median - _DEVIATIONS * deviation))
