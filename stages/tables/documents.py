"""Read the JSON files of `data/scores/`: the verdict, the metrics, and by what confidences are scaled."""

from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, TypeAdapter, model_validator

from runtime.errors import InputError, RetrainError
from runtime.json_files import MAX_BYTES, parse_json
from runtime.regular_files import read_small
from stages.tables.scores import GATE, METRICS, WANTED_ERROR

REMEDY = "`make repro` writes it, `git checkout` brings it back."
Figure = FiniteFloat | None


class _Document(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True)


class _Ruling(_Document):
    set: str
    metric: str
    bound: str = ""
    figure: Figure = None
    passed: bool
    why: str


class _Verdict(_Document):
    verdict: Literal["yes", "no"]
    rules: list[_Ruling]


class _Calibration(_Document):
    temperature: Annotated[float, Field(gt=0, le=1000, allow_inf_nan=False)] | None
    norm_order: Annotated[int, Field(ge=1, le=1000)] | None = None  # of a release that has none, none was there yet
    applied: bool
    scope_limit: Annotated[float, Field(ge=0, le=2)] | None = None  # likewise

    @model_validator(mode="after")
    def _is_known(self) -> Self:
        if self.applied and self.temperature is None:
            raise ValueError("a temperature is applied, and there is none")
        return self


class _Shown(_Document):
    num_shown: int
    num_wrong: int
    coverage: Figure
    selective_risk: Figure
    upper_limit: Figure


class _WantedError(_Document):
    wanted_error: FiniteFloat
    threshold: Figure
    why: str
    validation: _Shown | None = None
    test: _Shown | None = None


_VERDICT = TypeAdapter(_Verdict)
_METRICS = TypeAdapter(dict[str, dict[str, FiniteFloat | int | None]])
_CALIBRATION = TypeAdapter(_Calibration)
_WANTED_ERROR = TypeAdapter(_WantedError)


def read_gate() -> dict[str, Any]:
    """Read gate.json: `verdict`, yes or no, and `rules`, each with `set`, `metric`, `passed` and `why`.

    Raises:
        InputError: here and below: the file is absent, no regular file, too large, or not of this form.
    """
    return parse_gate(read_small(GATE, MAX_BYTES, REMEDY), GATE)


def parse_gate(content: bytes | str, name: str) -> dict[str, Any]:
    """Check what a gate.json holds that was read already; `name` says which, for the message."""
    return parse_json(content, name, _VERDICT, "verdict of the gate", REMEDY).model_dump(exclude_unset=True)


def read_metrics() -> dict[str, dict[str, Any]]:
    """Read metrics.json: set to figure to number, None where there is none."""
    return parse_metrics(read_small(METRICS, MAX_BYTES, REMEDY), METRICS)


def parse_metrics(content: bytes | str, name: str) -> dict[str, dict[str, Any]]:
    """Check what a metrics.json holds that was read already; `name` says which, for the message."""
    return parse_json(content, name, _METRICS, "table of metrics", REMEDY)


def read_wanted_error() -> dict[str, Any]:
    """Read wanted_error.json, as `stages/reports/wanted_error.py` lays it out."""
    content = read_small(WANTED_ERROR, MAX_BYTES, REMEDY)
    form, what = _WANTED_ERROR, "report on the wanted error"
    return parse_json(content, WANTED_ERROR, form, what, REMEDY).model_dump(exclude_unset=True)


def read_calibration(path: str | Path, remedy: str, error: type[RetrainError] = InputError) -> dict[str, Any]:
    """Read a calibration.json: by what confidences are scaled, and how far a picture may be from every class.

    Args:
        path: of this model or of the base.
        remedy: what brings a good file back, as a sentence.
        error: what to raise; `BaseError` where the file is the base's.

    Returns:
        `temperature`, None where none is the best; `norm_order`; whether they are `applied`; `scope_limit`, None for
        no limit.
    """
    content = read_small(path, MAX_BYTES, remedy, error)
    return parse_json(content, path, _CALIBRATION, "calibration", remedy, error).model_dump()
