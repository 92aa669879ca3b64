"""Pictures as the network sees them, read from the shards of the workspace or of a commit.

What is not in the workspace is read from DVC's cache or its remote. Of a shard only the pictures that are wanted are
read.
"""

from collections.abc import Collection
from io import BytesIO
from pathlib import Path

from PIL import Image

from runtime.errors import InputError
from runtime.tracked_files import TrackedFiles
from stages.shards.index import parse_index
from stages.shards.tars import BLOCK, content_of
from stages.tables.shards import FOLDER, INDEX

FORMATS = ("WEBP", "PNG")  # of shards


def read_pictures(files: TrackedFiles, image_ids: Collection[object]) -> dict[str, Image.Image]:
    """Read pictures.

    Args:
        files: of the workspace or of a commit.
        image_ids: of the pictures; one that no shard holds is absent from what is returned.

    Returns:
        image_id to picture.

    Raises:
        RetrainError: the index or a shard cannot be read.
    """
    index = parse_index(files.read(INDEX.path))
    pictures = {}
    for shard, rows in index[index["image_id"].isin(list(image_ids))].groupby("shard"):
        path = f"{FOLDER}/{shard}"
        extents = zip(rows["offset"] - BLOCK, rows["size"] + BLOCK, strict=True)
        members = files.read_parts(path, [(int(offset), int(size)) for offset, size in extents])
        for image_id, size, member in zip(rows["image_id"], rows["size"], members, strict=True):
            pictures[image_id] = _decode(content_of(member, image_id, size, Path(path)), path)
    return pictures


def _decode(content: bytes, shard: str) -> Image.Image:
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            return image.convert("RGB")
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for bytes that are no picture
        kind = type(error).__name__
        raise InputError(f"{shard} is damaged ({kind}): `dvc checkout --force {FOLDER}` brings it back.") from None
