"""Set parameters of a run from the environment; they stand in params.yaml, and are recorded with the run.

    BATCH_SIZE=64 NUM_EPOCHS=20 SETTINGS="split.minimum=35 train.weights=null" python -m deploy.settings

Numbers, true, false and null are read as such, anything else as text. All are checked before any is written. The gate
is not a setting of a run: what it demands is changed in params.yaml, by a commit that people can read.

Reads: BATCH_SIZE (train.batch_size), NUM_EPOCHS (train.epochs and train.epochs_from_scratch, whichever the run takes),
    SETTINGS (any parameters, divided by spaces)
Writes: params.yaml
"""

import logging
import os
from collections.abc import Mapping

from runtime import parameters
from runtime.command import run
from runtime.errors import ParameterError
from runtime.parameters import Scalar

log = logging.getLogger(__name__)

NAMES = {"BATCH_SIZE": ("train.batch_size",), "NUM_EPOCHS": ("train.epochs", "train.epochs_from_scratch")}
_WORDS: Mapping[str, Scalar] = {"true": True, "false": False, "null": None}


def settings(environment: Mapping[str, str]) -> dict[str, Scalar]:
    """Read what the environment sets: values by key.

    Args:
        environment: of the process; an empty variable is one that is not there.

    Raises:
        ParameterError: a word of SETTINGS is no `section.key=value`, or it is of the gate.
    """
    values = {key: value_of(environment[name]) for name in NAMES if environment.get(name) for key in NAMES[name]}
    for word in environment.get("SETTINGS", "").split():
        key, equals, value = word.partition("=")
        if not equals or "." not in key:
            raise ParameterError(f"SETTINGS: {word!r} is no section.key=value, such as split.minimum=35.")
        if key.split(".")[0] == "gate":
            raise ParameterError(
                f"SETTINGS: {key} is of the gate, which decides what is promoted: a run cannot set it. Change it in "
                f"{parameters.PATH}, and commit that."
            )
        values[key] = value_of(value)
    return values


def value_of(text: str) -> Scalar:
    """Read a number, true, false or null; anything else is text."""
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def main() -> None:
    """Run the command."""
    values = settings(os.environ)

    parameters.change(values)

    log.info("parameters: %s", " ".join(f"{key}={value}" for key, value in values.items()) or "as committed")


if __name__ == "__main__":
    run(main)
