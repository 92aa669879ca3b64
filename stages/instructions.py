"""Refuse what no later stage could obey, before any of them works: people's instructions, compared with what is there.

Every stage that reads an instruction checks it as well. This one comes first, so that a misspelt class or network does
not stop a run that has worked for a night.

Reads: data/library/, data/benchmarks/, data/unlabelled/, data/base/, data/pretrained/, data/classes.yaml,
    data/decisions/, data/confused.csv
Writes: data/instructions.txt (always the same, so that `fingerprint`, which waits for it, does not run again)
Params: gate, picture, train
"""

import logging
from collections.abc import Collection
from pathlib import Path

import pandas as pd

from runtime import parameters
from runtime.command import run
from runtime.digest import md5_of_file
from runtime.errors import BaseError, InstructionError
from runtime.outputs import whole
from runtime.wording import listed
from stages.labels import classes, decisions
from stages.labels.confused import PATH as CONFUSED
from stages.labels.confused import read_confused
from stages.labels.folders import DATA, list_empty, list_paths
from stages.labels.labelling import RESERVED, label, list_sub_classes
from stages.labels.names import composed, look_alikes, names_now, renamed_classes
from stages.models.base import BASE_MODEL, base_class_names, has_base
from stages.models.description import read_description, require_same

log = logging.getLogger(__name__)

PATH = Path("data/instructions.txt")
_QUICK = "small"  # the network that fits pictures of any size: Keras, which takes seconds to load, need not say so


def require_sets(gate: parameters.Gate, benchmarks: Collection[str]) -> None:
    """Refuse a rule of the gate that names a set that is not there.

    Args:
        gate: the rules.
        benchmarks: names of the folders of data/benchmarks that hold pictures.

    Raises:
        InstructionError: a rule names another set.
    """
    sets = {*RESERVED - {"library"}, *benchmarks}
    named = [(f"rules.{number}", rule.set) for number, rule in enumerate(gate.rules)]
    named += [(f"not_worse_than_base.{number}", rule.set) for number, rule in enumerate(gate.not_worse_than_base)]
    for key, name in named:
        if name not in sets:
            raise InstructionError(
                f"params.yaml: gate.{key} names the set {name}, and data/benchmarks/{name} holds no pictures. "
                f"Sets are {listed(sorted(sets), 20)}. Put pictures there, correct the name, or take the rule out."
            )


def require_network(train: parameters.Train, size: int) -> None:
    """Refuse a network that training could not start with.

    Args:
        train: names the network, and perhaps a file of weights.
        size: side of the pictures in pixels.

    Raises:
        BaseError: the base has another network or input size.
        ParameterError: there is no such network, or it cannot take pictures of this size.
        InputError: the file of weights is absent, or holds another network's.
    """
    if has_base():
        require_same(read_description(Path(BASE_MODEL), BaseError), train.network, size)
    elif train.network != _QUICK or train.weights is not None:
        from stages.training import warm_start

        warm_start.start(train, size, num_classes=2)


def warn_of_look_alikes(paths: Collection[str]) -> None:
    """Say which folders of the library have names that are easily taken for one another.

    Args:
        paths: of files, relative to data/, such as `library/seven/1.png`.
    """
    written = {path.split("/")[1] for path in paths if path.startswith("library/") and path.count("/") > 1}
    for group in look_alikes(written):
        same = len({composed(name) for name in group}) == 1
        log.warning(
            "instructions: folders of data/library differ only in case, spaces or how letters are encoded: %s. %s",
            ", ".join(ascii(name) if same else repr(name) for name in group),
            "They are taken for one sub-class."
            if same
            else "They are classes of their own: rename one, or merge them in data/classes.yaml.",
        )


def digest_unlabelled() -> set[str]:
    """Give the image_ids of the unlabelled pictures."""
    paths = (DATA / path for path in list_paths("unlabelled"))
    return {md5_of_file(path) for path in paths if path.is_file()}


def main() -> None:
    """Run the stage."""
    gate = parameters.read(parameters.Gate)
    size, train = parameters.read(parameters.Picture).side, parameters.read(parameters.Train)
    paths = [*list_paths("library"), *list_paths("benchmarks")]
    sub_classes = list_sub_classes(paths)
    if sub_classes:  # else `fingerprint` says that there is no library
        _check(paths, sub_classes, gate)
        warn_of_look_alikes(paths)
    require_network(train, size)

    with whole(PATH) as partial:
        partial.write_text("classes.yaml, decisions, confused.csv and the gate's rules can be obeyed\n")
    log.info("instructions: classes.yaml, decisions, confused.csv and the gate's rules can be obeyed")


def _check(paths: list[str], sub_classes: list[str], gate: parameters.Gate) -> None:
    empty = list_empty("library", sub_classes)
    class_table = classes.read_classes(classes.PATH, sub_classes, empty)
    said = decisions.read_decisions(decisions.FOLDER, sub_classes, empty, class_table.renamed, digest_unlabelled)
    labelled = label(pd.DataFrame({"path": paths}).assign(image_id=None), class_table, decisions.settle(said))
    class_names = {name for name in class_table.class_names.values() if name is not None}
    renamed = renamed_classes(labelled)
    read_confused(CONFUSED, {*class_names, *names_now(base_class_names(), renamed)}, renamed)
    require_sets(gate, set(labelled["set"]) - {"library"})


if __name__ == "__main__":
    run(main)
