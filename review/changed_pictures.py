"""The pictures that came, went or changed their label since a commit: a sample of each, as the network sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import pandas as pd
from PIL import Image

from review.markdown import table
from review.prepared import read_pictures
from runtime.errors import RetrainError
from runtime.tracked_files import TrackedFiles
from runtime.wording import counted
from stages.tables.images import IMAGES

KINDS = ("added", "removed", "relabelled")
NUM_OF_EACH = 8  # pictures of a kind on the sheet
_COLUMNS = ["image_id", "path", "sub_class", "set", "dropped"]


@dataclass(frozen=True)
class Changed:
    """What changed since a commit.

    Attributes:
        rows: columns `image_id`, `change` (of KINDS), `before`, `after` (label; null where the picture is not used),
            `path`; of each kind the first, in turn by class.
        counts: how many pictures there are of each kind.
        pictures: image_id to picture, of `rows`; what cannot be read is absent.
        missing: why something could not be read, else empty.
    """

    rows: pd.DataFrame
    counts: Mapping[str, int] = field(default_factory=dict)
    pictures: Mapping[str, Image.Image] = field(default_factory=dict)
    missing: str = ""


def compare(before: pd.DataFrame, after: pd.DataFrame) -> pd.DataFrame:
    """Say which pictures came into use, went out of it, or have another label.

    Args:
        before: columns `image_id`, `path`, `sub_class`, `set`, `dropped` of IMAGES, of the commit.
        after: the same, now.

    Returns:
        Columns `image_id`, `change`, `before`, `after`, `path`, sorted by change as in KINDS and by image_id.
    """
    then, now = _labels(before).add_suffix("_before"), _labels(after).add_suffix("_after")
    both = then.join(now, how="outer").rename_axis("image_id").reset_index()
    came, went = both["label_before"].isna(), both["label_after"].isna()
    relabelled = ~came & ~went & (both["label_before"] != both["label_after"])
    both["change"] = pd.Categorical(
        came.map({True: "added"}).mask(went, "removed").mask(relabelled, "relabelled"), categories=KINDS
    )
    changed = both.dropna(subset="change").sort_values(["change", "image_id"], ignore_index=True)
    path = changed["path_after"].fillna(changed["path_before"])
    named = changed.rename(columns={"label_before": "before", "label_after": "after"}).assign(path=path)
    return named[["image_id", "change", "before", "after", "path"]]


def _labels(images: pd.DataFrame) -> pd.DataFrame:
    """Where each picture that is used stands: columns `label`, `path`; index image_id."""
    used = images[images["dropped"].isna()].drop_duplicates("image_id").set_index("image_id")
    label = used["sub_class"].fillna("no class")
    in_library = used["set"] == "library"
    return pd.DataFrame({"label": label.where(in_library, used["set"] + ": " + label), "path": used["path"]})


def read_changed(commit: str, number: int = NUM_OF_EACH) -> Changed:
    """Compare the pictures of the workspace with those of a commit.

    Args:
        commit: a name of it.
        number: of pictures of each kind that are read.
    """
    rows = pd.DataFrame(columns=["image_id", "change", "before", "after", "path"])
    counts: dict[str, int] = {}
    try:
        then, now = TrackedFiles(commit), TrackedFiles()
        changed = compare(*(IMAGES.parse(files.read(IMAGES.path), _COLUMNS) for files in (then, now)))
        counts = {kind: int((changed["change"] == kind).sum()) for kind in KINDS}
        rows = _first_of_each(changed, number)
        gone = rows["change"] == "removed"
        pictures = read_pictures(now, set(rows["image_id"][~gone])) if (~gone).any() else {}
        pictures |= read_pictures(then, set(rows["image_id"][gone])) if gone.any() else {}
    except RetrainError as error:  # a review without pictures is better than none
        return Changed(rows, counts, missing=str(error))
    return Changed(rows, counts, pictures)


def _first_of_each(changed: pd.DataFrame, number: int) -> pd.DataFrame:
    """The first pictures of each kind, one of each class before the second of any."""
    label = changed["after"].fillna(changed["before"])
    turn = changed.groupby(["change", label], observed=True).cumcount()
    in_turn = changed.assign(turn=turn, label=label).sort_values(["change", "turn", "label"])
    return in_turn.groupby("change", observed=True).head(number).drop(columns=["turn", "label"]).reset_index(drop=True)


def changed_section(changed: Changed, link: str) -> str:
    """List the pictures that changed, and link their contact sheet where there is one.

    Args:
        changed: the pictures.
        link: where the sheet will be found.
    """
    parts = ["## Pictures"]
    if not sum(changed.counts.values()):
        parts.append("No change." if not changed.missing else "")
    else:
        parts.append(", ".join(f"{changed.counts[kind]:,} {kind}" for kind in KINDS) + ".")
    if changed.pictures:
        parts.append(f"[{counted(len(changed.rows), 'of them', 'of them')} on a sheet]({link}), numbered as here.")
    if changed.missing:
        parts.append("Pictures cannot be compared or shown: `make pull` brings what is missing.")
    if len(changed.rows):
        shown = changed.rows[["change", "before", "after", "path"]].astype(object)
        numbered = shown.where(shown.notna(), None).itertuples(index=False)
        parts.append(table(("number", *shown), [(number, *row) for number, row in enumerate(numbered, start=1)]))
    return "\n\n".join(part for part in parts if part)
