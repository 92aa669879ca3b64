"""Set parameters of a run from the environment, as `dvc exp run -S` does: they stand in params.yaml, and are recorded.

    BATCH_SIZE=64 NUM_EPOCHS=20 SETTINGS="split.minimum=35 train.seed=8" python -m deploy.settings

Reads: BATCH_SIZE (train.batch_size), NUM_EPOCHS (train.epochs and train.epochs_from_scratch, whichever the run takes),
    SETTINGS (any parameters, divided by spaces)
Writes: params.yaml
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path

from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides

from runtime import parameters
from runtime.command import run
from runtime.errors import ParameterError

log = logging.getLogger(__name__)

NAMES = {"BATCH_SIZE": ("train.batch_size",), "NUM_EPOCHS": ("train.epochs", "train.epochs_from_scratch")}


def overrides(environment: Mapping[str, str]) -> list[str]:
    """List what the environment sets, each as `section.key=value`.

    Args:
        environment: of the process; an empty variable is one that is not there.

    Raises:
        ParameterError: a word of SETTINGS is no `section.key=value`.
    """
    found = [f"{key}={environment[name]}" for name, keys in NAMES.items() if environment.get(name) for key in keys]
    for word in environment.get("SETTINGS", "").split():
        key, equals, _ = word.partition("=")
        if not equals or "." not in key:
            raise ParameterError(f"SETTINGS: {word!r} is no section.key=value, such as split.minimum=35.")
        found.append(word)
    return found


def main() -> None:
    """Run the command."""
    wanted = overrides(os.environ)
    parameters.read(parameters.Train)

    try:
        if wanted:
            apply_overrides(Path(parameters.PATH), wanted)
    except DvcException as error:
        raise ParameterError(f"the environment sets what cannot be set: {' '.join(wanted)}: {error}") from None
    parameters.read(parameters.Train)

    log.info("parameters: %s", " ".join(wanted) or "as committed")


if __name__ == "__main__":
    run(main)
