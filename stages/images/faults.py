"""Which pictures are suspected to be bad: measures of their quality, compared with limits."""

import pandas as pd

from runtime.parameters import Quality

FAULTS = ("blank", "blurred", "dark", "low_contrast", "tiny", "odd_aspect", "damaged")


def find_faults(measured: pd.DataFrame, limits: Quality) -> pd.Series:
    """Say what is suspected of each picture. It decides nothing: a person looks.

    A plain picture is blank and neither blurred nor low in contrast; one that was not measured has no fault.

    Args:
        measured: columns `width`, `height`, `sharpness`, `highlights`, `contrast`, `is_damaged` of
            data/fingerprints.parquet.
        limits: beyond which a measure is a fault.

    Returns:
        The faults of FAULTS that hold, in their order, with ", " between them; null where none does.
    """
    sides = measured[["width", "height"]].astype("Float64")
    shorter, longer = sides.min(axis=1), sides.max(axis=1)
    blank = measured["contrast"] < limits.blank_contrast
    holds = {
        "blank": blank,
        "blurred": ~blank & (measured["sharpness"] < limits.min_sharpness),
        "dark": measured["highlights"] < limits.min_highlights,
        "low_contrast": ~blank & (measured["contrast"] < limits.min_contrast),
        "tiny": shorter < limits.min_side,
        "odd_aspect": longer > limits.max_aspect * shorter,
        "damaged": measured["is_damaged"].astype("boolean"),
    }
    names = pd.Series("", index=measured.index)
    for name in FAULTS:
        names += (holds[name].fillna(False)).map({True: f", {name}", False: ""}).astype(str)
    return names.str.removeprefix(", ").where(names != "", None)
