"""`data/model/`: the files of a trained model, and a reader of its label map that loads no Keras."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter

from runtime.errors import InputError, RetrainError
from runtime.json_files import MAX_BYTES, parse_json
from runtime.regular_files import read_small

FOLDER = "data/model"
WEIGHTS = "model.weights.h5"
DESCRIPTION = "model.json"  # network, input size, SHA-256 of the weights, sub-classes of each class, whose class means
CLASSES = "classes.json"  # the label map: class names in the order of the scores
CLASS_MEANS = "class_means.npy"  # classes x features, float32: of frozen embeddings, in the order of the scores
DISTANCE_DIGITS = 6  # of a distance to a class mean: fewer than float32 has, so that the order of adding hardly shows
LINEAGE = "lineage.parquet"  # every picture that this model or an ancestor was trained on
HISTORY = "history.csv"  # one row per epoch
CARRIED = "carried.csv"  # one row per class: what its row of the output layer began with
CARRIED_COLUMNS = ("class_name", "how", "base_classes")

# More than twice as many as ImageNet-21k has: an output layer of still more would not fit in memory.
MAX_CLASSES = 50_000
ClassName = Annotated[str, Field(min_length=1, max_length=1000)]  # a merged class may have any name
_CLASS_NAMES = TypeAdapter(Annotated[list[ClassName], Field(max_length=MAX_CLASSES)])


def read_label_map(
    path: Path | str, remedy: str, error: type[RetrainError] = InputError, may_be_empty: bool = False
) -> list[str]:
    """Read a label map from a file.

    Args:
        path: of a JSON file: a list of unique, non-empty strings.
        remedy: what brings a good file back, as a sentence.
        error: what to raise; `BaseError` where the file is the base's.
        may_be_empty: allow a list without a name, which says that there is no model.

    Raises:
        RetrainError: of the type `error`: the file is absent or is no label map.
    """
    return parse_label_map(read_small(path, MAX_BYTES, remedy, error), path, remedy, error, may_be_empty)


def parse_label_map(
    content: bytes, path: Path | str, remedy: str, error: type[RetrainError] = InputError, may_be_empty: bool = False
) -> list[str]:
    """Check a label map that was read already; arguments and errors as in `read_label_map`."""
    class_names = parse_json(content, path, _CLASS_NAMES, "list of class names", remedy, error)
    if len(set(class_names)) < len(class_names):
        raise error(f"{path} names a class twice. {remedy}")
    if not class_names and not may_be_empty:
        raise error(f"{path} is an empty list; expected at least one class name. {remedy}")
    return class_names
