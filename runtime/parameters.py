"""params.yaml, read through typed models, one per section, and changed without losing a comment.

A key that is unknown, missing, of another type or out of range is refused with a message that names it. A value
stands in params.yaml or nowhere: no model has defaults.
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from runtime.errors import ParameterError
from runtime.outputs import whole

PATH = "params.yaml"
LARGEST_SIDE = 1024  # pixels: no network of keras.applications was designed for more than 600
Fraction = Annotated[float, Field(ge=0, le=1)]
Confidence = Annotated[float, Field(ge=0, le=100)]
Precision = Literal["float32", "bfloat16", "float16"]
Section = TypeVar("Section", bound="_Section")
Scalar = bool | int | float | str | None


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Picture(_Section):
    """What every picture is made into."""

    side: Annotated[int, Field(ge=16, le=LARGEST_SIDE)]


class Fingerprint(_Section):
    """What is read of a file."""

    max_pixels: Annotated[int, Field(ge=1)]


class Quality(_Section):
    """Beyond what a picture is suspected to be bad."""

    min_sharpness: Annotated[float, Field(ge=0)] | None
    min_highlights: Fraction
    min_contrast: Fraction
    blank_contrast: Fraction
    min_side: Annotated[int, Field(ge=0)]
    max_aspect: Annotated[float, Field(ge=1)]


class Dedup(_Section):
    """When two pictures show the same thing."""

    distance: Annotated[int, Field(ge=0, le=20)]
    similarity: Annotated[float, Field(gt=0, le=2)]
    colour: Fraction
    neighbours: Annotated[int, Field(ge=0, le=100)]
    edges: Annotated[float, Field(gt=0, le=2)]
    alike: Annotated[float, Field(gt=0, le=2)]
    distance_alone: Annotated[int, Field(ge=0, le=20)]


class Merge(_Section):
    """What tells which pictures come from one source."""

    source_pattern: Annotated[str, Field(min_length=1)] | None
    burst_seconds: Annotated[float, Field(ge=0)] | None

    @field_validator("source_pattern")
    @classmethod
    def _one_group(cls, pattern: str | None) -> str | None:
        try:
            number = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"no regular expression ({error})") from None
        if number != 1:
            raise ValueError(f"expected one group in parentheses, which is the source, there are {number}")
        return pattern


class Split(_Section):
    """How many pictures of a class are used, and for what."""

    minimum: Annotated[int, Field(ge=2)]
    maximum: Annotated[int, Field(ge=2)]
    staged_cap: Annotated[int, Field(ge=0)]
    validation_fraction: Annotated[float, Field(gt=0, lt=1)]
    test_fraction: Annotated[float, Field(ge=0, lt=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        if self.validation_fraction + self.test_fraction >= 1:
            fractions = f"validation_fraction {self.validation_fraction} and test_fraction {self.test_fraction}"
            raise ValueError(f"{fractions} leave nothing to train with: their sum must be below 1")
        return self


class Shard(_Section):
    """How pictures are packed."""

    images: Annotated[int, Field(ge=1)]
    codec: Literal["png", "webp"]
    compacted: Annotated[int, Field(ge=0, le=999)]


class Pretrained(_Section):
    """Whose published weights are fetched."""

    network: Annotated[str, Field(pattern=r"^\w+$")]


class Augmentation(_Section):
    """How a training picture is varied."""

    mirror: bool
    rotation: Annotated[float, Field(ge=0, le=180)]
    zoom: Annotated[float, Field(ge=0, lt=1)]


class Train(_Section):
    """How the model is trained."""

    network: Annotated[str, Field(min_length=1)]
    weights: str | None
    head: Literal["carry", "new"]
    shrink: Fraction
    perturb: Fraction
    epochs: Annotated[int, Field(ge=1)]
    epochs_from_scratch: Annotated[int, Field(ge=1)]
    learning_rate: Annotated[float, Field(gt=0)]
    learning_rate_from_scratch: Annotated[float, Field(gt=0)]
    warm_up: Fraction
    warm_up_from_scratch: Fraction
    freeze_epochs: Annotated[int, Field(ge=0)]
    frozen_fraction: Fraction
    freeze_normalization: bool
    body_learning_rate: Annotated[float, Field(gt=0, le=1)]
    batch_size: Annotated[int, Field(ge=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    average_weights: Annotated[float, Field(ge=0)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    deterministic: bool
    precision: Precision
    devices: Annotated[int, Field(ge=1)]
    augmentation: Augmentation


class Evaluate(_Section):
    """How pictures are scored."""

    batch_size: Annotated[int, Field(ge=1)]
    precision: Precision


class Score(_Section):
    """When the user is shown an answer, and how sure the confidence is."""

    threshold: Confidence
    wanted_error: Annotated[float, Field(gt=0, lt=1)]
    confidence: Literal["softmax", "temperature", "normalised_logits"]
    in_scope: Annotated[float, Field(gt=0, le=1)] | None
    near: Fraction
    doubted_fraction: Fraction


class Rule(_Section):
    """A requirement on one figure of one set."""

    set: Annotated[str, Field(min_length=1)]
    metric: Literal[
        "top_1_accuracy",
        "balanced_accuracy",
        "true_positive_fraction",
        "false_positive_fraction",
        "coverage",
        "num_errors",
        "min_confidence",
        "log_loss",
        "weighted_log_loss",
    ]
    at_least: float | None = None
    at_most: float | None = None
    allow_undecided: bool = False

    @model_validator(mode="after")
    def _one_bound(self) -> Self:
        if (self.at_least is None) == (self.at_most is None):
            raise ValueError("give either at_least or at_most")
        return self


class NotWorse(_Section):
    """A figure that must not get worse than the base's by more than a margin."""

    set: Annotated[str, Field(min_length=1)]
    metric: Literal[
        "top_1_accuracy",
        "balanced_accuracy",
        "true_positive_fraction",
        "false_positive_fraction",
        "coverage",
        "log_loss",
        "weighted_log_loss",
    ]
    margin: Annotated[float, Field(ge=0)]
    allow_undecided: bool = False


