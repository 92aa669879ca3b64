"""Read data/costs.yaml: prices, hours, and what users were promised. Every section may be absent.

    python -m serving.usage.costs [data/costs.yaml]

Writes: one line that says the file is good
"""

import logging
import sys
from pathlib import Path
from typing import Annotated, Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from runtime.command import run
from runtime.errors import InstructionError
from runtime.regular_files import read_small

PATH = "data/costs.yaml"
EXAMPLE = Path(__file__).with_name("costs_example.yaml")
_MAX_BYTES = 2**20
_REMEDY = "`make usage` writes costs_example.yaml beside its pages; copy it and put your own figures in."
_OF_A_MACHINE = ("localtime", "posixrules", "Factory")  # files of its folder of zones that are no place's
Text = Annotated[str, Field(min_length=1, max_length=600)]
Amount = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, le=10**9)]

log = logging.getLogger(__name__)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class ServiceLevel(_Section):
    """What users are promised: this share of pictures is answered within so many milliseconds."""

    objective: Annotated[float, Field(gt=0, lt=1)] = 0.99
    within_ms: Annotated[float, Field(gt=0, le=600_000)] = 1000.0


class Monthly(_Section):
    """What is paid each month, such as a machine."""

    what: Annotated[str, Field(min_length=1, max_length=80)]
    cost: Amount


class Work(_Section):
    """Hours that people spend."""

    who: Annotated[str, Field(min_length=1, max_length=80)]
    hours_per_week: Annotated[float, Field(ge=0, le=10_000)]
    cost_per_hour: Amount


class Saved(_Section):
    """What a right answer spares somebody."""

    minutes_per_answer: Annotated[float, Field(gt=0, le=10_000)]
    cost_per_hour: Amount


class People(_Section):
    """How well people do on the same pictures, such as in a blind test."""

    right: Count
    of: Annotated[int, Field(ge=1, le=10**9)]
    seconds: Annotated[float, Field(gt=0, le=1e6)] | None = None
    source: Annotated[str, Field(min_length=1, max_length=200)]

    @model_validator(mode="after")
    def _adds_up(self) -> "People":
        if self.right > self.of:
            raise ValueError(f"{self.right} are right, of {self.of}")
        return self


class Costs(_Section):
    """The whole of data/costs.yaml."""

    zone: str = "UTC"
    capacity_per_second: Annotated[float, Field(gt=0, le=1e6)] | None = None
    service_level: ServiceLevel = ServiceLevel()
    currency: Annotated[str, Field(min_length=1, max_length=10)] = "EUR"
    monthly: Annotated[list[Monthly], Field(max_length=8)] = []  # as many as a printed page has room for
    hours: Annotated[list[Work], Field(max_length=8)] = []
    saved: Saved | None = None
    people: People | None = None
    risk: Text | None = None
    request: Text | None = None

    @field_validator("zone")
    @classmethod
    def _is_known(cls, value: str) -> str:
        require_zone(value)
        return value


def require_zone(name: str) -> None:
    """Refuse the name of a time zone that is not known, or that means something else on each machine.

    Raises:
        ValueError: it is one, such as "Berlin" for "Europe/Berlin".
    """
    try:
        is_known = bool(ZoneInfo(name)) and name not in _OF_A_MACHINE
    except (ZoneInfoNotFoundError, ValueError, OSError):
        is_known = False
    if not is_known:
        raise ValueError(f"{name!r} is no time zone; expected a name such as Europe/Zurich or UTC")


def read_costs(path: str | Path = PATH) -> Costs | None:
    """Read the file; None where there is none.

    Raises:
        InstructionError: it is no YAML, or a figure is unknown, of another kind, or out of range.
    """
    if not Path(path).exists():
        return None
    try:
        return parse_costs(yaml.safe_load(read_small(path, _MAX_BYTES, _REMEDY, InstructionError)), path)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2026-02-30 is a ValueError
        raise InstructionError(f"{path} is not YAML: {error}. {_REMEDY}") from None


def parse_costs(values: Any, path: str | Path) -> Costs:
    """Check what the file holds that was read already; `path` is for the message.

    Raises:
        InstructionError: a figure is unknown, of another kind, or out of range.
    """
    try:
        return Costs.model_validate({} if values is None else values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InstructionError(f"{path}: {where}: {first['msg']}, got {first['input']!r:.60}. {_REMEDY}") from None


def main() -> None:
    """Run the command."""
    path = sys.argv[1] if len(sys.argv) > 1 else PATH
    if read_costs(path) is None:
        raise InstructionError(f"{path} is not there. {_REMEDY}")
    log.info("costs: %s is good", path)


if __name__ == "__main__":
    run(main)
