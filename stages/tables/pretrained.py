"""`data/pretrained/`: a network's published weights, and the graph that embeds pictures with them."""

from pathlib import Path
from typing import NamedTuple

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from runtime.errors import InputError
from runtime.json_files import read_json

FOLDER = "data/pretrained"
_DIGEST = r"^[0-9a-f]{64}$"


class Published(BaseModel):
    """What `<network>.json` says; null where the publisher does not say."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid")

    network: str
    source: str
    version: str
    licence: str | None
    source_sha256: str | None
    weights_sha256: str = Field(pattern=_DIGEST)
    side: int = Field(ge=8, le=4096)  # pixels: of the pictures that the graph takes
    graph_sha256: str = Field(pattern=_DIGEST)


class Paths(NamedTuple):
    """Where the files of a network are."""

    weights: Path
    graph: Path  # ONNX: `pictures`, shape (n, side, side, 3), float32, 0 to 255, to `embedding`
    description: Path


def paths(network: str, folder: str | Path = FOLDER) -> Paths:
    """Name the files of a network."""
    return Paths(*(Path(folder) / f"{network}{ending}" for ending in (".weights.h5", ".onnx", ".json")))


def read_published(network: str) -> Published:
    """Read what is known of a network's published weights.

    Raises:
        InputError: the file is absent, or says something else.
    """
    remedy = "`dvc repro --force pretrained` writes it again."
    path = paths(network).description
    published = read_json(path, TypeAdapter(Published), "description of published weights", remedy)
    if published.network != network:
        raise InputError(f"{path} is about {published.network}. {remedy}")
    return published
