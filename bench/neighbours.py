"""Time the second way to near-duplicates: the search for neighbours, and pictures laid over each other.

    python -m bench.neighbours [--number 20000]

Embeddings of 1,280 features are drawn with a seed, and thumbnails too. The search is timed cold and with 1 % new, to
the same neighbours; a cold one grows with the square of the number of pictures. Seconds are of all processors together.
"""

import numpy as np
import pandas as pd

from bench.harness import options, print_table, timed
from runtime import parameters
from stages.duplicates.neighbours import neighbours, rounded
from stages.duplicates.registration import looks_of, register
from stages.duplicates.thumbnail import NUM_BYTES
from stages.embeddings.vectors import units

SEED, NUM_FEATURES, NUM_REGISTERED = 4, 1280, 400


def main() -> None:
    """Print the table."""
    number = options(__doc__, number=20_000).number
    wanted, rng = parameters.read(parameters.Dedup).neighbours, np.random.default_rng(SEED)
    vectors = rounded(units(rng.standard_normal((number, NUM_FEATURES), np.float32)))
    known = np.arange(number) >= number // 100
    nothing = pd.DataFrame({"first": np.arange(0), "second": np.arange(0), "cosine": np.empty(0)})
    found: dict[str, pd.DataFrame] = {}

    def search(name: str, known: np.ndarray, remembered: pd.DataFrame) -> None:
        found[name] = neighbours(vectors, wanted, known, remembered)

    before = neighbours(vectors[known], wanted, known[known] & False, nothing)
    before = before.assign(first=before["first"] + number // 100, second=before["second"] + number // 100)
    cold = timed(lambda: search("cold", known & False, nothing))
    warm = timed(lambda: search("1 % new", known, before))
    pd.testing.assert_frame_equal(found["cold"], found["1 % new"])

    thumbnails = rng.integers(0, 256, (NUM_REGISTERED, NUM_BYTES), np.uint8)
    looks = looks_of(thumbnails, np.full(NUM_REGISTERED, 4), np.full(NUM_REGISTERED, 3))
    rows = np.arange(NUM_REGISTERED)
    register(looks, rows[:1], rows[:1])
    laid = timed(lambda: register(looks, rows, rows[::-1].copy()))
    pairs = len(found["cold"])
    print_table(
        ["step", "of", "s", "cpu s"],
        [
            ("search, cold", f"{number:,} pictures", cold.clock, cold.processor),
            ("search, 1 % new", f"{number:,} pictures", warm.clock, warm.processor),
            ("laid over each other", f"{NUM_REGISTERED} of {pairs:,} pairs at most", laid.clock, laid.processor),
        ],
    )


if __name__ == "__main__":
    main()
