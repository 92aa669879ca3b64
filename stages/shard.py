"""Prepare every readable picture for the network, and pack it into shards: pixels do not depend on labels.

Kept pictures stay where the base's index has them, new ones go into new shards, and a shard whose picture's file was
deleted is the only one to change. All this follows from the base's index and the pictures alone.

Reads: data/fingerprints.parquet, data/library/, data/benchmarks/, data/unlabelled/, data/base/ (index of the shards)
Writes: data/shards/NNNNN.tar, data/shards/index.parquet (image_id, shard, offset, size)
Params: picture, fingerprint, shard
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from functools import partial
from itertools import islice
from pathlib import Path

import pandas as pd

from stages import _params
from stages._base import FOLDER as BASE
from stages._base import has_base
from stages._command import run
from stages._errors import InputError
from stages._outputs import whole
from stages._shards import write_shard
from stages._workers import over
from stages.images.codec import encode
from stages.images.decode import UnreadableError, decode
from stages.images.letterbox import letterbox
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.shards import FOLDER, INDEX

log = logging.getLogger(__name__)

DATA = Path("data")
Plan = list[tuple[str, list[str]]]


def plan_shards(image_ids: Collection[str], base_index: pd.DataFrame | None, num_images: int) -> Plan:
    """Say which picture goes into which shard.

    Args:
        image_ids: every picture, once.
        base_index: columns `image_id`, `shard` in the order of the shards' members, or None.
        num_images: how many a new shard holds at most.

    Returns:
        The shards' file names and their members in order; no shard is empty.
    """
    plan: Plan = []
    wanted, next_number = set(image_ids), 0
    if base_index is not None and len(base_index):
        next_number = int(str(base_index["shard"].max()).removesuffix(".tar")) + 1
        kept = base_index[base_index["image_id"].isin(wanted)]
        plan = [(str(shard), members["image_id"].tolist()) for shard, members in kept.groupby("shard", sort=True)]
        wanted -= set(kept["image_id"])
    new = sorted(wanted)
    for number, start in enumerate(range(0, len(new), num_images), start=next_number):
        plan.append((f"{number:05d}.tar", new[start : start + num_images]))
    return plan


def prepare(path: str, size: int, codec: str, max_pixels: int) -> bytes:
    """Decode, turn upright, letterbox and encode one picture.

    Args:
        path: relative to data/.
        size: side of the square in pixels.
        codec: "webp" or "png".
        max_pixels: a picture with more is not decoded.

    Raises:
        InputError: the file is no longer what was fingerprinted.
    """
    try:
        image = decode((DATA / path).read_bytes(), max_pixels).image
    except (OSError, UnreadableError) as error:
        raise InputError(f"data/{path} was readable and is not now: {error}. Run `dvc repro` again.") from None
    return encode(letterbox(image, size), codec)


def write_shards(folder: Path, plan: Plan, prepared: Iterator[bytes], suffix: str) -> pd.DataFrame:
    """Write the shards one after the other.

    Args:
        folder: to write to.
        plan: what `plan_shards` returned.
        prepared: the encoded pictures in the order of the plan.
        suffix: of the members' names, such as "webp".

    Returns:
        The index: columns `image_id`, `shard`, `offset`, `size`.
    """
    parts = []
    for shard, members in plan:
        names = (f"{image_id}.{suffix}" for image_id in members)
        places = write_shard(folder / shard, zip(names, islice(prepared, len(members)), strict=True))
        offsets, sizes = zip(*places, strict=True)
        parts.append(pd.DataFrame({"image_id": members, "shard": shard, "offset": offsets, "size": sizes}))
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Run the stage."""
    picture, params = _params.read(_params.Picture), _params.read(_params.Shard)
    max_pixels = _params.read(_params.Fingerprint).max_pixels
    fingerprints = FINGERPRINTS.read()
    paths = fingerprints[fingerprints["error"].isna()].drop_duplicates("image_id").set_index("image_id")["path"]
    base_index = INDEX.read(f"{BASE}/shards/index.parquet") if has_base() else None

    plan = plan_shards(paths.index, base_index, params.images)
    ordered: Sequence[str] = [paths[image_id] for _, members in plan for image_id in members]
    if not ordered:
        raise InputError("no picture can be read: the column `error` of data/fingerprints.parquet says why.")
    work = partial(prepare, size=picture.size, codec=params.codec, max_pixels=max_pixels)

    with whole(FOLDER) as folder:
        folder.mkdir()
        index = write_shards(folder, plan, over(work, ordered, "pictures"), params.codec)
        INDEX.write(index, str(folder / "index.parquet"))
    log.info(
        "shard: %d pictures in %d shards, %.1f MB; %d pictures stand where the base has them",
        len(index),
        len(plan),
        index["size"].sum() / 1e6,
        0 if base_index is None else base_index["image_id"].isin(index["image_id"]).sum(),
    )


if __name__ == "__main__":
    run(main)
