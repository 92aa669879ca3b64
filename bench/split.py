"""Measure `merge` and `split` on a drawn library of many classes, function by function.

    python -m bench.split [--classes 1500] [--rows 200000]

The library is drawn with a seed: classes of very different sizes, one picture in ten in a group of near-duplicates,
some staged and synthetic sub-classes, a benchmark, a base that was trained on a third of it, and some decisions.
Seconds are of the processor: both stages work in one process, and the machine's other work is left out.
"""

import argparse
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
import pandas as pd

from runtime import parameters
from stages import merge, split
from stages.labels.classes import Classes
from stages.labels.decisions import Decision, settle
from stages.labels.labelling import label

Result = TypeVar("Result")
PARAMS = parameters.Split(minimum=40, maximum=125, staged_cap=60, validation_fraction=0.1)
seconds: dict[str, float] = {}


def timed(what: str, function: Callable[[], Result]) -> Result:
    """Call a function and note how long it took."""
    started = time.process_time()
    result = function()
    seconds[what] = time.process_time() - started
    return result


def draw(num_classes: int, num_rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame, Classes]:
    """Draw fingerprints, pairs of near-duplicates and classes.yaml's content."""
    names = [f"class_{number:04d}" for number in range(num_classes)]
    weights = rng.pareto(2, num_classes) + 0.3
    chosen = rng.choice(num_classes, num_rows, p=weights / weights.sum())
    image_ids = [rng.bytes(16).hex() for _ in range(num_rows)]
    places = np.where(rng.random(num_rows) < 0.02, "benchmarks/difficult", "library")
    frame = pd.DataFrame(
        {
            "path": [
                f"{place}/{names[number]}/{image_id}.jpg"
                for place, number, image_id in zip(places, chosen, image_ids, strict=True)
            ],
            "image_id": image_ids,
            "phash": pd.array(rng.integers(0, 2**63, num_rows).astype(np.uint64), dtype="UInt64"),
            "pixels": image_ids,
            "error": None,
            "faults": None,
        }
    )
    close = np.flatnonzero(rng.random(num_rows - 1) < 0.05)
    pairs = pd.DataFrame(
        {
            "image_a": [min(image_ids[row], image_ids[row + 1]) for row in close],
            "image_b": [max(image_ids[row], image_ids[row + 1]) for row in close],
            "kind": "near",
        }
    )
    origins = dict(
        zip(names, rng.choice(["real", "staged", "synthetic"], num_classes, p=[0.9, 0.05, 0.05]), strict=True)
    )
    return frame, pairs, Classes(dict(zip(names, names, strict=True)), origins)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=1500)
    parser.add_argument("--rows", type=int, default=200_000)
    arguments = parser.parse_args()
    frame, pairs, classes = draw(arguments.classes, arguments.rows, np.random.default_rng(0))
    said = [
        Decision(
            datetime.fromtimestamp(row, UTC),
            "ann",
            row,
            image_id,
            random.Random(row).choice(["keep", "remove"]),
            "",
            "",
        )
        for row, image_id in enumerate(frame["image_id"].iloc[::100])
    ]
    verdicts = timed("merge: settle the decisions", lambda: settle(said))
    labelled = timed("merge: label", lambda: label(frame, classes, verdicts))
    edges = list(zip(pairs["image_a"], pairs["image_b"], strict=True))
    groups = timed("merge: group", lambda: merge.group_pictures(labelled["image_id"], edges))
    labelled["group"] = labelled["image_id"].map(groups)
    images = labelled.assign(dropped=timed("merge: drop", lambda: merge.drop(labelled, pairs)))
    trained = frame.iloc[::3]
    lineage = pd.DataFrame(
        {
            "image_id": trained["image_id"],
            "members": [[name] for name in trained["image_id"]],
            "phash": trained["phash"],
        }
    )
    kept = timed("split: groups that were trained on", lambda: split.trained_groups(images, lineage, 4))
    pictures = timed("split: split", lambda: split.split(images, kept, PARAMS))
    counts = timed("split: count", lambda: split.count_classes(pictures, PARAMS))
    timed("split: check", lambda: split.check(pictures, counts, PARAMS.minimum))
    gone = lineage.assign(image_id=lineage["image_id"].str[::-1]).iloc[::10]
    timed(f"split: groups, {len(gone)} of the lineage's files gone", lambda: split.trained_groups(images, gone, 4))
    print(f"{arguments.rows} rows, {arguments.classes} classes\n\n| what | seconds |\n| --- | ---: |")
    for what, spent in seconds.items():
        print(f"| {what} | {spent:.2f} |")


if __name__ == "__main__":
    main()
