"""model.json: what a model's folder says about itself. Reading it loads no Keras."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from runtime.errors import BaseError, InputError, RetrainError
from runtime.json_files import read_json
from runtime.parameters import LARGEST_SIDE
from stages.models.base import BASE
from stages.tables.model import DESCRIPTION, FOLDER, MAX_CLASSES, ClassName

MAX_ORIGINS = 10_000  # one per release: more than a model can have had


class Origin(BaseModel):
    """Weights that a training began with.

    Attributes:
        path: of the file: the base's, or what `train.weights` named.
        weights_sha256: of the file as it was then.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    path: Annotated[str, Field(min_length=1)]
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


class Description(BaseModel):
    """What model.json holds.

    Attributes:
        format: of the folder; a higher number when its contents change.
        network: its name, as `networks.build` takes it.
        size: side of the square pictures that it takes, in pixels.
        weights_sha256: of model.weights.h5.
        sub_classes: those that each class was made of, sorted.
        began_with: the weights that this model began with, those that these began with before them, and so on back to
            the first; empty for weights drawn at random.
        embedded_by: SHA-256 of the graph whose embeddings class_means.npy has the means of; None without that file, as
            models have it that were trained before there was one.
        deterministic: whether training again gives the same weights.
    """

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)
    format: Literal[1]
    network: Annotated[str, Field(min_length=1)]
    size: Annotated[int, Field(ge=1, le=LARGEST_SIDE)]
    weights_sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    sub_classes: Annotated[dict[ClassName, list[ClassName]], Field(max_length=MAX_CLASSES)]
    began_with: Annotated[list[Origin], Field(max_length=MAX_ORIGINS)] = []
    embedded_by: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    deterministic: bool = True


_FORM = TypeAdapter(Description)


def read_description(folder: Path, error: type[RetrainError] = InputError) -> Description:
    """Read the model.json of a model's folder.

    Args:
        folder: of the model.
        error: what to raise; `BaseError` where the folder is the base's.

    Raises:
        RetrainError: of the type `error`: the file is absent or malformed.
    """
    return read_json(folder / DESCRIPTION, _FORM, "description of a model", remedy(folder), error)


def require_same(base: Description, network: str, size: int) -> None:
    """Refuse a base that training cannot start from.

    Args:
        base: of the base's model.
        network: that is to be trained.
        size: side of its pictures in pixels.

    Raises:
        BaseError: the base has another network or input size.
    """
    if base.network != network:
        raise BaseError(
            f"{BASE} is a {base.network}, params.yaml: train.network says {network}: a warm start needs the same. "
            f"Set train.network to {base.network}, or empty {BASE} (`dvc add {BASE}` then) to train from scratch."
        )
    if base.size != size:
        raise BaseError(
            f"{BASE} takes pictures of {base.size} pixels, params.yaml: picture.side says {size}: a warm start needs "
            f"the same. Set picture.side to {base.size}, or empty {BASE} (`dvc add {BASE}` then) to train from scratch."
        )


def remedy(folder: Path) -> str:
    """Say what brings a model's folder back."""
    if folder == Path(FOLDER):
        return f"`dvc repro --force train` writes it again, `dvc checkout {FOLDER}` brings back the tracked one."
    return f"`dvc checkout {folder.parent}` brings back the tracked one."