class Gate(_Section):
    """What a model must reach before it may be promoted."""

    least_pictures: Annotated[int, Field(ge=1)]
    rules: list[Rule]
    not_worse_than_base: list[NotWorse]


class Export(_Section):
    """What is exported."""

    version: Annotated[int, Field(ge=1, le=999)]


class Identify(_Section):
    """How predictions of unlabelled pictures are filtered."""

    high: Confidence
    low: Confidence
    candidates: Annotated[int, Field(ge=1)]
    wanted: Annotated[int, Field(ge=0)]
    confused: Fraction
    novel: Fraction


class Params(_Section):
    """The whole of params.yaml; see the comments there."""

    picture: Picture
    pretrained: Pretrained
    fingerprint: Fingerprint
    quality: Quality
    dedup: Dedup
    merge: Merge
    split: Split
    shard: Shard
    train: Train
    evaluate: Evaluate
    score: Score
    gate: Gate
    export: Export
    identify: Identify


def read(section: type[Section]) -> Section:
    """Read one section of params.yaml, after checking all of them.

    Args:
        section: the section's model, such as `Split`.

    Returns:
        The section; its name in the file is the model's in lower case.

    Raises:
        ParameterError: the file is absent, is not YAML, or a key is unknown, missing, of a wrong type or out of range.
    """
    return getattr(_parse(_read_text()), section.__name__.lower())  # type: ignore[no-any-return]


def change(values: Mapping[str, Scalar]) -> None:
    """Change values in params.yaml; every other character, comments too, stays. Nothing is written if one is refused.

    Args:
        values: by key, such as "export.version" or "gate.rules.0.at_least".

    Raises:
        ParameterError: as `read` and `changed` have it.
    """
    text = _read_text()
    _parse(text)
    text = changed(text, values)
    _parse(text)
    with whole(PATH) as partial:
        partial.write_bytes(text.encode())


def changed(text: str, values: Mapping[str, Scalar]) -> str:
    """Change values in the text of params.yaml and leave every other character as it is.

    Args:
        text: the file's.
        values: as `change` has them.

    Raises:
        ParameterError: there is no such key, or it names a section or a list.
    """
    for key, value in values.items():
        node = _find(yaml.compose(text, Loader=yaml.SafeLoader), key)
        before, written, after = text[: node.start_mark.index], _written(value), text[node.end_mark.index :]
        if not written:
            before = before.rstrip(" ")
        elif before.endswith(":"):  # there was nothing, which is null
            before += " "
        text = before + written + after
    return text


