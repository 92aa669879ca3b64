"""The index of the shards: read, and refused where pictures cannot be as it says, before one is looked up by it."""

import re

import numpy as np
import pandas as pd

from runtime.errors import InputError
from stages.shards.tars import BLOCK, REMEDY
from stages.tables.shards import INDEX

_SHARD = re.compile(r"\d{5,9}\.tar", re.ASCII)
# Encoded without loss, a picture of the largest `picture.side` takes about 3 MB at the most.
MAX_PICTURE_BYTES = 2**24
# A shard of 20,000 such pictures is smaller.
MAX_SHARD_BYTES = 2**40


def read_index(path: str = INDEX.path) -> pd.DataFrame:
    """Read the index.

    Args:
        path: by default that of data/shards; else the base's.

    Returns:
        Columns `image_id`, `shard`, `offset`, `size`.

    Raises:
        InputError: the file is no index, or `fault` finds one.
    """
    return _checked(INDEX.read(path), path)


def parse_index(content: bytes) -> pd.DataFrame:
    """Read the index of data/shards out of the bytes of its file; as `read_index`."""
    return _checked(INDEX.parse(content), INDEX.path)


def fault(index: pd.DataFrame) -> str | None:
    """Say what cannot be true of an index, whatever the shards hold.

    Args:
        index: columns `image_id`, `shard`, `offset`, `size`; of pictures in tars.

    Returns:
        None where all may be true.
    """
    if index[["image_id", "shard", "offset", "size"]].isna().any(axis=None):
        return "has empty fields"
    offsets, sizes = (index[name].to_numpy(np.int64) for name in ("offset", "size"))
    outside = (offsets < BLOCK) | (offsets > MAX_SHARD_BYTES) | (offsets % BLOCK != 0)
    outside |= (sizes < 1) | (sizes > MAX_PICTURE_BYTES)
    if outside.any():
        row = int(outside.argmax())
        return f"has the picture {index['image_id'].iloc[row]} at {offsets[row]}, {sizes[row]} bytes: no tar does"
    shards = pd.factorize(index["shard"])[0]
    order = np.lexsort([offsets, shards])
    shards, starts, ends = shards[order], (offsets - BLOCK)[order], (offsets + sizes)[order]
    overlapping = (shards[1:] == shards[:-1]) & (starts[1:] < ends[:-1])
    if overlapping.any():
        first, second = index["image_id"].iloc[order[overlapping.argmax() :][:2]]
        return f"has the pictures {first} and {second} overlap"
    return None


def _checked(index: pd.DataFrame, path: str) -> pd.DataFrame:
    problem = fault(index)
    strange = [] if problem else [name for name in index["shard"].unique() if not _SHARD.fullmatch(name)]
    if strange:
        problem = f"names the shard {strange[0]!r}, where 00000.tar and so on are expected"
    elif not problem and (again := index["image_id"].duplicated()).any():
        problem = f"has the picture {index['image_id'][again].iloc[0]} twice"
    if problem:
        remedy = REMEDY if path == INDEX.path else f"`dvc checkout --force {path}` brings it back."
        raise InputError(f"{path} {problem}. {remedy}")
    return index
