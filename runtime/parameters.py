"""params.yaml, read through typed models: one model a section.

A key that is unknown, missing, of another type or out of range is refused with a message that names it. A value
stands in params.yaml or nowhere: no model has defaults.
"""

from pathlib import Path
from typing import Annotated, Literal, Self, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from runtime.errors import ParameterError

PATH = "params.yaml"
Fraction = Annotated[float, Field(ge=0, le=1)]
Confidence = Annotated[float, Field(ge=0, le=100)]
Section = TypeVar("Section", bound="_Section")


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Picture(_Section):
    """What every picture is made into."""

    size: Annotated[int, Field(ge=16, le=1024)]


class Fingerprint(_Section):
    """What is read of a file."""

    max_pixels: Annotated[int, Field(ge=1)]


class Quality(_Section):
    """Beyond what a picture is suspected to be bad."""

    min_sharpness: Annotated[float, Field(ge=0)]
    min_highlights: Fraction
    min_contrast: Fraction
    blank_contrast: Fraction
    min_side: Annotated[int, Field(ge=0)]
    max_aspect: Annotated[float, Field(ge=1)]


class Dedup(_Section):
    """When two pictures show the same."""

    distance: Annotated[int, Field(ge=0, le=20)]
    similarity: Annotated[float, Field(gt=0, le=2)]
    colour: Fraction
    distance_alone: Annotated[int, Field(ge=0, le=20)]


class Split(_Section):
    """How many pictures of a class are used, and for what."""

    minimum: Annotated[int, Field(ge=2)]
    maximum: Annotated[int, Field(ge=2)]
    staged_cap: Annotated[int, Field(ge=0)]
    validation_fraction: Annotated[float, Field(gt=0, lt=1)]

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.minimum > self.maximum:
            raise ValueError(f"minimum {self.minimum} is above maximum {self.maximum}")
        return self


class Shard(_Section):
    """How pictures are packed."""

    images: Annotated[int, Field(ge=1)]
    codec: Literal["png", "webp"]
    compacted: Annotated[int, Field(ge=0, le=999)]


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
    batch_size: Annotated[int, Field(ge=1)]
    label_smoothing: Annotated[float, Field(ge=0, lt=1)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    precision: Literal["float32", "bfloat16", "float16"]
    devices: Annotated[int, Field(ge=1)]
    augmentation: Augmentation


class Evaluate(_Section):
    """How pictures are scored."""

    batch_size: Annotated[int, Field(ge=1)]


class Score(_Section):
    """When the user is shown an answer, and how sure the confidence is."""

    threshold: Confidence
    wanted_error: Annotated[float, Field(gt=0, lt=1)]
    calibrate: bool
    near: Fraction
    folds: Annotated[int, Field(ge=0, le=20)]

    @model_validator(mode="after")
    def _several(self) -> Self:
        if self.folds == 1:
            raise ValueError("folds 1 would hold out every picture and leave none to train with: 0, or 2 and more")
        return self


class Rule(_Section):
    """A requirement on one figure of one set."""

    set: Annotated[str, Field(min_length=1)]
    metric: Literal[
        "top_1_accuracy",
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
    wanted: Annotated[int, Field(ge=0)]
    confused: Fraction
    novel: Fraction


class Params(_Section):
    """The whole of params.yaml; see the comments there."""

    picture: Picture
    fingerprint: Fingerprint
    quality: Quality
    dedup: Dedup
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
    return getattr(_read_all(), section.__name__.lower())  # type: ignore[no-any-return]


def with_value(text: str, section: str, key: str, value: int) -> str:
    """Change one number and leave every other character, comments too, as it is.

    Args:
        text: of params.yaml, which has been read through the typed parameters before.
        section: of the number, such as "export".
        key: in the section, such as "version".
        value: the new one.
    """
    node = _entry(_entry(yaml.compose(text, Loader=yaml.SafeLoader), section), key)
    return text[: node.start_mark.index] + str(value) + text[node.end_mark.index :]


def _entry(node: yaml.Node | None, name: str) -> yaml.Node:
    if not isinstance(node, yaml.MappingNode):
        raise TypeError(f"no mapping with {name}")
    entries: dict[str, yaml.Node] = {key.value: value for key, value in node.value}
    return entries[name]


def _read_all() -> Params:
    try:
        values = yaml.safe_load(Path(PATH).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(f"{PATH} is not here: run this in the root of the repository.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ParameterError(f"{PATH} is not YAML: {error}. `git diff {PATH}` shows what changed.") from None
    try:
        return Params.model_validate(values)
    except ValidationError as error:
        lines = (_sentence(detail["type"], detail["loc"], detail["msg"], detail["input"]) for detail in error.errors())
        raise ParameterError(
            f"{PATH}: " + "; ".join(lines) + f". The comments in {PATH} say what is allowed."
        ) from None


def _sentence(kind: str, location: tuple[int | str, ...], message: str, value: object) -> str:
    key = ".".join(str(part) for part in location) or "the file"
    if kind == "extra_forbidden":
        return f"{key} is not a parameter (misspelt?)"
    if kind == "missing":
        return f"{key} is missing"
    return f"{key}: {message[0].lower()}{message[1:]}, got {value!r}"
