"""Every labelled file with its label: its folder, classes.yaml and people's decisions taken together."""

from collections.abc import Iterable

import pandas as pd

from runtime.errors import InputError
from stages.labels.classes import PATH, Classes
from stages.labels.decisions import Verdicts
from stages.labels.folders import UNLABELLED
from stages.labels.names import composed

OUT_OF_SCOPE = "out_of_scope"  # the benchmark whose pictures have no class
RESERVED = frozenset({"library", "train", "validation", "test", "held_out"})


def list_sub_classes(paths: Iterable[str]) -> list[str]:
    """List the library's folders.

    Args:
        paths: relative to data/, such as `library/seven/1.png`.

    Returns:
        Names, sorted, in the form in which names are compared.
    """
    parts = (path.split("/") for path in paths)
    return sorted({composed(part[1]) for part in parts if part[0] == "library" and len(part) > 2})


def waiting(fingerprints: pd.DataFrame) -> set[str]:
    """List the pictures that nobody labelled yet: what is decided about them waits for `make intake`.

    Args:
        fingerprints: columns `path` and `image_id`.
    """
    unlabelled = fingerprints["path"].str.startswith(UNLABELLED)
    return set(fingerprints.loc[unlabelled, "image_id"]) - set(fingerprints.loc[~unlabelled, "image_id"])


def label(
    fingerprints: pd.DataFrame, classes: Classes, verdicts: Verdicts, preferred: pd.Series | None = None
) -> pd.DataFrame:
    """Label every file of the library and the benchmarks.

    Args:
        fingerprints: the table of that name.
        classes: what each sub-class is.
        verdicts: what people decided.
        preferred: how good each file is, what `preference` returned; by default the smaller image_id is better.

    Returns:
        The fingerprints' rows of library and benchmarks with the columns `set`, `sub_class`, `class_name`, `origin`,
        `was` (the sub-class's old names; null where there is none), `removed`, `kept`, `confirmed` (a person said that
        the sub-class is right, or of a picture without one that it has none) and `rank`: the order in which the rows of
        one set and class are preferred, lowest first (a decision, else real before staged before synthetic, else the
        better file).

    Raises:
        InputError: a benchmark has a folder that is no class.
    """
    parts = fingerprints["path"].str.split("/")
    frame = fingerprints[parts.str[0].isin(["library", "benchmarks"])].copy()
    parts = parts[frame.index]
    library = parts.str[0] == "library"
    depth = parts.map(len)
    frame["set"] = parts.str[1].where(~library, "library")
    folder = parts.str[1].where(library & (depth > 2), parts.str[2].where(~library & (depth > 3)))
    folder = folder.mask(frame["set"] == OUT_OF_SCOPE).map(composed, na_action="ignore")
    _check_benchmarks(frame[~library], folder[~library], classes)
    folder = folder.map(classes.name_of_folder, na_action="ignore")
    relabelled = frame["image_id"].isin(list(verdicts.relabelled)) & folder.notna()
    frame["sub_class"] = folder.mask(relabelled, frame["image_id"].map(verdicts.relabelled))
    of_library = frame["sub_class"].map(classes.class_names)
    names = frame["sub_class"].dropna().unique()
    of_benchmark = frame["sub_class"].map({name: classes.of_benchmark(name) for name in names})
    frame["class_name"] = of_library.where(library | relabelled, of_benchmark)
    frame["origin"] = frame["sub_class"].map(classes.origins).where(library, "real")
    frame["was"] = frame["sub_class"].map({name: classes.old_names(name) for name in names})
    frame["removed"] = frame["image_id"].isin(verdicts.removed)
    frame["kept"] = frame["image_id"].isin(verdicts.kept)
    frame["confirmed"] = relabelled | (frame["sub_class"].isna() & frame["kept"])
    return frame.assign(rank=_rank(frame, None if preferred is None else preferred.reindex(frame.index)))


def _rank(frame: pd.DataFrame, preferred: pd.Series | None) -> pd.Series:
    origins = frame["origin"].map({"real": 0, "staged": 1, "synthetic": 2, "unknown": 3}).fillna(4)
    keys = pd.DataFrame(
        {
            "kept": ~frame["kept"],
            "origin": origins,
            "preferred": preferred if preferred is not None else 0,
            "image_id": frame["image_id"],
            "path": frame["path"],
        }
    )
    order = keys.sort_values(list(keys.columns)).index
    return pd.Series(range(len(order)), index=order).reindex(frame.index)


def _check_benchmarks(rows: pd.DataFrame, folders: pd.Series, classes: Classes) -> None:
    for name in sorted(RESERVED.intersection(rows["set"])):
        raise InputError(f"data/benchmarks/{name}: {name} is the name of a split. Rename the benchmark's folder.")
    scoped = rows[rows["set"] != OUT_OF_SCOPE]
    for path, folder in zip(scoped["path"], folders[scoped.index], strict=True):
        if pd.isna(folder):
            raise InputError(
                f"data/{path} belongs to no class: expected data/benchmarks/<benchmark>/<class>/{path.split('/')[-1]}. "
                "Move it into its class's folder; only out_of_scope needs none."
            )
        if classes.of_benchmark(folder) is None:
            raise InputError(
                f"data/{path}: there is no class {folder}, neither as a folder of data/library nor in {PATH}. "
                "Rename the benchmark's folder, or take it away."
            )
