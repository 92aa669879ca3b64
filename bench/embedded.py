"""Photographs of an archive, and what the frozen network of data/pretrained sees in them."""

import tarfile
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bench.harness import in_processes
from stages.embeddings import graph
from stages.embeddings.vectors import units
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.tables.pretrained import paths, read_published

NETWORK = "efficientnet_lite0"
MAX_PIXELS = 100_000_000


class Photographs(NamedTuple):
    """Photographs in the order of their paths.

    Attributes:
        paths: in the archive.
        vectors: their embeddings, of shape (pictures, features), float32, of length 1.
    """

    paths: NDArray[np.str_]
    vectors: NDArray[np.float32]

    @property
    def labels(self) -> NDArray[np.str_]:
        """The folder of each, `_kids` merged; empty for those without a label."""
        parts = [path.split("/") for path in self.paths]
        return np.array([each[1].removesuffix("_kids") if each[0] == "library" else "" for each in parts])


def embed(content: bytes, sha256: str, side: int) -> NDArray[np.float16]:
    """Embed a file's bytes."""
    return graph.embed(letterbox(decode(content, MAX_PIXELS).image, side), paths(NETWORK).graph.resolve(), sha256)


def read_embedded(archive: Path, work: Path) -> Photographs:
    """Read and embed the photographs of an archive; `work` keeps what was embedded."""
    published = read_published(NETWORK)
    kept = work / f"{archive.stem}-{published.graph_sha256[:16]}.npz"
    if not kept.exists():
        with tarfile.open(archive) as tar:
            members = sorted((member for member in tar if member.isfile()), key=lambda member: member.name)
            members = [member for member in members if member.name.endswith((".jpg", ".jpeg", ".png"))]
            contents = [tar.extractfile(member).read() for member in members]
        work_on = partial(embed, sha256=published.graph_sha256, side=published.side)
        embeddings = np.stack(in_processes(work_on, contents))
        work.mkdir(parents=True, exist_ok=True)
        np.savez(kept, paths=[member.name for member in members], embeddings=embeddings)
    with np.load(kept) as saved:
        return Photographs(saved["paths"], units(saved["embeddings"]))
