"""The pictures that a person should look at first, as the network saw them, from wherever DVC finds them.

What is not in the workspace is read from DVC's cache or its remote, of a shard only the pictures that are asked for.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from io import BytesIO
from typing import Any

import pandas as pd
from PIL import Image

from stages.tables.images import IMAGES
from stages.tables.review import REVIEW
from stages.tables.shards import FOLDER, INDEX

# The pictures to be shown beside one, where the review table names their paths: its columns, and what they are.
BESIDE = {"truth_example": "typical of the truth", "predicted_example": "typical of the answer"}
FORMATS = ("WEBP", "PNG")  # of shards


@dataclass(frozen=True)
class Worst:
    """Pictures to look at.

    Attributes:
        rows: of the review table, worst first, with the image_ids of what is to be shown beside them in place of the
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
        from dvc.api import DVCFileSystem

        files = DVCFileSystem()
        rows = pd.read_parquet(BytesIO(files.read_bytes(REVIEW.path))).head(number)
        if rows[list(BESIDE)].notna().any(axis=None):
            images = pd.read_parquet(BytesIO(files.read_bytes(IMAGES.path)), columns=["path", "image_id"])
            image_ids = images.drop_duplicates("path").set_index("path")["image_id"]
            rows = rows.assign(**{name: rows[name].map(image_ids) for name in BESIDE})
        pictures = _read_pictures(files, set(rows[["image_id", *BESIDE]].to_numpy().ravel()))
    except Exception as error:  # each remote's client raises what it likes, and a review without pictures beats none
        return Worst(rows, pictures, f"{type(error).__name__}: {error}")
    return Worst(rows, pictures, "")


def beside(row: Mapping[Any, Any]) -> dict[str, str]:
    """Name the pictures that belong beside one: what they are, to their image_id.

    Args:
        row: of `Worst.rows`.
    """
    return {words: row[name] for name, words in BESIDE.items() if isinstance(row.get(name), str)}


def _read_pictures(files: Any, image_ids: Collection[object]) -> dict[str, Image.Image]:
    index = pd.read_parquet(BytesIO(files.read_bytes(INDEX.path)))
    pictures = {}
    for shard, places in index[index["image_id"].isin(list(image_ids))].groupby("shard"):
        with files.open(f"{FOLDER}/{shard}") as tar:
            for place in places.itertuples():
                tar.seek(place.offset)
                pictures[str(place.image_id)] = _decode(tar.read(place.size))
    return pictures


def _decode(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data), formats=FORMATS) as image:
        return image.convert("RGB")
