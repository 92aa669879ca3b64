"""Merge sub-classes into classes, obey what people decided, group near-duplicates and drop all but one of them.

Alike pictures are in one group too, and none of them is dropped for it.

Reads: data/fingerprints.parquet, data/duplicates.parquet, data/alike.parquet, data/classes.yaml, data/decisions/,
    data/base/ (lineage)
Writes: data/images.parquet (image_id, path, sub_class, class_name, was, origin, set, group, said_same, group_size,
    confirmed, dropped, phash, faults, source, sources),
    data/disputes.csv (decisions of two people who differ; the one marked `counts` is obeyed),
    data/conflicts.csv (files that show the same thing and stand in two classes, and what ends each)
Params: quality, merge
"""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from typing import Any

import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from runtime import parameters
from runtime.command import run
from runtime.outputs import whole
from runtime.wording import counted, listed
from stages.images.faults import find_faults
from stages.labels import classes, decisions
from stages.labels.conflicts import classes_of_pixels, list_conflicts
from stages.labels.decisions import Decision, Pair, Verdicts
from stages.labels.labelling import label, list_sub_classes, waiting
from stages.labels.preference import preference
from stages.labels.sources import find_sources
from stages.models.base import BASE_LINEAGE, has_base
from stages.tables import disputes
from stages.tables.alike import ALIKE
from stages.tables.conflicts import PATH as CONFLICTS
from stages.tables.duplicates import DUPLICATES
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE

log = logging.getLogger(__name__)

# Why a file is not used, in the order of the questions; the first reason that holds is given.
UNREADABLE = "unreadable"
NO_FOLDER = "in no sub-class's folder"
REMOVED = "removed by a decision"
BENCHMARK = "shows the same as a benchmark's picture"
OF_BENCHMARK = "from the source of a benchmark's picture"
CONFLICT = "label conflict: the same picture in two classes"
COPY = "the same file as "
IDENTICAL = "the same pixels as "
NEAR = "near-duplicate of "
# What the log calls them.
_REASONS = {
    UNREADABLE: "unreadable",
    NO_FOLDER: "in no sub-class's folder",
    REMOVED: "removed by a decision",
    BENCHMARK: "the same as a benchmark's",
    OF_BENCHMARK: "from a benchmark's source",
    CONFLICT: "in two classes",
    COPY: "copied files",
    IDENTICAL: "with the same pixels",
    NEAR: "near-duplicates",
}
_MOST_LINES = 10  # that name a problem each


def group_pictures(image_ids: Iterable[str], pairs: Iterable[Pair]) -> dict[str, str]:
    """Name the group of each picture: pictures that pairs connect, directly or through others, share one.

    Args:
        image_ids: the pictures.
        pairs: pairs of them; those with another picture are ignored.

    Returns:
        image_id to the smallest image_id of its group.
    """
    names = sorted(set(image_ids))
    row_of = {image_id: row for row, image_id in enumerate(names)}
    edges = [(row_of[a], row_of[b]) for a, b in pairs if a in row_of and b in row_of]
    rows, columns = zip(*edges, strict=True) if edges else ((), ())
    matrix = coo_array(([1] * len(edges), (rows, columns)), shape=(len(names), len(names)))
    labels = connected_components(matrix, directed=False)[1]
    first: dict[int, str] = {}
    return {image_id: first.setdefault(number, image_id) for image_id, number in zip(names, labels, strict=True)}


def group_alike(files: pd.DataFrame, pairs: Collection[Pair], alike: Iterable[Pair]) -> dict[str, str]:
    """Name the group of each picture, as `group_pictures` does, alike pictures of the library included.

    What is only alike to a benchmark's picture, or to a near-duplicate of one, is not in its group: that would drop it.

    Args:
        files: columns `image_id`, `set`.
        pairs: pairs that show the same thing.
        alike: pairs that are alike.
    """
    image_ids = files["image_id"].dropna()
    groups = group_pictures(image_ids, pairs)
    judging = {groups[image_id] for image_id in image_ids[files["set"] != "library"]}
    free = {image_id for image_id, group in groups.items() if group not in judging}
    return group_pictures(image_ids, [*pairs, *(pair for pair in alike if free.issuperset(pair))])


def said_the_same(pairs: Collection[Pair]) -> dict[str, list[str]]:
    """List, for each picture of pairs, all that they connect it with: the file of one may be gone, and its model not.

    Args:
        pairs: that people said show the same.

    Returns:
        image_id to the image_ids of its group, itself included, sorted.
    """
    groups = group_pictures({image_id for pair in pairs for image_id in pair}, pairs)
    members: dict[str, list[str]] = {}
    for image_id, group in groups.items():
        members.setdefault(group, []).append(image_id)
    return {image_id: members[group] for image_id, group in groups.items()}


