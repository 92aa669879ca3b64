"""Whether a picture is in scope: not farther from every class than training pictures are."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def scope_limit(rows: pd.DataFrame, share: float | None) -> float | None:
    """Choose the distance up to which a picture is in scope.

    Args:
        rows: columns `split`, `scope_distance`; those of the training pictures were computed without themselves.
        share: score.in_scope: of the training pictures that are in scope, above 0 and at most 1; None for no limit.

    Returns:
        None for no limit.
    """
    left_out = rows.loc[rows["split"] == "train", "scope_distance"].to_numpy()
    if share is None or not len(left_out):
        return None
    return float(np.quantile(left_out, share, method="higher"))


def in_scope(distance: NDArray[np.float64], limit: float | None) -> NDArray[np.bool_]:
    """Say which pictures are in scope.

    Args:
        distance: of shape (pictures,), to the nearest class mean; NaN where a model has none.
        limit: from `scope_limit`.

    Returns:
        Of shape (pictures,), bool: a picture of which nothing is known is in scope.
    """
    inside: NDArray[np.bool_] = ~(distance > (np.inf if limit is None else limit))
    return inside
