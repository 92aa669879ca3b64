"""Read what users are told: advice for a better picture, and notes on classes.

    python -m serving.advice [data/advice.yaml]

Writes: one line that says the file is good
"""

import logging
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from runtime.command import run
from runtime.errors import InstructionError
from runtime.regular_files import read_small
from runtime.wording import counted, listed
from stages.images.faults import FAULTS

PATH = "data/advice.yaml"
_MAX_BYTES = 2**20
_REMEDY = f"`git checkout {PATH}` brings back the file that is committed."
Text = Annotated[str, Field(min_length=1, max_length=500)]

log = logging.getLogger(__name__)


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class Note(_Section):
    """What users are told of a class in addition to its name."""

    note: Text | None = None
    special: Literal["smile"] | None = None


class Advice(_Section):
    """The whole of data/advice.yaml."""

    faults: dict[str, Text]
    out_of_scope: Text
    general: Text
    classes: dict[str, Note]

    def texts(self, faults: Sequence[str], in_scope: bool) -> list[str]:
        """Say what would make a better picture.

        Args:
            faults: of FAULTS, that the picture has.
            in_scope: the model says that the picture may show one of its classes.

        Returns:
            At least one text.
        """
        texts = [self.faults[fault] for fault in faults]
        if not in_scope:
            texts.append(self.out_of_scope)
        return texts or [self.general]


def read_advice(path: str | Path = PATH) -> Advice:
    """Read the file.

    Raises:
        InstructionError: it is absent, is no YAML, or has not a text for each fault and nothing else.
    """
    try:
        advice = Advice.model_validate(yaml.safe_load(read_small(path, _MAX_BYTES, _REMEDY, InstructionError)))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        raise InstructionError(
            f"{path}: {where}: {first['msg']}. The comments in {PATH} say what is allowed."
        ) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a date such as 2026-02-30 is a ValueError
        raise InstructionError(f"{path} is not YAML: {error}. {_REMEDY}") from None
    if advice.faults.keys() != set(FAULTS):
        differ = sorted(advice.faults.keys() ^ set(FAULTS))
        raise InstructionError(
            f"{path}: faults: {listed(differ)} is missing or unknown; expected {', '.join(FAULTS)}. Give each a text."
        )
    return advice


def main() -> None:
    """Run the command."""
    path = sys.argv[1] if len(sys.argv) > 1 else PATH
    advice = read_advice(path)
    log.info("advice: %s is good, with notes on %s", path, counted(len(advice.classes), "class", "classes"))


if __name__ == "__main__":
    run(main)
