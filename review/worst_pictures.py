"""The pictures that a person should look at first, as the network saw them, from wherever DVC finds them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd
from PIL import Image

from review.prepared import read_pictures
from runtime.errors import RetrainError
from runtime.tracked_files import TrackedFiles
from stages.tables.images import IMAGES
from stages.tables.review import REVIEW

# The pictures to be shown beside one, where the review table names their paths: its columns, and what they are.
BESIDE = {"truth_example": "typical of the truth", "predicted_example": "typical of the answer"}


@dataclass(frozen=True)
class Worst:
    """Pictures to look at.

    Attributes:
        rows: of the review table, worst first, with the image_ids of what is to be shown beside them instead of the
            paths; no rows where it cannot be read.
        pictures: image_id to picture, of `rows` and of what is to be shown beside them; what cannot be read is absent.
        missing: why something could not be read, else empty.
    """

    rows: pd.DataFrame
    pictures: dict[str, Image.Image]
    missing: str


def read_worst(number: int) -> Worst:
    """Read the first pictures of the review table.

    Args:
        number: how many.
    """
    rows, pictures = pd.DataFrame(columns=REVIEW.schema.names), {}
    try:
        files = TrackedFiles()
        rows = REVIEW.parse(files.read(REVIEW.path)).head(number)
        rows = _with_examples(files, rows)
        pictures = read_pictures(files, set(rows[["image_id", *BESIDE]].to_numpy().ravel()))
    except RetrainError as error:  # a review without pictures is better than none
        return Worst(rows, pictures, str(error))
    return Worst(rows, pictures, "")


def beside(row: Mapping[Any, Any]) -> dict[str, str]:
    """Name the pictures that belong beside one: what they are, to their image_id.

    Args:
        row: of `Worst.rows`.
    """
    return {words: row[name] for name, words in BESIDE.items() if isinstance(row.get(name), str)}


def _with_examples(files: TrackedFiles, rows: pd.DataFrame) -> pd.DataFrame:
    """Replace the paths of the pictures that are shown beside others by their image_ids."""
    if rows[list(BESIDE)].isna().all(axis=None):
        return rows
    images = IMAGES.parse(files.read(IMAGES.path), ["path", "image_id"])
    image_ids = images.drop_duplicates("path").set_index("path")["image_id"]
    return rows.assign(**{name: rows[name].map(image_ids) for name in BESIDE})