def drop(labelled: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Say of each file why it is not used.

    Of pictures that show the same thing and are in one class of one set, the one of lowest rank is kept. A picture is
    dropped only for one that it is itself paired with, so that a chain of look-alikes does not swallow a class.

    Args:
        labelled: what `label` returned, with the columns `group` and `source`.
        pairs: the table of duplicates.

    Returns:
        Null, or the reason, with the index of `labelled`.
    """
    dropped = pd.Series(None, index=labelled.index, dtype=object)

    def because(reason: str | pd.Series, holds: pd.Series) -> None:
        dropped.update(pd.Series(reason, index=labelled.index).where(holds & dropped.isna()))

    because(UNREADABLE, labelled["error"].notna())
    because(NO_FOLDER, (labelled["set"] == "library") & labelled["sub_class"].isna())
    because(REMOVED, labelled["removed"])
    in_use = labelled[dropped.isna()]
    judging = in_use[in_use["set"] != "library"]
    because(BENCHMARK, (labelled["set"] == "library") & labelled["group"].isin(judging["group"]))
    of_benchmark = labelled["source"].isin(judging["source"].dropna())
    because(OF_BENCHMARK, (labelled["set"] == "library") & of_benchmark)
    because(CONFLICT, _conflicting(labelled[dropped.isna()]).reindex(labelled.index, fill_value=False))
    because(_superseded(labelled[dropped.isna()], pairs).reindex(labelled.index), pd.Series(True, labelled.index))
    return dropped


def _conflicting(files: pd.DataFrame) -> pd.Series:
    """Whether the same pixels are in another class too, and nobody decided which of the two is right."""
    said = classes_of_pixels(files).reindex(files["pixels"]).set_axis(files.index)
    several = said["nunique"].fillna(0) > 1
    return files["class_name"].notna() & (several | (files["class_name"] != said["first"]))


def _superseded(files: pd.DataFrame, pairs: pd.DataFrame) -> pd.Series:
    """Why a file gives way to one of lower rank in its class and set; null where it does not."""
    kinds = {(a, b): kind for a, b, kind in _rows(pairs, "image_a", "image_b", "kind")}
    paired_with = _neighbours(kinds)
    # Few of a hundred thousand files have a rival; the others need not be compared one by one.
    rivals = files[files["image_id"].isin(list(paired_with)) | files["image_id"].duplicated(keep=False)]
    reasons: dict[object, str] = {}
    for _, files_of_class in rivals.sort_values("rank").groupby(["set", "class_name"], dropna=False, sort=False):
        reasons |= _give_way(files_of_class, kinds, paired_with)
    return pd.Series(reasons, dtype=object)


def _give_way(files: pd.DataFrame, kinds: dict[Pair, str], paired_with: dict[str, list[str]]) -> dict[object, str]:
    """Go through the files of one class and set by rank: index to reason of those that give way to one before them."""
    reasons: dict[object, str] = {}
    used: dict[str, tuple[int, str]] = {}  # image_id to rank and path
    columns = ("index", "image_id", "rank", "path", "kept")
    for index, image_id, rank, path, kept in _rows(files.assign(index=files.index), *columns):
        better = {*paired_with.get(image_id, ())}.intersection(used)
        if image_id in used:
            reasons[index] = f"{COPY}data/{used[image_id][1]}"
        elif better and not kept:
            best = min(better, key=used.__getitem__)  # of lowest rank
            kind = kinds[min(image_id, best), max(image_id, best)]
            reasons[index] = f"{IDENTICAL if kind == 'identical' else NEAR}{best}"
        else:
            used[image_id] = (rank, path)
    return reasons


def _neighbours(pairs: Iterable[Pair]) -> dict[str, list[str]]:
    """Map each picture to those that it is paired with."""
    neighbours: defaultdict[str, list[str]] = defaultdict(list)
    for a, b in pairs:
        neighbours[a].append(b)
        neighbours[b].append(a)
    return dict(neighbours)


def _rows(frame: pd.DataFrame, *names: str) -> Iterable[tuple[Any, ...]]:
    return zip(*(frame[name].tolist() for name in names), strict=True)


def list_disputes(verdicts: Verdicts) -> pd.DataFrame:
    """List what people differ about: one row per decision, those about one subject together, the latest last.

    Returns:
        The columns of data/disputes.csv; `counts` marks the one that is obeyed.
    """
    rows = [
        (*said.subject, said.person, said.decision, said.value, said.on.isoformat(timespec="milliseconds"))
        for said in verdicts.disputed
    ]
    frame = pd.DataFrame(rows, columns=list(disputes.COLUMNS[:-1]))
    return frame.assign(counts=~frame.duplicated(["image_id", "other"], keep="last"))


def main() -> None:
    """Run the stage."""
    limits, params = parameters.read(parameters.Quality), parameters.read(parameters.Merge)
    fingerprints, pairs = FINGERPRINTS.read(), DUPLICATES.read()
    sub_classes = list_sub_classes(fingerprints["path"])
    class_table = classes.read_classes(classes.PATH, sub_classes)
    said = decisions.read_decisions(
        decisions.FOLDER, sub_classes, renamed=class_table.renamed, waiting=lambda: waiting(fingerprints)
    )
    verdicts = decisions.settle(said)

    trained = LINEAGE.read(BASE_LINEAGE)["image_id"] if has_base() else pd.Series(dtype=str)
    labelled = label(fingerprints, class_table, verdicts, preference(fingerprints, trained))
    _log_input(labelled, verdicts, waiting(fingerprints))
    same, alike = (list(_rows(table, "image_a", "image_b")) for table in (pairs, ALIKE.read()))
    labelled["group"] = labelled["image_id"].map(group_alike(labelled, same, alike))
    labelled["said_same"] = labelled["image_id"].map(said_the_same(verdicts.duplicate))
    labelled["group_size"] = labelled["group"].map(labelled.groupby("group")["image_id"].nunique())
    labelled[["source", "sources"]] = find_sources(labelled, params.source_pattern, params.burst_seconds)
    images = labelled.assign(dropped=drop(labelled, pairs), faults=find_faults(labelled, limits))

    IMAGES.write(images)
    conflicts = list_conflicts(labelled, pairs)
    for path, rows in ((disputes.PATH, list_disputes(verdicts)), (CONFLICTS, conflicts)):
        with whole(path) as partial:
            rows.to_csv(partial, index=False, lineterminator="\n")
    _log(images, verdicts, conflicts)


def _log_input(labelled: pd.DataFrame, verdicts: Verdicts, unlabelled: Collection[str]) -> None:
    waits = verdicts.image_ids.intersection(unlabelled)
    log.info(
        "merge: %s of library and benchmarks, %s; decisions about %s, %d of them not here now%s",
        counted(len(labelled), "file"),
        counted(labelled["sub_class"].nunique(), "sub-class", "sub-classes"),
        counted(len(verdicts.image_ids), "picture"),
        len(verdicts.image_ids - waits - set(labelled["image_id"])),
        f"; {counted(len(waits), 'unlabelled picture waits', 'unlabelled pictures wait')} for `make intake`"
        if waits
        else "",
    )


def _log(images: pd.DataFrame, verdicts: Verdicts, conflicts: pd.DataFrame) -> None:
    if num_conflicts := len(conflicts.drop_duplicates(["picture", "other"])):
        log.warning(
            "merge: %s in two classes; %s says which line of data/decisions ends each: %s",
            counted(num_conflicts, "picture or pair is", "pictures or pairs are"),
            CONFLICTS,
            listed([f"data/{path}" for path in conflicts["path"].unique()]),
        )
    paths = images.drop_duplicates("image_id").set_index("image_id")["path"]
    for subject, said in _by_subject(verdicts.disputed)[:_MOST_LINES]:
        pictures = " and ".join(f"data/{paths[image_id]}" if image_id in paths else image_id for image_id in subject)
        log.warning("merge: people differ about %s: %s", pictures, ", ".join(said))
    for row in _largest_groups(images).itertuples():
        log.info("merge: %d pictures form one group of near-duplicates and alike ones, among them data/%s", *row[1:])
    used = images[images["dropped"].isna()]
    log.info(
        "merge: %s of %s used, in %s; dropped: %s",
        f"{len(used):,}",
        counted(len(images), "file"),
        counted(used.loc[used["set"] == "library", "class_name"].nunique(), "class", "classes"),
        _count_reasons(images["dropped"].dropna()) or "none",
    )


def _by_subject(disputed: Iterable[Decision]) -> list[tuple[list[str], list[str]]]:
    """The image_ids of each subject that people differ about, with what each person says."""
    subjects: defaultdict[Pair, list[str]] = defaultdict(list)
    for said in disputed:
        subjects[said.subject].append(" ".join([said.person, "says", *filter(None, said.answer)]))
    return [([image_id for image_id in subject if image_id], said) for subject, said in subjects.items()]


def _count_reasons(reasons: pd.Series) -> str:
    counts = {reason: reasons.str.startswith(reason).sum() for reason in _REASONS}
    return ", ".join(f"{number} {_REASONS[reason]}" for reason, number in counts.items() if number)


def _largest_groups(images: pd.DataFrame) -> pd.DataFrame:
    """The largest groups of more than two pictures, at most five: columns `group_size` and the first `path`."""
    groups = images[images["group_size"] > 2].drop_duplicates("group")
    return groups.sort_values("group_size", ascending=False, kind="stable").head(5)[["group_size", "path"]]


if __name__ == "__main__":
    run(main)
