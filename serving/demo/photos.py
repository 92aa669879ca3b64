"""What made-up visitors photograph: held-out pictures of this clone, as they are, dark or blurred; and other things."""

from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import ImageEnhance, ImageFilter

from review.beside_people import HELD_OUT
from runtime import parameters
from runtime.errors import InputError
from stages.images.decode import decode
from stages.labels.folders import DATA
from stages.tables.images import IMAGES
from stages.tables.splits import SPLITS

PLAIN, DARK, BLURRED, NO_PICTURE = "plain", "dark", "blurred", "no picture"
KINDS = (PLAIN, DARK, BLURRED, NO_PICTURE)
_BRIGHTNESS = 0.2  # of a dark one, as a share
_BLUR = 0.06  # radius in a blurred one, as a share of its shorter side
_DOCUMENT = b"%PDF-1.7\n% a visitor chose the wrong file\n"


class Photo(NamedTuple):
    """What somebody stands in front of.

    Attributes:
        path: of the picture, relative to data/.
        truth: its class; None: it shows nothing that the model knows.
    """

    path: str
    truth: str | None


class Photos(NamedTuple):
    """All that visitors photograph, in the order of the image_ids; nobody trained on any of it."""

    held_out: list[Photo]
    out_of_scope: list[Photo]


def read_photos() -> Photos:
    """List what visitors photograph.

    Raises:
        InputError: a table is absent, or none of the held-out pictures is here.
    """
    used = IMAGES.read().drop_duplicates("image_id")
    used = used[used["dropped"].isna()]
    splits = SPLITS.read()
    held_out = splits[splits["split"].isin(HELD_OUT)].merge(used[["image_id", "path"]], on="image_id")
    found = _here(held_out.sort_values("image_id"))
    if not found:
        raise InputError(
            f"of the {len(held_out)} held-out pictures that {SPLITS.path} names, none is in {DATA}/. `make pull` "
            "brings pictures; `make repro` makes the sample's own and trains on it."
        )
    return Photos(found, _here(used[used["set"] == "out_of_scope"].sort_values("image_id")))


def _here(rows: pd.DataFrame) -> list[Photo]:
    pairs = zip(rows["path"], rows["class_name"], strict=True)
    return [Photo(path, name if isinstance(name, str) else None) for path, name in pairs if (DATA / path).is_file()]


def taken(photo: Photo, kind: str) -> bytes:
    """Give the file that a visitor sends.

    Args:
        photo: of what.
        kind: of KINDS.
    """
    if kind == NO_PICTURE:
        return _DOCUMENT
    data = Path(DATA, photo.path).read_bytes()
    return data if kind == PLAIN else _worse(data, kind)


def _worse(data: bytes, kind: str) -> bytes:
    image = decode(data, parameters.read(parameters.Fingerprint).max_pixels).image.convert("RGB")
    if kind == DARK:
        image = ImageEnhance.Brightness(image).enhance(_BRIGHTNESS)
    else:
        image = image.filter(ImageFilter.GaussianBlur(_BLUR * min(image.size)))
    out = BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()
