"""Turn a clone into the user's own: their pictures under DVC instead of the sample, and nothing decided yet.

    python -m intake.adopt --library folder [--benchmarks folder] [--unlabelled folder] [--settings photographs|keep]

The folders are copied; nothing outside the clone is changed. It works once, on a clone that still has the sample.
Where the library's pictures are photographs, params.yaml gets the settings for photographs, unless it is told to keep
what it has.

Writes: data/library/, data/benchmarks/, data/unlabelled/, data/base/ (empty) and their .dvc files, data/classes.yaml
    (the folders, and proposals), data/confused.csv (emptied), data/decisions/ (an example, with nothing in force),
    params.yaml (rules of the gate that name benchmarks which are not there; the settings for photographs)
Deletes: dvc.lock and what the stages wrote
Params: split, gate, fingerprint
"""

import argparse
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from intake.folders import Listing, list_folder, require_apart
from intake.gate_rules import Fitting, fit
from intake.photographs import LEAST_SIDE, Choice, choices, measure, shorter_side
from intake.proposals import classes_yaml, decisions_example
from runtime import parameters
from runtime.command import run
from runtime.errors import InputError, RepositoryError
from runtime.progress import progress
from runtime.repository import dvc_add, folder_digest, require_committed, require_root
from runtime.temporary import temporary_folder
from runtime.undo import as_before_on_failure, undo_killed
from stages.labels import classes, confused, decisions
from stages.models.base import BASE

log = logging.getLogger(__name__)

# Of these the first must be given; and those of the first two have sub-folders: sub-classes, and benchmarks.
FOLDERS = ("data/library", "data/benchmarks", "data/unlabelled")
EXAMPLE = f"{decisions.FOLDER}/example.csv"
LOCK = "dvc.lock"
SETTINGS = ("", "photographs", "keep")


def outputs(pipeline: Mapping[str, Any]) -> list[str]:
    """List what the stages write.

    Args:
        pipeline: the content of dvc.yaml.
    """
    entries = [
        entry
        for stage in pipeline["stages"].values()
        for kind in ("outs", "metrics", "plots")
        for entry in stage.get(kind, ())
    ]
    return [entry if isinstance(entry, str) else next(iter(entry)) for entry in entries]


def require_sample() -> None:
    """Refuse a clone whose picture folders are not the sample's, byte for byte: it was adopted, or pictures were added.

    Raises:
        RepositoryError: a folder, or what its .dvc file says of it, is something else.
    """
    standing = {folder: digests for folder in FOLDERS if (digests := _digests(folder))}
    if not standing:
        return
    with TemporaryDirectory() as elsewhere:
        # The sample's writer works in the folder that it is run in.
        environment = os.environ | {"PYTHONPATH": str(Path.cwd())}
        command = [sys.executable, "-m", "sample"]
        done = subprocess.run(command, cwd=elsewhere, env=environment, capture_output=True, encoding="utf-8")
        if done.returncode:
            raise RepositoryError(
                f"the sample cannot be written, to compare your pictures with it: {done.stderr.strip()}"
            )
        own = [folder for folder in standing if standing[folder] != {folder_digest(Path(elsewhere, folder))}]
    if own:
        raise RepositoryError(
            f"{', '.join(own)}: this is not the sample any more, the clone was adopted before or pictures were added. "
            "Nothing was changed. To add pictures, put them there and run `dvc add`; to adopt another library, take a "
            "fresh clone."
        )


def _digests(folder: str) -> set[str]:
    recorded = Path(f"{folder}.dvc")
    digests = {yaml.safe_load(recorded.read_text(encoding="utf-8"))["outs"][0]["md5"]} if recorded.exists() else set()
    return digests | ({folder_digest(Path(folder))} if Path(folder).exists() else set())


def _list(given: Mapping[str, str]) -> dict[str, Listing]:
    listings = {name: list_folder(folder, needs_sub_folders=name != FOLDERS[2]) for name, folder in given.items()}
    folders = [listing.folder for listing in listings.values()]
    for folder in (Path.cwd(), *map(Path, FOLDERS)):  # one of the clone's folders may be a link
        require_apart(folders, folder.resolve())
    needed = sum((listing.folder / file).stat().st_size for listing in listings.values() for file in listing.files)
    free = shutil.disk_usage(".").free
    if free < needed:
        raise InputError(f"the pictures take {needed / 1e9:,.1f} GB and {free / 1e9:,.1f} GB are free here: make room.")
    return listings


def _copy(listing: Listing, to: Path) -> None:
    for file in progress(listing.files, len(listing.files), "files"):
        (to / file).parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copyfile(listing.folder / file, to / file)
        except OSError as error:
            raise InputError(
                f"{listing.folder / file} cannot be copied: {error.strerror}. Nothing was changed; mend that, and run "
                "it again."
            ) from None


