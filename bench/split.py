"""Measure `merge` and `split` on a drawn library of many classes, function by function.

    python -m bench.split [--classes 1500] [--rows 200000]

The library is drawn with a seed: classes of very different sizes, one picture in ten in a group of near-duplicates,
some staged and synthetic sub-classes, a benchmark, a base that was trained on a third of it, and some decisions.
Seconds are of the processor: both stages work in one process, and the machine's other work is left out.
"""

import random
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
import pandas as pd

from bench.harness import options, print_table, timed
from runtime import parameters
from stages import merge, split
from stages.labels.classes import Classes
from stages.labels.decisions import Decision, settle
from stages.labels.labelling import label

Result = TypeVar("Result")
PARAMS = parameters.Split(minimum=40, maximum=125, staged_cap=60, validation_fraction=0.1, test_fraction=0.0)
seconds: dict[str, float] = {}


def noted(what: str, function: Callable[[], Result]) -> Result:
    """Call a function and note how long it took."""
    results: list[Result] = []
    seconds[what] = timed(lambda: results.append(function())).processor
    return results[0]


def draw(num_classes: int, num_rows: int, rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame, Classes]:
    """Draw fingerprints, pairs of near-duplicates and classes.yaml's content."""
    names = [f"class_{number:04d}" for number in range(num_classes)]
    weights = rng.pareto(2, num_classes) + 0.3
    chosen = rng.choice(num_classes, num_rows, p=weights / weights.sum())
    image_ids = [rng.bytes(16).hex() for _ in range(num_rows)]
    folders = np.where(rng.random(num_rows) < 0.02, "benchmarks/difficult", "library")
    frame = pd.DataFrame(
        {
            "path": [
                f"{folder}/{names[number]}/{image_id}.jpg"
                for folder, number, image_id in zip(folders, chosen, image_ids, strict=True)
            ],
            "image_id": image_ids,
            "phash": pd.array(rng.integers(0, 2**63, num_rows).astype(np.uint64), dtype="UInt64"),
            "pixels": image_ids,
            "error": None,
            "source": None,
            "sources": None,
            "said_same": None,
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


def decide(image_ids: pd.Series) -> list[Decision]:
    """Decide about pictures."""
    return [
        Decision(datetime.fromtimestamp(row, UTC), "ann", row, image_id, choice, "", "")
        for row, image_id in enumerate(image_ids)
        for choice in [random.Random(row).choice(["keep", "remove"])]
    ]


def measure(frame: pd.DataFrame, pairs: pd.DataFrame, classes: Classes) -> None:
    """Time every function of both stages."""
    decisions = decide(frame["image_id"].iloc[::100])
    verdicts = noted("merge: settle the decisions", lambda: settle(decisions))
    labelled = noted("merge: label", lambda: label(frame, classes, verdicts))
    edges = list(zip(pairs["image_a"], pairs["image_b"], strict=True))
    groups = noted("merge: group", lambda: merge.group_pictures(labelled["image_id"], edges))
    labelled["group"] = labelled["image_id"].map(groups)
    images = labelled.assign(dropped=noted("merge: drop", lambda: merge.drop(labelled, pairs)))
    trained = frame.iloc[::3]
    lineage = trained[["image_id", "phash"]].assign(members=[[name] for name in trained["image_id"]], sources=None)
    kept = noted("split: groups that were trained on", lambda: split.trained_groups(images, lineage, 4))
    pictures = noted("split: split", lambda: split.split(images, kept, PARAMS))
    counts = noted("split: count", lambda: split.count_classes(pictures, PARAMS))
    noted("split: check", lambda: split.check(pictures, counts, PARAMS.minimum))
    gone = lineage.assign(image_id=lineage["image_id"].str[::-1]).iloc[::10]
    noted(f"split: groups, {len(gone)} of the lineage's files gone", lambda: split.trained_groups(images, gone, 4))


def main() -> None:
    """Print the table."""
    asked = options(__doc__, classes=1500, rows=200_000)
    measure(*draw(asked.classes, asked.rows, np.random.default_rng(0)))
    print(f"{asked.rows} rows, {asked.classes} classes\n")
    print_table(["what", "seconds"], list(seconds.items()))


if __name__ == "__main__":
    main()