def remove(key: str, numbers: Collection[int]) -> None:
    """Take entries out of a list in params.yaml, with the comments on their lines; every other character stays.

    Args:
        key: of the list, such as "gate.rules".
        numbers: of the entries, counted from 0.

    Raises:
        ParameterError: as `read` and `without` have it.
    """
    text = without(_read_text(), key, numbers)
    _parse(text)
    with whole(PATH) as partial:
        partial.write_bytes(text.encode())


def without(text: str, key: str, numbers: Collection[int]) -> str:
    """Take entries out of a list in the text of params.yaml.

    Args:
        text: the file's.
        key: as `remove` has it.
        numbers: as `remove` has them.

    Raises:
        ParameterError: there is no such list, or its entries do not stand on lines of their own.
    """
    node = _node(yaml.compose(text, Loader=yaml.SafeLoader), key)
    if not isinstance(node, yaml.SequenceNode) or node.flow_style:
        raise ParameterError(f"{key} is no list with a line for each entry: write it as {PATH} came, and try again.")
    lines = text.splitlines(keepends=True)
    for number in sorted(numbers, reverse=True):
        entry = node.value[number]
        del lines[entry.start_mark.line : _last_line(entry) + 1]
    if len(numbers) == len(node.value):
        above = node.start_mark.line - 1
        lines[above] = lines[above].replace(":", ": []", 1)
    return "".join(lines)


def _last_line(node: yaml.Node) -> int:
    """The line on which a node's last value stands: its own end may be that of a comment below it."""
    if isinstance(node, yaml.ScalarNode) or not node.value:
        return int(node.end_mark.line)
    last = node.value[-1]
    return _last_line(last[1] if isinstance(node, yaml.MappingNode) else last)


def _node(node: yaml.Node | None, key: str) -> yaml.Node:
    for part in key.split("."):
        node = _entries(node).get(part)
    if node is None:
        raise ParameterError(f"{key} is not a parameter (misspelt?): {PATH} has no such key.")
    return node


def _find(root: yaml.Node | None, key: str) -> yaml.ScalarNode:
    node = _node(root, key)
    if not isinstance(node, yaml.ScalarNode):
        raise ParameterError(f"{key} is a section or a list: set one of its values, such as train.epochs=20.")
    return node


def _entries(node: yaml.Node | None) -> dict[str, yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        return {str(index): entry for index, entry in enumerate(node.value)}
    return {key.value: entry for key, entry in node.value} if isinstance(node, yaml.MappingNode) else {}


def _written(value: Scalar) -> str:
    if value is None:
        return ""  # as DVC writes it
    style = '"' if isinstance(value, str) and not value.isprintable() else None
    lines: str = yaml.safe_dump(value, allow_unicode=True, width=float("inf"), default_style=style)
    return lines.removesuffix("...\n").rstrip("\n")


def _read_text() -> str:
    try:
        return Path(PATH).read_bytes().decode()
    except FileNotFoundError:
        raise ParameterError(f"{PATH} is not here: run this in the root of the repository.") from None
    except UnicodeDecodeError as error:
        raise _no_yaml(error) from None


def _parse(text: str) -> Params:
    try:
        return Params.model_validate(yaml.safe_load(text))
    except yaml.YAMLError as error:
        raise _no_yaml(error) from None
    except ValidationError as error:
        lines = (_sentence(detail["type"], detail["loc"], detail["msg"], detail["input"]) for detail in error.errors())
        raise ParameterError(
            f"{PATH}: " + "; ".join(lines) + f". The comments in {PATH} say what is allowed."
        ) from None


def _no_yaml(error: Exception) -> ParameterError:
    return ParameterError(f"{PATH} is not YAML: {error}. `git diff {PATH}` shows what changed.")


def _sentence(kind: str, location: tuple[int | str, ...], message: str, value: object) -> str:
    key = ".".join(str(part) for part in location) or "the file"
    if kind == "extra_forbidden":
        return f"{key} is not a parameter (misspelt?)"
    if kind == "missing":
        return f"{key} is missing"
    return f"{key}: {message[0].lower()}{message[1:]}, got {value!r}"
