"""`data/model/`: the files of a trained model, and a reader of its label map that loads no Keras."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError

from runtime.errors import InputError, RetrainError

FOLDER = "data/model"
WEIGHTS = "model.weights.h5"
DESCRIPTION = "model.json"  # network, input size, SHA-256 of the weights, sub-classes of each class
CLASSES = "classes.json"  # the label map: class names in the order of the scores
LINEAGE = "lineage.parquet"  # every picture that this model or an ancestor was trained on
HISTORY = "history.csv"  # one row per epoch
CARRIED = "carried.csv"  # one row per class: what its row of the output layer began with
CARRIED_COLUMNS = ("class_name", "how", "base_classes")

_CLASS_NAMES = TypeAdapter(list[Annotated[str, Field(min_length=1)]])


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
    try:
        content = Path(path).read_bytes()
    except (FileNotFoundError, IsADirectoryError):
        raise error(f"{path} is not there: {remedy}") from None
    return parse_label_map(content, path, remedy, error, may_be_empty)


def parse_label_map(
    content: bytes, path: Path | str, remedy: str, error: type[RetrainError] = InputError, may_be_empty: bool = False
) -> list[str]:
    """Check a label map that was read already; arguments and errors as in `read_label_map`."""
    try:
        class_names = _CLASS_NAMES.validate_json(content, strict=True)
    except ValidationError as problem:
        raise error(f"{path} is no list of class names: {problems(problem)}. {remedy}") from None
    if len(set(class_names)) < len(class_names):
        raise error(f"{path} names a class twice. {remedy}")
    if not class_names and not may_be_empty:
        raise error(f"{path} is an empty list; expected at least one class name. {remedy}")
    return class_names


def problems(error: ValidationError) -> str:
    """Say in one line what is wrong with a JSON file, and where in it."""
    return "; ".join(
        f"{'.'.join(map(str, detail['loc'])) or 'the file'}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
        for detail in error.errors()
    )