def _settings(asked: str, library: Listing) -> list[Choice]:
    """Choose the settings for photographs where the library's pictures are photographs, or as asked for."""
    if asked == "keep":
        log.info("adopt: params.yaml keeps its settings, as SETTINGS=keep says")
        return []
    measured = measure(library.folder, library.files, parameters.read(parameters.Fingerprint).max_pixels)
    side = shorter_side(measured)
    what = f"the shorter side of the median picture has {side:.0f} pixels"
    if not asked and side < LEAST_SIDE:
        log.info(
            "adopt: params.yaml keeps its settings, for small pictures: %s, and photographs have at least %d. "
            "SETTINGS=photographs chooses the other ones.",
            what,
            LEAST_SIDE,
        )
        return []
    log.info("adopt: params.yaml gets the settings for photographs: %s. SETTINGS=keep leaves it as it is.", what)
    has_gpu = shutil.which("nvidia-smi") is not None
    return choices(measured, library.counts, parameters.read(parameters.Split).minimum, has_gpu)


def _replace(listings: Mapping[str, Listing], merges: str, rules: Fitting, settings: Sequence[Choice]) -> None:
    written = outputs(yaml.safe_load(Path("dvc.yaml").read_text(encoding="utf-8")))
    decided = sorted(str(path) for path in Path(decisions.FOLDER).glob("*.csv"))
    tracked = [f"{folder}.dvc" for folder in (*FOLDERS, BASE)]
    with temporary_folder("adopted") as aside:
        for folder in (*FOLDERS, BASE):
            Path(aside, folder).mkdir(parents=True)
        for folder, listing in listings.items():
            _copy(listing, Path(aside, folder))
        with as_before_on_failure(
            [*FOLDERS, BASE, LOCK, *written, *decided],
            [*tracked, classes.PATH, confused.PATH, EXAMPLE, "data/.gitignore", parameters.PATH],
        ):
            for folder in (*FOLDERS, BASE):
                Path(aside, folder).rename(folder)
            _write_instructions(merges)
            rules.apply()
            parameters.change({key: value for choice in settings for key, value in choice.values.items()})
            dvc_add([*FOLDERS, BASE])


def _write_instructions(merges: str) -> None:
    Path(classes.PATH).write_text(merges, encoding="utf-8")
    Path(confused.PATH).write_text(",".join(confused.COLUMNS) + "\n", encoding="utf-8")
    Path(EXAMPLE).parent.mkdir(exist_ok=True)
    Path(EXAMPLE).write_text(decisions_example(), encoding="utf-8")


def _given() -> tuple[dict[str, str], str]:
    parser = argparse.ArgumentParser(prog="python -m intake.adopt", description="Take over your own pictures.")
    parser.add_argument("--library", default="", help="a folder per sub-class, of labelled pictures")
    parser.add_argument("--benchmarks", default="", help="a folder per benchmark; in it, a folder per class")
    parser.add_argument("--unlabelled", default="", help="pictures that nobody labelled yet")
    parser.add_argument("--settings", default="", help="photographs or keep; by default the pictures decide")
    arguments = vars(parser.parse_args())
    settings = arguments.pop("settings")
    if settings not in SETTINGS:
        raise InputError(f"SETTINGS={settings} is not known: photographs or keep; without it the pictures decide.")
    if not arguments["library"]:
        raise InputError("no library is given: make adopt LIBRARY=folder [BENCHMARKS=folder] [UNLABELLED=folder]")
    return {f"data/{name}": folder for name, folder in arguments.items() if folder}, settings


def main() -> None:
    """Run the command."""
    given, asked = _given()
    minimum, gate = parameters.read(parameters.Split).minimum, parameters.read(parameters.Gate)
    require_root()
    undo_killed()
    require_committed(["data", LOCK])

    listings = _list(given)
    require_sample()
    settings = _settings(asked, listings[FOLDERS[0]])
    rules = fit(gate.rules, listings[FOLDERS[1]].counts if FOLDERS[1] in listings else ())
    _replace(listings, classes_yaml(listings[FOLDERS[0]].counts, minimum), rules, settings)

    for folder, listing in listings.items():
        numbers = len(listing.files), listing.num_left_out
        log.info("adopt: %s has %d files; %d were left out (hidden, or in no sub-folder)", folder, *numbers)
    for words in (*(choice.describe() for choice in settings), rules.describe()):
        log.info("adopt: %s", words)
    log.info(
        "Next: read %s, which lists the folders and has proposals, and `git diff %s`; `git add --all && git commit`; "
        "`make repro`.",
        classes.PATH,
        parameters.PATH,
    )


if __name__ == "__main__":
    run(main)
