"""Say whether pictures are here already, where, and under which label, before somebody adds them: `make known`.

They are compared as `dedup` compares: by their perceptual hashes, mirrored and turned too, and by what the frozen
network sees; thumbnails decide. What the last run saw counts. Nothing is written.

    python -m intake.known --files "photo.jpg folder"

Reads: the files named; data/fingerprints.parquet, data/embeddings/, data/images.parquet, data/pretrained/,
    data/decisions/
"""

import argparse
import logging
import os
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.digest import md5_of_bytes
from runtime.errors import InputError
from runtime.litter import is_litter
from runtime.progress import progress
from runtime.regular_files import read_small
from runtime.repository import require_root
from runtime.wording import counted
from stages.duplicates.comparison import Comparison
from stages.duplicates.copies import are_copies, looks_in
from stages.duplicates.neighbours import rounded
from stages.duplicates.registration import register
from stages.embeddings import graph
from stages.embeddings.vectors import read_vectors, units
from stages.fingerprint import MAX_BYTES, fingerprint
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.labels import decisions
from stages.shards.codec import encode
from stages.tables.embeddings import EMBEDDED
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES
from stages.tables.pretrained import paths, read_published

log = logging.getLogger(__name__)

Embed = Callable[[bytes, str], NDArray[np.float16]]
_SAME_FILE, _SAME_PIXELS, _NEAR = "the same file as", "the same pixels as", "resembles"


