"""Prepare every readable picture for the network, and pack it into shards: pixels do not depend on labels.

Kept pictures stay where the base's index has them, new ones go into new shards, and a shard whose picture's file was
deleted is the only one to change; in the cycle that `shard.compacted` names, all but the full ones are packed again.
All this follows from the base, the pictures and the parameters. What an earlier run prepared is not prepared again.

Reads: data/fingerprints.parquet, data/library/, data/benchmarks/, data/unlabelled/, data/base/ (index, version)
Writes: data/shards/NNNNN.tar, data/shards/index.parquet (image_id, shard, offset, size)
Params: picture, fingerprint, shard
"""

import logging
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path

import pandas as pd

from runtime import parameters
from runtime.command import run
from runtime.digest import md5_of_bytes
from runtime.errors import InputError, ParameterError
from runtime.identity import code_identity
from runtime.outputs import whole
from runtime.wording import counted
from runtime.workers import over
from stages.images.decode import decode
from stages.images.errors import UnreadableError
from stages.images.letterbox import letterbox
from stages.memos.shard_memo import ShardMemo, dvc_objects
from stages.models.base import BASE_INDEX, base_version, has_base
from stages.shards.codec import encode
from stages.shards.index import read_index
from stages.shards.tars import write_shard
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.shards import FOLDER, INDEX

log = logging.getLogger(__name__)

DATA = Path("data")
# Our code that a shard's bytes depend on, in addition to the pictures and the parameters.
PREPARING = ("stages.shard", "stages.shards", "stages.images")
Plan = list[tuple[str, list[str]]]


def plan_shards(
    image_ids: Collection[str], base_index: pd.DataFrame | None, num_images: int, compact: bool = False
) -> Plan:
    """Say which picture goes into which shard.

    Args:
        image_ids: every picture, once.
        base_index: columns `image_id`, `shard` in the order of the shards' members, or None.
        num_images: how many a new shard holds at most.
        compact: keep of the base's shards only those that hold `num_images` still; the others' pictures go into new
            shards like those that the base does not have.

    Returns:
        The shards' file names and their members in order; no shard is empty.
    """
    plan: Plan = []
    next_number = 0
    if base_index is not None and len(base_index):
        next_number = int(str(base_index["shard"].max()).removesuffix(".tar")) + 1
        here = base_index[base_index["image_id"].isin(list(image_ids))]
        plan = [(str(shard), members.tolist()) for shard, members in here.groupby("shard", sort=True)["image_id"]]
        plan = [(shard, members) for shard, members in plan if not compact or len(members) == num_images]
    new = sorted(set(image_ids).difference(*(members for _, members in plan)))
    for number, start in enumerate(range(0, len(new), num_images), start=next_number):
        plan.append((f"{number:05d}.tar", new[start : start + num_images]))
    return plan


def wants_compaction(base_version: int, compacted: int) -> bool:
    """Say whether the base is older than the last cycle for which a compaction was asked.

    Args:
        base_version: of the release that the base is.
        compacted: the cycle in which shards were last compacted, `shard.compacted`.

    Raises:
        ParameterError: that cycle is yet to come.
    """
    if compacted > base_version + 1:
        raise ParameterError(
            f"shard.compacted is {compacted}, and the cycle after model {base_version} is {base_version + 1}: it would "
            "compact again in every cycle until then. `make compact` sets it right."
        )
    return base_version < compacted


def prepare(picture: tuple[str, str], size: int, codec: str, max_pixels: int) -> bytes:
    """Decode, turn upright, letterbox and encode one picture.

    Args:
        picture: its image_id, and its path relative to data/.
        size: side of the square in pixels.
        codec: "webp" or "png".
        max_pixels: a picture with more is not decoded.

    Raises:
        InputError: the file is no longer what was fingerprinted. Nothing else may enter a shard or the memo.
    """
    image_id, path = picture
    try:
        data = (DATA / path).read_bytes()
        if md5_of_bytes(data) != image_id:
            raise InputError(f"data/{path} changed after it was fingerprinted. Run `make repro` again.")
        image = decode(data, max_pixels).image
    except (OSError, UnreadableError) as error:
        raise InputError(f"data/{path} was readable and is not now: {error}. Run `make repro` again.") from None
    return encode(letterbox(image, size), codec)


def write_shards(folder: Path, plan: Plan, memo: ShardMemo, prepared: Iterator[bytes], suffix: str) -> pd.DataFrame:
    """Write the shards one after the other.

    Args:
        folder: to write to.
        plan: what `plan_shards` returned.
        memo: of pictures that were prepared before.
        prepared: the others, encoded, in the order of the plan.
        suffix: of the members' names, such as "webp".

    Returns:
        The index: columns `image_id`, `shard`, `offset`, `size`.
    """
    parts = []
    for shard, members in plan:
        part = memo.copy(folder / shard)
        if part is None:
            contents = (memo.read(image_id) if image_id in memo else next(prepared) for image_id in members)
            extents = write_shard(folder / shard, zip((f"{name}.{suffix}" for name in members), contents, strict=True))
            offsets, sizes = zip(*extents, strict=True)
            part = pd.DataFrame({"image_id": members, "offset": offsets, "size": sizes})
        parts.append(part.assign(shard=shard))
    if next(prepared, None) is not None:  # also lets the workers end
        raise ValueError("more pictures were prepared than the plan has")
    return pd.concat(parts, ignore_index=True)


def main() -> None:
    """Run the stage."""
    picture, params = parameters.read(parameters.Picture), parameters.read(parameters.Shard)
    max_pixels = parameters.read(parameters.Fingerprint).max_pixels
    fingerprints = FINGERPRINTS.read()
    paths = fingerprints[fingerprints["error"].isna()].drop_duplicates("image_id").set_index("image_id")["path"]
    base_index = read_index(BASE_INDEX) if has_base() else None
    compact = base_index is not None and wants_compaction(base_version(), params.compacted)
    if paths.empty:
        raise InputError("no picture can be read: the column `error` of data/fingerprints.parquet says why.")

    plan = plan_shards(paths.index, base_index, params.images, compact)
    work = partial(prepare, size=picture.side, codec=params.codec, max_pixels=max_pixels)
    identity = code_identity(PREPARING, [picture.side, params.codec])
    with ShardMemo(identity, plan, dvc_objects()) as memo, whole(FOLDER) as folder:
        folder.mkdir()
        sides = f"{picture.side} x {picture.side}"
        num_missing = f"{len(memo.missing):,}"
        log.info("shard: %s of %s pixels, %s to prepare", counted(len(paths), "picture"), sides, num_missing)
        prepared = over(work, list(paths[memo.missing].items()), "pictures")
        index = write_shards(folder, plan, memo, prepared, params.codec)
        INDEX.write(index, str(folder / "index.parquet"))
        memo.keep(folder, index)

    log.info(
        "shard: %s in %s, %.1f MB; %s in the same shard as in the base",
        counted(len(index), "picture"),
        counted(len(plan), "shard"),
        index["size"].sum() / 1e6,
        "none" if base_index is None else f"{len(index.merge(base_index, on=['image_id', 'shard'])):,}",
    )


if __name__ == "__main__":
    run(main)
