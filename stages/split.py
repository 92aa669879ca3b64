"""Choose the classes, and which of their pictures train, validate and test, so that nothing leaks.

Of a class's pictures up to `split.maximum` are used, one tenth of them to validate, and `split.test_fraction` of them
to test; the real ones left over test too. Real
before staged before synthetic, and those only until all together reach `split.staged_cap`. A picture whose group an
ancestor of the model was trained on, or whose near-duplicates are used too, is taken first for training and never
judges. Everything else follows from the hash of the picture's content, so that adding pictures moves hardly any other.

Reads: data/images.parquet, data/base/ (lineage and label map), data/confused.csv (only to refuse it before training)
Writes: data/splits.parquet (image_id, class_name, split), data/class_counts.csv (one row per class, in or out)
Params: split, dedup, export (version)
"""

import hashlib
import logging
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.errors import InputError
from runtime.outputs import whole
from runtime.tracked import require_not_reverted
from runtime.wording import counted
from stages.duplicates.pairs import near_pairs
from stages.duplicates.turns import turned_back
from stages.labels.confused import PATH as CONFUSED
from stages.labels.confused import read_confused
from stages.labels.names import names_now, renamed_classes
from stages.models.base import BASE, BASE_LINEAGE, base_class_names, has_base, require_base_after_release
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.splits import CLASS_COUNTS, COUNT_COLUMNS, SPLITS

log = logging.getLogger(__name__)

TRAINABLE = ("real", "staged", "synthetic")  # in the order of preference


def trained_groups(images: pd.DataFrame, lineage: pd.DataFrame, distance: int) -> set[str]:
    """Find the groups that the base or an ancestor of it was trained on.

    A picture of the lineage stands for its whole group, as it was then and as it is now. If its file is gone or cannot
    be read, the pictures that resemble it stand for it, mirrored and turned ones too. Only its hash is left to compare,
    and it is better to test with one picture too few than with one that the model has seen.

    Args:
        images: columns `image_id`, `group`, `phash` of every file, dropped ones too.
        lineage: columns `image_id`, `members`, `phash`.
        distance: bits in which the hashes may differ.

    Returns:
        Values of `images["group"]`.
    """
    trained = {*lineage["image_id"], *(member for members in lineage["members"] for member in members)}
    groups = set(images.loc[images["image_id"].isin(trained), "group"])
    hashed = images.dropna(subset="phash").drop_duplicates("image_id")
    # A file that is there and cannot be read counts as gone too: no near-duplicate of it was found.
    gone = lineage.loc[~lineage["image_id"].isin(hashed["image_id"]), "phash"].dropna().to_numpy(dtype=np.uint64)
    # Those that are gone come first, and are compared with all after them.
    hashes = np.concatenate([gone, hashed["phash"].to_numpy(dtype=np.uint64)])
    near = near_pairs(turned_back(gone), hashes, distance).second
    return groups | set(hashed["group"].iloc[near[near >= len(gone)] - len(gone)])


def split_classes(pictures: pd.DataFrame, params: parameters.Split) -> pd.Series:
    """Split the pictures of every class by itself.

    Args:
        pictures: columns `image_id`, `class_name`, `origin` (real, staged or synthetic), `seen` (taken first, and never
            judges).
        params: the cut-offs.

    Returns:
        `train`, `validation`, `test` or null, with the index of `pictures`; all null for a class that has too few.
    """
    ordered = pictures[["class_name"]].assign(
        origin=pictures["origin"].map(TRAINABLE.index),
        fresh=~pictures["seen"],
        use_hash=_hashes("use", pictures["image_id"]),
        judge_hash=_hashes("judge", pictures["image_id"]),
    )
    ordered = ordered.sort_values(["class_name", "origin", "fresh", "use_hash"])
    position = ordered.groupby("class_name").cumcount()
    real = ordered["origin"] == 0
    usable = real | (position < params.staged_cap)
    included = _totals(usable, ordered["class_name"]) >= params.minimum
    used = included & usable & (position < params.maximum)
    judging = included & real & ordered["fresh"]
    num_used = _totals(used, ordered["class_name"])
    num_validation = (params.validation_fraction * num_used).round().clip(lower=1)
    num_test = (params.test_fraction * num_used).round()
    by_hash = ordered[judging & used].sort_values(["class_name", "judge_hash"]).groupby("class_name")
    # From the two ends, so that a larger validation set takes no picture from the test set.
    judges, judges_from_end = by_hash.cumcount(), by_hash.cumcount(ascending=False)
    sides = pd.Series(None, index=ordered.index, dtype=object)
    sides[used] = "train"
    sides[judges.index[judges_from_end < num_test[judges.index]]] = "test"
    sides[judges.index[judges < num_validation[judges.index]]] = "validation"
    sides[judging & ~used] = "test"
    return sides.reindex(pictures.index)


def _totals(holds: pd.Series, class_names: pd.Series) -> pd.Series:
    """Count the rows of each row's class for which something holds."""
    return holds.groupby(class_names).transform("sum")


def split(images: pd.DataFrame, trained: set[str], params: parameters.Split) -> pd.DataFrame:
    """Split every picture that is used.

    Args:
        images: the table of that name.
        trained: groups that an ancestor was trained on.
        params: the cut-offs.

    Returns:
        The used rows of `images` with the columns `seen` and `split` (null for a picture that is left out).
    """
    used = images[images["dropped"].isna()]
    library = used[(used["set"] == "library") & used["class_name"].notna() & used["origin"].isin(TRAINABLE)]
    library = library.assign(seen=library["group"].isin(trained) | library["group"].duplicated(keep=False))
    library["split"] = split_classes(library, params)
    benchmarks = used[used["set"] != "library"]
    benchmarks = benchmarks.assign(seen=benchmarks["group"].isin(trained))
    benchmarks["split"] = benchmarks["set"].where(~benchmarks["seen"])
    return pd.concat([library, benchmarks])


