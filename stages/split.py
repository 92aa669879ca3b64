"""Choose the classes, and which of their pictures train, validate and test, so that nothing leaks.

Of a class's pictures up to `split.maximum` are used, one tenth of them to validate, and `split.test_fraction` of them
to test; the real ones left over test too. Real before staged before synthetic, and those only until all together reach
`split.staged_cap`. A picture whose group or source an ancestor of the model was trained on, or whose near-duplicates
are used too, is taken first for training and never judges. Everything else follows from the hash of the picture's
content, or of its source's name where it has one, so that adding pictures moves hardly any other.

Reads: data/images.parquet, data/base/ (lineage and label map), data/confused.csv (only to refuse it before training)
Writes: data/splits.parquet (image_id, class_name, split), data/class_counts.csv (one row per class, in or out)
Params: split, dedup, export (version)
"""

import hashlib
import logging
from collections.abc import Iterable, Sequence
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

    A picture of the lineage stands for its whole group and for its source, as they were then and as they are now. If
    its file is gone or cannot be read, the pictures stand for it that people said show the same, and those that
    resemble it, mirrored and turned ones too. Only its hash is left to compare, and it is better to test with one
    picture too few than with one that the model has seen.

    Args:
        images: columns `image_id`, `group`, `said_same`, `phash`, `sources` of every file, dropped ones too.
        lineage: columns `image_id`, `members`, `phash`, `sources`.
        distance: bits in which the hashes may differ.

    Returns:
        Values of `images["group"]`.
    """
    trained = {*lineage["image_id"], *(member for members in lineage["members"] for member in members)}
    sources = {name for names in lineage["sources"].dropna() for name in names}
    known = images["sources"].dropna()
    of_sources = known.index[[not sources.isdisjoint(names) for names in known]]
    said = images["said_same"].dropna()
    same = said.index[[not trained.isdisjoint(image_ids) for image_ids in said]]
    is_trained = images["image_id"].isin(trained) | images.index.isin(of_sources) | images.index.isin(same)
    groups = set(images.loc[is_trained, "group"])
    hashed = images.dropna(subset="phash").drop_duplicates("image_id")
    # A file that is there and cannot be read counts as gone too: no near-duplicate of it was found.
    gone = lineage.loc[~lineage["image_id"].isin(hashed["image_id"]), "phash"].dropna().to_numpy(dtype=np.uint64)
    # Those that are gone come first, and are compared with all after them.
    hashes = np.concatenate([gone, hashed["phash"].to_numpy(dtype=np.uint64)])
    near = near_pairs(turned_back(gone), hashes, distance).second
    return groups | set(hashed["group"].iloc[near[near >= len(gone)] - len(gone)])


def split_classes(pictures: pd.DataFrame, params: parameters.Split) -> pd.Series:
    """Split the pictures of every class.

    What moves is a unit: a picture, or all pictures of a source in all their classes. A unit judges if it is wholly
    real and new, and if in none of its classes more pictures judge than would if each were a unit. So sources change
    nothing in how many pictures of a class are used; but of a class with more than the maximum, some may be left out.

    Args:
        pictures: columns `image_id`, `unit`, `class_name`, `origin` (real, staged or synthetic), `seen` (taken first,
            and never judges; a unit's pictures agree).
        params: the cut-offs.

    Returns:
        `train`, `validation`, `test` or null, with the index of `pictures`; all null for a class that has too few.
    """
    ordered = pictures[["image_id", "unit", "class_name"]].assign(
        origin=pictures["origin"].map(TRAINABLE.index),
        fresh=~pictures["seen"],
        use_hash=_hashes("use", pictures["unit"]),
        judge_hash=_hashes("judge", pictures["unit"]),
    )
    ordered = ordered.sort_values(["class_name", "origin", "fresh", "use_hash", "image_id"])
    ordered["real"] = ordered["origin"] == 0
    position = ordered.groupby("class_name").cumcount()
    ordered["usable"] = ordered["real"] | (position < params.staged_cap)
    included = ordered[_totals(ordered["usable"], ordered["class_name"]) >= params.minimum]
    if included.empty:
        return pd.Series(None, index=pictures.index, dtype=object)
    quotas = _quotas(included, params)
    sides = included["unit"].map(_judges(included, quotas)).astype(object)

    num_test, num_validation = (
        (sides == side).groupby(included["class_name"]).sum() for side in ("test", "validation")
    )
    # What tests beyond the maximum is not missing where pictures are used.
    num_train = quotas["used"] - num_validation - (num_test - quotas["beyond"]).clip(lower=0)
    left = included[included["usable"] & sides.isna()]
    trains = left.groupby("class_name").cumcount() < left["class_name"].map(num_train)
    sides[left.index[trains]] = "train"
    return sides.where(sides.notna(), None).reindex(pictures.index)


def _quotas(included: pd.DataFrame, params: parameters.Split) -> pd.DataFrame:
    """Say of each class how many pictures are used, and how many may judge.

    Returns:
        By class, `used`; `beyond`, real ones beyond the maximum; of those used, `validation` and `test`; and `spare`,
        how many may test because their unit's other pictures are beyond the maximum of a larger class.
    """
    counts = included.groupby("class_name")[["real", "usable"]].sum()
    used = counts["usable"].clip(upper=params.maximum)
    validation = (params.validation_fraction * used).round().clip(lower=1).astype(int)
    test = (params.test_fraction * used).round().astype(int).clip(upper=(used - validation - 1).clip(lower=0))
    # At most half of those that would validate, and what else is used still reaches the minimum.
    spare = (test + validation // 2).clip(upper=used - params.minimum)
    beyond = (counts["real"] - params.maximum).clip(lower=0)
    return pd.DataFrame({"used": used, "beyond": beyond, "validation": validation, "test": test, "spare": spare})


def _judges(included: pd.DataFrame, quotas: pd.DataFrame) -> dict[str, str]:
    """Choose the units that judge, in the order of their hashes, each if it fits: unit to `test` or `validation`."""
    barred = included.loc[~(included["real"] & included["fresh"]), "unit"]
    candidates = included[~included["unit"].isin(barred)]
    units = candidates.drop_duplicates("unit")
    counts = _count_by_class(
        candidates["unit"], units["unit"], quotas.index.get_indexer(pd.Index(candidates["class_name"]))
    )
    by_use, by_judge = (np.argsort(units[name].to_numpy()).tolist() for name in ("use_hash", "judge_hash"))
    beyond, validation, test, spare = (quotas[name].to_numpy() for name in ("beyond", "validation", "test", "spare"))
    is_large = beyond > 0

    of_large = [unit for unit in by_use[::-1] if any(is_large[number] for number, _ in counts[unit])]
    testing, left = _admit(of_large, counts, np.where(is_large, beyond, spare))
    taken = np.where(is_large, 0, spare - left)
    others = [unit for unit in by_judge if unit not in testing]
    validating, _ = _admit(others, counts, validation - (taken - test).clip(min=0))
    # From the other end, so that a larger validation set takes no picture from the test set.
    others = [unit for unit in others[::-1] if unit not in validating]
    testing |= _admit(others, counts, (test - taken).clip(min=0))[0]
    names = units["unit"].tolist()
    return {names[unit]: "test" for unit in testing} | {names[unit]: "validation" for unit in validating}


def _count_by_class(
    units_of_rows: pd.Series, units: pd.Series, classes: NDArray[np.intp]
) -> list[list[tuple[int, int]]]:
    """Count each unit's pictures by class: pairs of the class's number and the count."""
    numbers = pd.Index(units).get_indexer(pd.Index(units_of_rows))
    num_classes = int(classes.max(initial=0)) + 1
    pairs, sizes = np.unique(numbers * num_classes + classes, return_counts=True)
    counts: list[list[tuple[int, int]]] = [[] for _ in units]
    for unit, number, size in zip(*(each.tolist() for each in (*np.divmod(pairs, num_classes), sizes)), strict=True):
        counts[unit].append((number, size))
    return counts


def _admit(
    units: Iterable[int], counts: Sequence[Sequence[tuple[int, int]]], room: NDArray[np.int64]
) -> tuple[set[int], NDArray[np.int64]]:
    """Admit units in turn, each if all its pictures still fit into the room of their classes.

    Returns:
        Those admitted, and the room that they leave.
    """
    left, admitted = room.tolist(), set()
    for unit in units:
        if all(size <= left[number] for number, size in counts[unit]):
            admitted.add(unit)
            for number, size in counts[unit]:
                left[number] -= size
    return admitted, np.array(left)


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
    # A source stands on one side whatever it holds; several pictures of a group that has none would count double.
    double = library["source"].isna() & library["group"].duplicated(keep=False)
    library = library.assign(
        seen=_of_trained(library, trained, images) | double, unit=library["source"].fillna(library["image_id"])
    )
    library["split"] = split_classes(library, params)
    benchmarks = used[used["set"] != "library"]
    benchmarks = benchmarks.assign(seen=_of_trained(benchmarks, trained, images))
    benchmarks["split"] = benchmarks["set"].where(~benchmarks["seen"])
    return pd.concat([library, benchmarks])


def _of_trained(pictures: pd.DataFrame, trained: set[str], images: pd.DataFrame) -> pd.Series:
    """Say which pictures are of a group, or of a source, that was trained on."""
    sources = images.loc[images["group"].isin(trained), "source"].dropna()
    return pictures["group"].isin(trained) | pictures["source"].isin(sources)


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
        ValueError: a group or a source is on two sides, which is a bug of this stage.
    """
    if counts["included"].sum() < 2:
        largest = counts.assign(total=counts["real"] + counts["staged"] + counts["synthetic"]).nlargest(3, "total")
        sizes = ", ".join(f"{row.class_name} {row.total}" for row in largest.itertuples()) or "none at all"
        raise InputError(
            f"{counts['included'].sum()} classes reach split.minimum ({minimum}), and a model needs two; the largest: "
            f"{sizes}. "
            "Add pictures, merge sub-classes in data/classes.yaml, or lower split.minimum in params.yaml."
        )
    for what in ("group", "source"):
        sides = pictures.dropna(subset=[what, "split"]).drop_duplicates([what, "set", "split"])
        in_library = sides["set"] == "library"
        library, benchmarks = sides.loc[in_library, what], sides.loc[~in_library, what]
        leaks = {*library[library.duplicated()], *set(library).intersection(benchmarks)}
        if leaks:
            raise ValueError(f"{what}s are on two sides: {sorted(leaks)[:5]}")


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
        log.warning("split: data/%s is left out of its benchmark: an ancestor was trained on it or its source", path)
    of_sources = pictures.dropna(subset=["source", "split"]).drop_duplicates("source")["split"]
    if len(of_sources):
        counts_by_side = of_sources.value_counts(sort=False).items()
        log.info("split: sources: %s", ", ".join(f"{number:,} {side}" for side, number in counts_by_side))
    log.info(
        "split: %d of %s; %s",
        counts["included"].sum(),
        counted(len(counts), "class", "classes"),
        ", ".join(f"{number:,} {side}" for side, number in pictures["split"].value_counts(sort=False).items()),
    )


if __name__ == "__main__":
    run(main)
