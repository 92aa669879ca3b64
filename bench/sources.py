"""Measure what knowing the senders of pictures changes: how many judge, and how good a classifier seems.

    python -m bench.sources folder senders.csv [--embeddings embeddings.npz] [--merged _kids] [--seeds 0 1 2]

`folder` holds library/<class>/..., and senders.csv has the columns `path` (relative to it) and `sender`; other pictures
are left out. `--merged` is an ending of folders' names that is cut off, which merges such a folder with the other.

The first table is the split by the parameters of params.yaml, without and with sources, once per seed (which is added
to the senders' names, so that other hashes decide). A known picture judges though its sender's others train. The second
says how many pictures move when one picture or one sender is taken away. The third needs embeddings: an .npz file with
arrays `paths` and `embeddings`. It compares the classifier of `stages/embeddings` in five random folds and in five
folds of senders, of each class of `split.minimum` pictures and more, with the interval of pictures and that of senders.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

from bench.harness import options, print_table
from runtime import parameters
from runtime.digest import md5_of_file
from stages import split
from stages.embeddings.discriminant import held_out_log_scores
from stages.embeddings.vectors import units
from stages.metrics.interval import fraction_interval

NUM_FOLDS = 5
NUM_TRIALS = 50


def read_pictures(folder: Path, senders: Path, merged: str) -> pd.DataFrame:
    """Read the labelled pictures whose sender is known, one row per different file, as rows of data/images.parquet."""
    frame = pd.read_csv(senders, dtype=str)
    there = [path.startswith("library/") and (folder / path).is_file() for path in frame["path"]]
    frame = frame[there].assign(image_id=lambda rows: [md5_of_file(folder / path) for path in rows["path"]])
    frame["class_name"] = frame["path"].str.split("/").str[1].str.removesuffix(merged)
    frame = frame.drop_duplicates("image_id").reset_index(drop=True)
    return frame.assign(
        origin="real", set="library", group=frame["image_id"], dropped=None, faults=None, source=None, sources=None
    )


def count_sides(pictures: pd.DataFrame, params: parameters.Split) -> list[object]:
    """Split, and count: pictures by side, classes judged, judging senders, judging pictures whose sender trains too."""
    rows = split.split(pictures, set(), params)
    rows = rows[rows["class_name"].isin(rows.loc[rows["split"] == "train", "class_name"])]
    sides = rows["split"].fillna("unused").value_counts()
    judging = rows[rows["split"].isin(["validation", "test"])]
    numbers = [int(sides.get(side, 0)) for side in ("train", "validation", "test", "unused")]
    known = judging["sender"].isin(rows.loc[rows["split"] == "train", "sender"])
    return [*numbers, judging["class_name"].nunique(), judging["sender"].nunique(), int(known.sum())]


def print_sides(pictures: pd.DataFrame, params: parameters.Split, seeds: list[int]) -> None:
    """Print how many pictures train and judge."""
    rows: list[list[object]] = [["without", *count_sides(pictures, params)]]
    for seed in seeds:
        sources = pictures["sender"] + f" {seed}"
        rows.append([f"with, seed {seed}", *count_sides(pictures.assign(source=sources), params)])
    columns = [
        "sources",
        "train",
        "validation",
        "test",
        "unused",
        "classes judged",
        "senders that judge",
        "known pictures",
    ]
    print_table(columns, rows)


def print_moves(pictures: pd.DataFrame, params: parameters.Split) -> None:
    """Print how many other pictures move to another side when one picture, or one sender, is taken away."""
    rows: list[list[object]] = []
    for name, sources in (("without", None), ("with", pictures["sender"])):
        known = pictures.assign(source=sources)
        whole = _sides(known, params)
        for what, by in (("a picture", "image_id"), ("a sender", "sender")):
            rng, moved = np.random.default_rng(0), []
            for away in rng.choice(known[by].unique(), NUM_TRIALS, replace=False):
                left = _sides(known[known[by] != away], params)
                moved.append(int((left != whole.reindex(left.index)).sum()))
            rows.append([name, what, float(np.mean(moved)), max(moved)])
    print()
    print_table(["sources", "taken away", "others that move, mean", "most"], rows)


def _sides(pictures: pd.DataFrame, params: parameters.Split) -> pd.Series:
    return split.split(pictures, set(), params).set_index("image_id")["split"].fillna("unused")


def right_in_folds(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], parts: Iterable[tuple[Any, Any]]
) -> NDArray[np.bool_]:
    """Say which pictures a classifier names rightly that was fitted on the other folds."""
    folds, right = np.zeros(len(labels), np.int64), np.zeros(len(labels), dtype=bool)
    for number, (_, own) in enumerate(parts):
        folds[own] = number
    for rows, scores in held_out_log_scores(vectors, labels, folds, labels.max() + 1):
        right[rows] = scores.argmax(axis=1) == labels[rows]
    return right


def print_flattery(pictures: pd.DataFrame, embeddings: Path, minimum: int, seeds: list[int]) -> None:
    """Print how good a classifier seems in random folds and in folds of senders."""
    stored = np.load(embeddings, allow_pickle=False)
    rows = pd.Index(stored["paths"]).get_indexer(pd.Index(pictures["path"]))
    pictures, rows = pictures[rows >= 0], rows[rows >= 0]
    large = pictures.groupby("class_name")["path"].transform("size") >= minimum
    pictures, values = pictures[large], units(stored["embeddings"][rows[large]])
    labels, senders = (pd.factorize(pictures[name])[0].astype(np.int64) for name in ("class_name", "sender"))
    table = []
    for seed in seeds:
        random = StratifiedKFold(NUM_FOLDS, shuffle=True, random_state=seed).split(values, labels)
        by_sender = StratifiedGroupKFold(NUM_FOLDS, shuffle=True, random_state=seed).split(values, labels, senders)
        for name, folds in (("random", random), ("of senders", by_sender)):
            right = right_in_folds(values, labels, folds)
            intervals = [_ends(fraction_interval(right, sources)) for sources in (None, senders)]
            table.append([seed, name, float(right.mean()), *intervals])
    print(f"\n{len(labels):,} pictures of {labels.max() + 1} classes and {senders.max() + 1} senders\n")
    print_table(["seed", "folds", "right", "interval of pictures", "interval of senders"], table)


def _ends(interval: tuple[float, float] | None) -> str:
    return " to ".join(f"{end:.3f}" for end in interval or ())


def main() -> None:
    """Print the tables."""
    asked = options(__doc__, "folder", "senders", embeddings=None, merged="_kids", seeds=[0, 1, 2])
    params = parameters.read(parameters.Split)
    pictures = read_pictures(asked.folder, asked.senders, asked.merged)
    print_sides(pictures, params, asked.seeds)
    print_moves(pictures, params)
    if asked.embeddings:
        print_flattery(pictures, asked.embeddings, params.minimum, asked.seeds)


if __name__ == "__main__":
    main()
