"""Count the groups that alike pictures would form, by the cosine from which two are alike.

    python -m bench.groups

In a clone after `dvc repro embed`, such as that of the sample. Neighbours are those of `dedup`; near-duplicates count.
"""

import numpy as np
import pandas as pd

from bench.harness import options, print_table
from runtime import parameters
from stages.dedup import compare_embedded
from stages.duplicates.copies import are_alike
from stages.merge import group_pictures
from stages.tables.fingerprints import FINGERPRINTS

COSINES = (0.84, 0.86, 0.88, 0.9, 0.92, 0.94)


def main() -> None:
    """Print the table."""
    options(__doc__)
    params, fingerprints = parameters.read(parameters.Dedup), FINGERPRINTS.read()
    readable = fingerprints[fingerprints["error"].isna()].drop_duplicates("image_id").sort_values("image_id")
    compared = compare_embedded(readable, params)
    rows = []
    for cosine in COSINES:
        alike = compared[are_alike(compared, params.model_copy(update={"alike": cosine}))]
        pairs = list(zip(alike["image_a"], alike["image_b"], strict=True))
        groups = pd.Series(group_pictures(np.unique(alike[["image_a", "image_b"]]), pairs))
        rows.append((cosine, len(pairs), len(groups), int(groups.value_counts().max()) if len(groups) else 0))
    print_table(["cosine", "pairs", f"of {len(readable):,} pictures in groups", "largest group"], rows)


if __name__ == "__main__":
    main()
