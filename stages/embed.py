"""Embed every readable picture by a network with published weights, which knows none of our labels.

The embeddings depend on pixels alone: a merge, a relabel or a cut-off changes none. On one core about 100 pictures
a second at 224 pixels; what was embedded before is remembered.

Reads: data/shards/, data/pretrained/
Writes: data/embeddings/ (rows.parquet: image_id; embeddings.npy: rows x features, float16)
Params: picture, pretrained
"""

import logging
from collections.abc import Sequence
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.errors import InputError
from runtime.identity import code_identity
from runtime.outputs import whole
from runtime.wording import counted
from runtime.workers import over
from stages.embeddings import graph
from stages.memos.embedding_memo import EmbeddingMemo
from stages.shards.index import read_index
from stages.shards.tars import read_member
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS, FOLDER
from stages.tables.pretrained import Published, paths, read_published
from stages.tables.shards import FOLDER as SHARDS

log = logging.getLogger(__name__)

# Our code that an embedding depends on, in addition to the picture, the network and the parameters.
COMPUTING = ("stages.embed", "stages.embeddings.graph", "stages.images", "stages.shard", "stages.shards")


class Member(NamedTuple):
    """Where a picture stands in the shards; offset and size in bytes."""

    image_id: str
    shard: str
    offset: int
    size: int


def embed(member: Member, side: int, network: str, sha256: str) -> NDArray[np.float16]:
    """Embed one picture of the shards.

    Args:
        member: the picture.
        side: of the picture in pixels.
        network: whose graph in data/pretrained embeds it.
        sha256: of the graph.

    Returns:
        Of shape (features,), float16.

    Raises:
        InputError: shard or graph is absent, or is another than the index or the description says.
    """
    content = read_member(Path(SHARDS) / member.shard, member.image_id, member.offset, member.size)
    return graph.embed(graph.decoded(content, side, member.image_id), paths(network).graph, sha256)


def embed_all(index: pd.DataFrame, published: Published, side: int) -> NDArray[np.float16]:
    """Embed pictures; those that were embedded before are looked up.

    Args:
        index: columns `image_id`, `shard`, `offset`, `size`.
        published: what is known of the network.
        side: of the prepared pictures in pixels.

    Returns:
        Of shape (pictures, features), float16, in the order of the index.
    """
    settings = [published.graph_sha256, side, version("onnxruntime")]
    memo = EmbeddingMemo(code_identity(COMPUTING, settings))
    image_ids = index["image_id"].tolist()
    known, remembered = memo.recall(image_ids)
    columns = ["image_id", "shard", "offset", "size"]
    members = [Member(*row) for row in index.loc[~known, columns].itertuples(index=False)]
    log.info("embed: %s by %s, %s to embed", counted(len(index), "picture"), published.network, f"{len(members):,}")
    work = partial(embed, side=side, network=published.network, sha256=published.graph_sha256)
    embedded = list(over(work, members, "pictures"))
    together = _together(known, remembered, embedded)
    if members:
        memo.keep(image_ids, together)
    return together


def _together(
    known: NDArray[np.bool_], remembered: NDArray[np.float16], embedded: Sequence[NDArray[np.float16]]
) -> NDArray[np.float16]:
    num_features = len(embedded[0]) if embedded else remembered.shape[1]
    together = np.empty((len(known), num_features), np.float16)
    if known.any():
        together[known] = remembered
    if embedded:
        together[~known] = np.stack(embedded)
    return together


def main() -> None:
    """Run the stage."""
    side, network = parameters.read(parameters.Picture).side, parameters.read(parameters.Pretrained).network
    published, index = read_published(network), read_index().sort_values(["shard", "offset"], ignore_index=True)
    if index.empty:
        raise InputError("data/shards holds no picture. `dvc repro shard` packs them.")

    embeddings = embed_all(index, published, side)
    by_id = np.argsort(index["image_id"].to_numpy(), kind="stable")

    with whole(FOLDER) as folder:
        folder.mkdir()
        EMBEDDED.write(index[["image_id"]], str(folder / Path(EMBEDDED.path).name))
        np.save(folder / Path(EMBEDDINGS).name, embeddings[by_id])
    log.info("embed: %s of %d features", counted(len(embeddings), "embedding"), embeddings.shape[1])


if __name__ == "__main__":
    run(main)
