"""Files that show the same thing and are in two classes: what a person must decide, and the words for it."""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from stages.tables.conflicts import COLUMNS


def list_conflicts(labelled: pd.DataFrame, pairs: pd.DataFrame) -> pd.DataFrame:
    """List the conflicts that nobody has decided.

    Args:
        labelled: what `label` returned.
        pairs: the table of duplicates; pairs that a person called distinct are not in it.

    Returns:
        The columns of data/conflicts.csv, the files of one conflict together. Every file of a conflict is a row: those
        of one class too.
    """
    usable = labelled[labelled["error"].isna() & ~labelled["removed"] & labelled["class_name"].notna()]
    usable = usable.assign(right=_sub_class_to_write(usable))
    rows = [*_same(usable), *_near(usable, pairs)]
    return pd.DataFrame(rows, columns=list(COLUMNS)).sort_values(["picture", "other", "path"], ignore_index=True)


def classes_of_pixels(files: pd.DataFrame) -> pd.DataFrame:
    """Say in which classes the same pixels are, as far as nobody decided which is right.

    A person who keeps one of two files has said which class is right; of two paths of one file, that says nothing.

    Args:
        files: columns `pixels`, `class_name` (null where there is none), `kept`.

    Returns:
        Columns `nunique`, how many classes, and `first`, one of them; by pixels.
    """
    known = files.dropna(subset="class_name")
    voices = known[known["kept"] | ~known["pixels"].isin(known.loc[known["kept"], "pixels"])]
    return voices.groupby("pixels")["class_name"].agg(["nunique", "first"])


def _same(usable: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    num_classes = classes_of_pixels(usable)["nunique"]
    for _, files in usable[usable["pixels"].isin(num_classes.index[num_classes > 1])].groupby("pixels"):
        classes_of_file = files.groupby("image_id")["class_name"].nunique().to_dict()
        kind = "same file" if len(classes_of_file) == 1 else "same pixels"
        for file in files.itertuples():
            twice = classes_of_file[str(file.image_id)] > 1  # to keep it would keep both
            decide = f"{file.image_id},relabel,{file.right}" if twice else f"{file.image_id},keep,"
            yield kind, files["image_id"].min(), "", file.image_id, file.path, file.class_name, decide


def _sub_class_to_write(usable: pd.DataFrame) -> pd.Series:
    """Name the sub-class that a relabelling may name: a benchmark's folder may have the name of a class instead."""
    library = usable[usable["set"] == "library"]
    some = library.groupby("class_name")["sub_class"].min()
    is_known = usable["sub_class"].isin(library["sub_class"])
    return usable["sub_class"].where(is_known, usable["class_name"].map(some))


def _near(usable: pd.DataFrame, pairs: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    files = usable.sort_values("rank").drop_duplicates("image_id").set_index("image_id")
    conflicting = pairs[pairs["label_conflict"] & (pairs["kind"] == "near")]
    for pair in conflicting.itertuples():
        if pair.image_a in files.index and pair.image_b in files.index:
            yield from _near_pair(files, pair.image_a, pair.image_b)


def _near_pair(files: pd.DataFrame, image_a: Any, image_b: Any) -> Iterator[tuple[Any, ...]]:
    both = files.loc[[image_a, image_b]]
    if len(set(both["class_name"])) == 1 or both["kept"].all():
        return
    for image_id, other in ((image_a, image_b), (image_b, image_a)):
        file = files.loc[image_id]
        decide = f"{other},relabel,{file['right']} or {image_id},distinct,{other}"
        yield "near", image_a, image_b, image_id, file["path"], file["class_name"], decide
