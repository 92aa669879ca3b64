"""Embed pictures that stand in no shard, as the stage `embed` does those that do: people see which are alike.

Of a picture that is not wanted any more nothing stays: the file is written anew, and the stage's memo is not used.
"""

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from runtime import parameters
from runtime.errors import InputError, RetrainError
from runtime.outputs import whole
from runtime.workers import over
from stages.embeddings import graph
from stages.images.decode import decode
from stages.images.errors import UnreadableError
from stages.images.letterbox import letterbox
from stages.tables.pretrained import Published, paths, read_published

_EMBEDDED_BY = b"embedded_by"  # in the file's metadata
Embedding = NDArray[np.float16]


def write_embeddings(path: Path, folder: Path, image_ids: Sequence[str]) -> None:
    """Write the embeddings of some pictures, and of no others; those that stand in the file are not computed again.

    Args:
        path: of the file: columns `image_id`, `embedding` (features, float16). It is gone where this fails.
        folder: holds the pictures, each under its image_id.
        image_ids: of the pictures, unique; one that cannot be read gets no row.

    Raises:
        RetrainError: the network of params.yaml is not in data/pretrained, or is another than its description says.
    """
    known: dict[str, Embedding] = {}
    with suppress(InputError):  # it is damaged, and written anew
        known = read_embeddings(path)
    path.unlink(missing_ok=True)
    side, published = _network()
    new = [each for each in image_ids if each not in known]
    max_pixels = parameters.read(parameters.Fingerprint).max_pixels
    work = partial(_embed, folder=folder, side=side, max_pixels=max_pixels, published=published)
    known |= {each: found for each, found in zip(new, over(work, new, "pictures"), strict=True) if found is not None}
    rows = [each for each in image_ids if each in known]
    if rows:
        _write(path, rows, np.stack([known[each] for each in rows]), _identity(side, published))


def read_embeddings(path: Path) -> dict[str, Embedding]:
    """Read embeddings, by image_id.

    Returns:
        Nothing where there is no file, or it is of another network or side than params.yaml names now: what `embed`
        wrote of the library cannot be compared with it.

    Raises:
        InputError: the file is damaged.
    """
    try:
        identity = _identity(*_network())
        table = pq.read_table(path)
    except (RetrainError, FileNotFoundError):
        return {}
    except (pa.ArrowException, OSError) as error:
        raise InputError(f"{path} is damaged ({error}). Delete it; `make harvest` writes it again.") from None
    if (table.schema.metadata or {}).get(_EMBEDDED_BY) != identity:
        return {}
    matrix = table["embedding"].combine_chunks().flatten().to_numpy().reshape(len(table), -1)
    return dict(zip(table["image_id"].to_pylist(), matrix, strict=True))


def _network() -> tuple[int, Published]:
    """Give the side of prepared pictures in pixels, and what is known of the network that embeds them."""
    network = parameters.read(parameters.Pretrained).network
    return parameters.read(parameters.Picture).side, read_published(network)


def _identity(side: int, published: Published) -> bytes:
    return f"{published.graph_sha256} {side}".encode()


def _embed(image_id: str, folder: Path, side: int, max_pixels: int, published: Published) -> Embedding | None:
    """Embed a picture, prepared as `shard` prepares it; None if it cannot be read."""
    try:
        image = decode((folder / image_id).read_bytes(), max_pixels).image
    except (OSError, UnreadableError):
        return None
    return graph.embed(letterbox(image, side), paths(published.network).graph, published.graph_sha256)


def _write(path: Path, image_ids: Sequence[str], embeddings: Embedding, identity: bytes) -> None:
    values = pa.FixedSizeListArray.from_arrays(pa.array(embeddings.ravel()), embeddings.shape[1])
    table = pa.table({"image_id": pa.array(image_ids, pa.string()), "embedding": values})
    with whole(path) as partial_path:
        pq.write_table(table.replace_schema_metadata({_EMBEDDED_BY: identity}), partial_path)
