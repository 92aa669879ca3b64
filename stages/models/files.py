"""A model's folder: weights, a description, the label map, and class means. Nothing in it is code."""

import hashlib
import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import h5py
import keras
import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError, RetrainError
from runtime.outputs import write_json
from runtime.regular_files import open_regular
from stages.models import networks
from stages.models.description import Description, Origin, read_description, remedy
from stages.tables.matrix import open_matrix
from stages.tables.model import CLASS_MEANS, CLASSES, DESCRIPTION, WEIGHTS, read_label_map

# At most this much is needed by HDF5 in addition to an array's numbers.
_DATASET_BYTES = 8192
# By how much a file of weights may be larger than a model: an optimizer's two numbers per weight may be in it too.
_LARGER = 4


@dataclass(frozen=True)
class TrainedModel:
    """A model as it was read from its folder.

    Attributes:
        network: from `networks.build`, with the folder's weights.
        description: of model.json.
        class_names: in the order of the scores.
        class_means: of shape (classes, features), float32: of the embeddings by `description.embedded_by`; None where
            the model has none.
    """

    network: keras.Model
    description: Description
    class_names: list[str]
    class_means: NDArray[np.float32] | None = None


class ClassMeans(NamedTuple):
    """What a model keeps of the embeddings that it was trained on.

    Attributes:
        values: of shape (classes, features), float32, in the order of the scores.
        embedded_by: SHA-256 of the graph that embedded.
    """

    values: NDArray[np.float32]
    embedded_by: str


def save(
    folder: Path,
    network: keras.Model,
    class_names: Sequence[str],
    sub_classes: Mapping[str, Sequence[str]],
    began_with: Sequence[Origin] = (),
    class_means: ClassMeans | None = None,
    deterministic: bool = True,
) -> None:
    """Write a model's files into a folder that exists, the same bytes for the same numbers.

    Args:
        folder: of the model.
        network: from `networks.build`.
        class_names: in the order of the scores.
        sub_classes: those that each class was made of.
        began_with: what the weights come from, as `Description` has it.
        class_means: None for none.
        deterministic: as `Description` has it.
    """
    write_weights(network, folder / WEIGHTS)
    description = Description(
        format=1,
        network=network.name,
        size=network.input.shape[1],
        weights_sha256=_sha256(folder / WEIGHTS, remedy(folder), InputError),
        sub_classes={name: sorted(sub_classes[name]) for name in class_names},
        began_with=list(began_with),
        embedded_by=class_means.embedded_by if class_means else None,
        deterministic=deterministic,
    )
    if class_means:
        np.save(folder / CLASS_MEANS, class_means.values)
    write_json(folder / DESCRIPTION, description.model_dump())
    write_json(folder / CLASSES, list(class_names))


def load(folder: Path, error: type[RetrainError] = InputError) -> TrainedModel:
    """Rebuild a model from our own code and the folder's numbers.

    Args:
        folder: of the model.
        error: what to raise; `BaseError` where the folder is the base's.

    Raises:
        RetrainError: of the type `error`: a file is absent or malformed, the weights' checksum does not hold, or the
            weights do not fit the network.
    """
    description = read_description(folder, error)
    class_names = read_label_map(folder / CLASSES, remedy(folder), error)
    if set(class_names) != set(description.sub_classes):
        raise error(f"{folder / CLASSES} and {folder / DESCRIPTION} name different classes. {remedy(folder)}")
    weights = folder / WEIGHTS
    # Before anything parses the file: HDF5 is a large format, and .weights.h5 has no checksum of its own.
    if (digest := _sha256(weights, remedy(folder), error)) != description.weights_sha256:
        raise error(
            f"{weights} has the SHA-256 {digest}, where {folder / DESCRIPTION} says {description.weights_sha256}: "
            f"one of the two was changed or cut short. {remedy(folder)}"
        )
    network = networks.build(description.network, description.size, len(class_names))
    if not fits(network, weights):
        raise error(
            f"{weights} does not hold the weights of {description.network} for {len(class_names)} classes, though its "
            f"checksum is right: it was written by another version of this code. {remedy(folder)}"
        )
    return TrainedModel(network, description, class_names, _read_class_means(folder, description, error))


def _read_class_means(folder: Path, description: Description, error: type[RetrainError]) -> NDArray[np.float32] | None:
    if description.embedded_by is None:
        return None
    path, shape = folder / CLASS_MEANS, (len(description.sub_classes), None)
    means = np.asarray(open_matrix(path, shape, np.float32, f"features after {CLASSES}", remedy(folder), error))
    if not np.isfinite(means).all():
        raise error(f"{path} holds what is no number. {remedy(folder)}")
    return means


def fits(model: keras.Model, weights: Path) -> bool:
    """Load a file of weights, and say whether it has all weights of the model.

    Args:
        model: its weights are overwritten; by anything if the file does not fit.
        weights: a `.weights.h5`.
    """
    with warnings.catch_warnings():
        # Keras only warns of a part of the model that the file lacks.
        warnings.simplefilter("error", UserWarning)
        try:
            _require_size(weights, sum(values.nbytes for values in model.get_weights()))
            model.load_weights(weights)
        except (ValueError, KeyError, OSError, UserWarning):
            return False
    return True


def _require_size(weights: Path, num_bytes: int) -> None:
    """Refuse, by a ValueError, arrays much larger than a model's: in the file, compressed zeros take no room."""
    sizes = []
    with h5py.File(weights) as file:
        file.visititems(lambda _, item: sizes.append(item.nbytes) if isinstance(item, h5py.Dataset) else None)
    if sum(sizes) > _LARGER * num_bytes + _DATASET_BYTES:
        raise ValueError(f"{sum(sizes)} bytes of numbers, where the model has {num_bytes}")


def write_weights(network: keras.Model, path: Path) -> None:
    """Save weights without the layers' names: Keras counts those up from model to model in one process.

    Args:
        network: whose weights are saved.
        path: of the `.weights.h5`, which is replaced.
    """
    named = path.with_name(f"named.{path.name}")
    _require_space(path, 2 * sum(values.nbytes + _DATASET_BYTES for values in network.get_weights()))
    network.save_weights(named)
    with h5py.File(named) as source, h5py.File(path, "w") as target:

        def copy(name: str, item: h5py.Dataset | h5py.Group) -> None:
            if isinstance(item, h5py.Dataset):
                target.create_dataset(name, data=item[()]).attrs.update(item.attrs)
            else:
                target.require_group(name)

        source.visititems(copy)
    named.unlink()


def _require_space(path: Path, num_bytes: int) -> None:
    """Raise an OSError where the disk is too full, before HDF5 meets it: that ends in a crash of the process."""
    with path.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, num_bytes)
    path.unlink()


def _sha256(path: Path, remedy: str, error: type[RetrainError]) -> str:
    with open_regular(path, remedy, error) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
