"""Find the pairs of pictures that show the same, and say which of the two to keep.

Pairs that a person called distinct are left out; pairs that a person called duplicates are in, however far apart.

Reads: data/fingerprints.parquet, data/classes.yaml, data/decisions/
Writes: data/duplicates.parquet (image_a, image_b, kind, distance, keep, label_conflict)
Params: dedup
"""

import logging

import numpy as np
import pandas as pd

from stages import _params
from stages._command import run
from stages.images.pairs import near_pairs
from stages.labels import classes, decisions
from stages.labels.decisions import Pair
from stages.labels.labelling import label, list_sub_classes
from stages.tables.duplicates import DUPLICATES
from stages.tables.fingerprints import FINGERPRINTS

log = logging.getLogger(__name__)


def find_pairs(
    pictures: pd.DataFrame, distance: int, duplicate: frozenset[Pair], distinct: frozenset[Pair]
) -> pd.DataFrame:
    """Find the pairs among pictures.

    Args:
        pictures: columns `image_id` (unique, ascending), `phash`, `pixels`.
        distance: bits in which the hashes of near-duplicates may differ.
        duplicate: pairs to add, the smaller image_id first; pairs with a picture that is not there are passed over.
        distinct: pairs to leave out.

    Returns:
        Columns `image_a` < `image_b`, `kind`, `distance`, sorted by image_a and image_b.
    """
    hashes = pictures["phash"].to_numpy(dtype=np.uint64)
    first, second, distances = near_pairs(hashes, distance)
    place = {image_id: row for row, image_id in enumerate(pictures["image_id"])}
    found = dict(zip(zip(first.tolist(), second.tolist(), strict=True), distances.tolist(), strict=True))
    for a, b in duplicate:
        if a in place and b in place:
            found[place[a], place[b]] = int(np.bitwise_count(hashes[place[a]] ^ hashes[place[b]]))
    for a, b in distinct:
        found.pop((place.get(a, -1), place.get(b, -1)), None)
    rows = np.array([[a, b, bits] for (a, b), bits in sorted(found.items())], dtype=np.int64).reshape(-1, 3)
    image_ids, pixels = pictures["image_id"].to_numpy(), pictures["pixels"].to_numpy()
    same = pixels[rows[:, 0]] == pixels[rows[:, 1]]
    return pd.DataFrame(
        {
            "image_a": image_ids[rows[:, 0]],
            "image_b": image_ids[rows[:, 1]],
            "kind": np.where(same, "identical", "near"),
            "distance": rows[:, 2],
        }
    )


def judge_pairs(pairs: pd.DataFrame, labelled: pd.DataFrame) -> pd.DataFrame:
    """Say of each pair which picture to keep, and whether the two stand in different classes.

    A benchmark's picture is kept before the library's, a labelled one before an unlabelled one; within those the rule
    is a person's decision, else real before staged before synthetic, else the smaller image_id.

    Args:
        pairs: columns `image_a`, `image_b`.
        labelled: what `label` returned; rows of removed pictures count like the others.

    Returns:
        `pairs` with the columns `keep` and `label_conflict`.
    """
    ordered = labelled.assign(in_library=labelled["set"] == "library").sort_values(["in_library", "rank"])
    place = {image_id: row for row, image_id in enumerate(ordered["image_id"].drop_duplicates())}
    rank_a, rank_b = (pairs[side].map(place).fillna(len(place)) for side in ("image_a", "image_b"))
    known = labelled.dropna(subset="class_name")
    class_names = known.groupby("image_id")["class_name"].agg(lambda names: "\n".join(sorted(set(names))))
    class_a, class_b = (pairs[side].map(class_names) for side in ("image_a", "image_b"))
    return pairs.assign(
        keep=pairs["image_a"].where(rank_a <= rank_b, pairs["image_b"]),
        label_conflict=class_a.notna() & class_b.notna() & (class_a != class_b),
    )


def main() -> None:
    """Run the stage."""
    params = _params.read(_params.Dedup)
    fingerprints = FINGERPRINTS.read()
    sub_classes = list_sub_classes(fingerprints["path"])
    class_table = classes.read_classes(classes.PATH, sub_classes)
    verdicts = decisions.settle(decisions.read_decisions(decisions.FOLDER, sub_classes))

    labelled = label(fingerprints, class_table, verdicts)
    readable = fingerprints[fingerprints["error"].isna()].drop_duplicates("image_id").sort_values("image_id")
    pairs = find_pairs(readable, params.distance, verdicts.duplicate, verdicts.distinct)
    judged = judge_pairs(pairs, labelled)

    DUPLICATES.write(judged)
    log.info(
        "dedup: %d identical and %d near pairs among %d pictures; %d pairs stand in two classes%s",
        (judged["kind"] == "identical").sum(),
        (judged["kind"] == "near").sum(),
        len(readable),
        judged["label_conflict"].sum(),
        ": decide them in data/decisions" if judged["label_conflict"].any() else "",
    )


if __name__ == "__main__":
    run(main)