def count_classes(pictures: pd.DataFrame, params: parameters.Split) -> pd.DataFrame:
    """Count the pictures of each class by origin and by split.

    Args:
        pictures: what `split` returned.
        params: the cut-offs.

    Returns:
        One row per class with the columns of data/class_counts.csv, sorted by class.
    """
    library = pictures[pictures["set"] == "library"]
    origins = pd.crosstab(library["class_name"], library["origin"]).reindex(columns=TRAINABLE, fill_value=0)
    sides = pd.crosstab(library["class_name"], library["split"].fillna("unused"))
    sides = sides.reindex(columns=["train", "validation", "test", "unused"], fill_value=0)
    training = library[library["split"] == "train"]
    by_origin = pd.crosstab(training["class_name"], "train_" + training["origin"])
    suspected = library[library["faults"].notna()].groupby("class_name").size().rename("suspected_bad")
    counts = pd.concat([origins, sides, by_origin, suspected], axis=1).reindex(origins.index).sort_index()
    counts = counts.reindex(columns=[name for name in COUNT_COLUMNS if name in counts or name.startswith("train_")])
    counts = counts.fillna(0).astype(int)
    included = counts["train"] > 0
    total = counts[list(TRAINABLE)].sum(axis=1)
    usable = total.clip(upper=params.staged_cap).clip(lower=counts["real"])
    few = usable.map(lambda number: f"{number} usable pictures, split.minimum is {params.minimum}")
    counts["included"] = included
    counts["why_out"] = few.where(~included, "")
    return counts.rename_axis("class_name").reset_index()[list(COUNT_COLUMNS)]


def check(pictures: pd.DataFrame, counts: pd.DataFrame, minimum: int) -> None:
    """Refuse what cannot be trained on, and what would be a leak.

    Args:
        pictures: what `split` returned.
        counts: what `count_classes` returned.
        minimum: `split.minimum`.

    Raises:
        InputError: fewer than two classes are left.
        ValueError: a group is on two sides, which is a bug of this stage.
    """
    if counts["included"].sum() < 2:
        largest = counts.assign(total=counts["real"] + counts["staged"] + counts["synthetic"]).nlargest(3, "total")
        sizes = ", ".join(f"{row.class_name} {row.total}" for row in largest.itertuples()) or "none at all"
        raise InputError(
            f"{counts['included'].sum()} classes reach split.minimum ({minimum}), and a model needs two; the largest: "
            f"{sizes}. "
            "Add pictures, merge sub-classes in data/classes.yaml, or lower split.minimum in params.yaml."
        )
    sides = pictures.dropna(subset="split").drop_duplicates(["group", "set", "split"])
    library = sides[sides["set"] == "library"]
    leaks = set(library.loc[library["group"].duplicated(), "group"]) | (
        set(library["group"]) & set(sides.loc[sides["set"] != "library", "group"])
    )
    if leaks:
        raise ValueError(f"groups are on two sides: {sorted(leaks)[:5]}")


def _hashes(purpose: str, image_ids: Iterable[str]) -> NDArray[np.uint64]:
    digests = (hashlib.sha256(f"{purpose} {image_id}".encode()).digest() for image_id in image_ids)
    return np.array([int.from_bytes(digest[:8]) for digest in digests], dtype=np.uint64)


def main() -> None:
    """Run the stage."""
    params, dedup = parameters.read(parameters.Split), parameters.read(parameters.Dedup)
    require_not_reverted([Path(BASE)])
    require_base_after_release(parameters.read(parameters.Export).version)
    images = IMAGES.read()
    lineage = LINEAGE.read(BASE_LINEAGE) if has_base() else None
    # Only `score` obeys it; a misspelt class must not train for a night first.
    renamed = renamed_classes(images)
    read_confused(CONFUSED, {*images["class_name"].dropna(), *names_now(base_class_names(), renamed)}, renamed)

    num_used = counted(int(images["dropped"].isna().sum()), "picture")
    log.info("split: %s; %s", num_used, "no base" if lineage is None else f"the base was trained on {len(lineage):,}")
    trained = set() if lineage is None else trained_groups(images, lineage, dedup.distance_alone)
    pictures = split(images, trained, params)
    counts = count_classes(pictures, params)
    check(pictures, counts, params.minimum)

    SPLITS.write(pictures.dropna(subset="split"))
    with whole(CLASS_COUNTS) as partial:
        counts.to_csv(partial, index=False, lineterminator="\n")
    _log(pictures, counts)


def _log(pictures: pd.DataFrame, counts: pd.DataFrame) -> None:
    out = counts[~counts["included"]].sort_values("real", ascending=False, kind="stable")
    if len(out):
        nearest = ", ".join(f"{row.class_name} ({row.real} real)" for row in out.head(10).itertuples())
        num_out = counted(len(out), "class is", "classes are")
        log.info("split: %s out (%s says why), nearest to the cut-off: %s", num_out, CLASS_COUNTS, nearest)
    for row in counts[counts["included"] & (counts["validation"] == 0)].itertuples():
        log.warning("split: class %s has no picture to validate with: only staged or trained-on ones", row.class_name)
    barred = pictures[(pictures["set"] != "library") & pictures["seen"]]
    for path in barred["path"].head(20):
        log.warning("split: data/%s is left out of its benchmark: an ancestor was trained on it", path)
    log.info(
        "split: %d of %s; %s",
        counts["included"].sum(),
        counted(len(counts), "class", "classes"),
        ", ".join(f"{number:,} {side}" for side, number in pictures["split"].value_counts(sort=False).items()),
    )


if __name__ == "__main__":
    run(main)