def find_known(
    asked: pd.DataFrame,
    known: pd.DataFrame,
    params: parameters.Dedup,
    vectors: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> pd.DataFrame:
    """Find the known pictures that show the same as those asked about.

    Args:
        asked: columns `image_id`, `phash`, `pixels`, `thumbnail`, `width`, `height`.
        known: likewise.
        params: how similar near-duplicates are.
        vectors: of `asked` and of `known`, shape (pictures, features) each, of length 1; zeros where there is none.

    Returns:
        Columns `asked`, `known` (rows), `how`, each pair once; of a picture asked about the most similar first.
    """
    pictures = pd.concat([asked, known], ignore_index=True)
    comparison = Comparison(pictures, params, np.arange(len(pictures)) >= len(asked))
    by_hash = pd.concat([comparison.search(start) for start in comparison.starts])
    by_network = comparison.judge(*_copies(pictures, params, *vectors))
    pairs = pd.concat([by_hash, by_network]).drop_duplicates(["first", "second"])
    pairs = pairs[(pairs["first"] < len(asked)) & (pairs["second"] >= len(asked))]
    image_ids = pictures["image_id"].to_numpy()
    is_same = image_ids[pairs["first"]] == image_ids[pairs["second"]]
    how = np.select([is_same, pairs["identical"]], [_SAME_FILE, _SAME_PIXELS], _NEAR)
    pairs = pairs.assign(asked=pairs["first"], known=pairs["second"] - len(asked), how=how, rank=~is_same)
    ordered = pairs.sort_values(["asked", "rank", "distance", "known"], ignore_index=True)
    return ordered[["asked", "known", "how"]]


def _copies(
    pictures: pd.DataFrame, params: parameters.Dedup, asked: NDArray[np.float32], known: NDArray[np.float32]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """The pairs of a picture asked about and a neighbour of it that, laid over each other, show the same."""
    number, whole = min(params.neighbours, len(known)), rounded(known).T
    nearest = np.empty((len(asked), number), np.int64)
    for row, vector in enumerate(rounded(asked)):  # of 100,000 pictures the cosines of all to all would be gigabytes
        nearest[row] = np.argsort(-(vector @ whole), kind="stable")[:number]
    first, second = np.repeat(np.arange(len(asked)), number), len(asked) + nearest.ravel()
    edges, colours, turn = register(looks_in(pictures), first, second).T
    copies = are_copies(pd.DataFrame({"edges": edges, "colours": colours}), params).to_numpy()
    return first[copies], second[copies], turn[copies].astype(np.int64)


def list_files(names: str) -> list[Path]:
    """List the files named, and those below the folders named, sorted; none twice.

    Args:
        names: one file or folder, or several as a shell has them: with spaces between them, or in quotes.

    Raises:
        InputError: no name was given, there is no such file, or a folder holds none.
    """
    try:
        each = [names] if os.path.exists(names) else shlex.split(names)  # noqa: PTH110 (a long list is no path)
    except ValueError as error:
        raise InputError(f"{names} cannot be read as names of files: {error}.") from None
    if not names or not each:
        raise InputError('Name pictures, or folders of them: `make known FILES="photo.jpg folder"`.')
    return sorted({file for name in each for file in _files_in(Path(os.path.expanduser(name)))})  # noqa: PTH111 (as above)


def _files_in(path: Path) -> list[Path]:
    if not path.is_dir():
        if not path.exists():
            raise InputError(f"{path} is not there. Name pictures, or folders of them.")
        return [path]
    inside = [file for file in path.rglob("*") if file.is_file() and not is_litter(str(file.relative_to(path)))]
    if not inside:
        raise InputError(f"{path} holds no files.")
    return inside


def _read(path: Path, max_pixels: int, embed: Embed) -> dict[str, object]:
    """Read one file: its image_id, fingerprint and embedding, or why it cannot be read."""
    try:
        data = read_small(path, MAX_BYTES, "")
    except InputError as error:
        return {"error": str(error).strip()}
    image_id = md5_of_bytes(data)
    row = {"image_id": image_id, "error": None, **fingerprint(data, max_pixels)}
    if row["error"] is None:
        row["vector"] = embed(data, image_id)
    return row


def _embedder(max_pixels: int) -> Embed:
    """Give what embeds a file, by its bytes and image_id, as the stages `shard` and `embed` do."""
    side, codec = parameters.read(parameters.Picture).side, parameters.read(parameters.Shard).codec
    network = parameters.read(parameters.Pretrained).network
    path, sha256 = paths(network).graph, read_published(network).graph_sha256

    def embed(data: bytes, image_id: str) -> NDArray[np.float16]:
        prepared = encode(letterbox(decode(data, max_pixels).image, side), codec)
        return graph.embed(graph.decoded(prepared, side, image_id), path, sha256)

    return embed


def _vectors(image_ids: pd.Series) -> NDArray[np.float32]:
    """Embeddings of known pictures; zeros for those that were not embedded yet."""
    there = image_ids.isin(EMBEDDED.read()["image_id"]).to_numpy()
    embedded = read_vectors(image_ids[there])
    vectors = np.zeros((len(image_ids), embedded.shape[1]), np.float32)
    vectors[there] = embedded
    return vectors


def _labels(images: pd.DataFrame) -> pd.Series:
    """What is said of each file of the library and the benchmarks, by its path."""
    label = images["sub_class"].fillna("no class")
    merged = images["class_name"].notna() & (images["class_name"] != images["sub_class"])
    label = label.where(~merged, label + ", a part of " + images["class_name"].fillna(""))
    return label.where(images["dropped"].isna(), label + "; not used: " + images["dropped"].fillna("")).set_axis(
        images["path"]
    )


def _places(known: pd.Series, everything: pd.DataFrame, labels: pd.Series) -> list[str]:
    """Say of each known picture where its files are, and under which label."""
    said = dict.fromkeys(everything["path"], "not labelled yet") | labels.to_dict()
    files = everything["path"].map(lambda path: f"data/{path} ({said[path]})")
    return files.groupby(everything["image_id"]).agg(" and ".join).loc[known].tolist()


def _matches(asked: pd.DataFrame, params: parameters.Dedup) -> dict[int, list[str]]:
    """Say what each of the files is known as, by its number; columns of `_read`, no error."""
    everything = FINGERPRINTS.read()
    known = everything[everything["error"].isna()].drop_duplicates("image_id")
    places = _places(known["image_id"], everything, _labels(IMAGES.read()))
    vectors = units(np.stack(asked["vector"].tolist())), _vectors(known["image_id"])
    removed = decisions.settle(decisions.read_decisions(decisions.FOLDER, None)).removed
    found = [["somebody decided to remove this file"] if image_id in removed else [] for image_id in asked["image_id"]]
    for first, second, how in find_known(asked, known, params, vectors).itertuples(index=False):
        found[first].append(f"{how} {places[second]}")
    return dict(zip(asked.index.tolist(), found, strict=True))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m intake.known", description="Say which pictures are here already.")
    parser.add_argument("--files", required=True, help="pictures, and folders of them")
    files = list_files(parser.parse_args().files)
    require_root()
    params, max_pixels = parameters.read(parameters.Dedup), parameters.read(parameters.Fingerprint).max_pixels
    embed = _embedder(max_pixels)
    read = [_read(path, max_pixels, embed) for path in progress(files, len(files), "pictures")]
    readable = {number: row for number, row in enumerate(read) if row["error"] is None}
    # Apart from the others, of which a hash of 64 bits would become a float.
    asked = pd.DataFrame(list(readable.values()), index=list(readable))
    matches = _matches(asked.astype({"phash": np.uint64}), params) if readable else {}
    for number, (path, row) in enumerate(zip(files, read, strict=True)):
        known = "; ".join(matches.get(number, [])) or "new"
        log.info("%s: %s", path, known if number in matches else f"cannot be read: {row['error']}")
    num_known, num_unreadable = sum(map(bool, matches.values())), len(files) - len(readable)
    num_new = len(readable) - num_known
    log.info("%s: %d known, %d new, %d unreadable", counted(len(files), "file"), num_known, num_new, num_unreadable)


if __name__ == "__main__":
    run(main)
