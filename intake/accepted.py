"""Move what people decided about unlabelled pictures, and bring what users sent, to where it belongs: `make intake`.

A picture that was given a sub-class moves to data/library/<sub_class>/, one that was removed to data/set_aside/. One of
the library moves only where its new sub-class has no folder yet: that is how a class is split. Every move is a rename,
so no picture and no shard changes. A picture that a user sent is copied from what was harvested, to the library or to
a benchmark. Run again, it does nothing; killed, the next run goes on. A new sub-class of pictures that nobody knows is
in classes.yaml before its folder is there: without that it would be a class.

    python -m intake.accepted

Reads: data/decisions/, data/nominations/, data/unlabelled/, data/library/, data/benchmarks/, data/classes.yaml,
    build/harvest/
Writes: data/library/, data/benchmarks/, data/unlabelled/, data/set_aside/ and their .dvc files; data/classes.yaml,
    where a new sub-class holds pictures that nobody knows
"""

import logging
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import yaml

from intake import from_production
from intake.from_production import Brought
from intake.harvest import PICTURES, read_harvest
from intake.new_folder import can_be_folder
from intake.nominations import read_nominations, settle
from runtime import parameters
from runtime.command import run
from runtime.digest import md5_of_file
from runtime.errors import InputError
from runtime.outputs import whole
from runtime.repository import dvc_add, require_root
from runtime.tracked import contents, dvc_file, tracked_folders
from runtime.wording import counted, listed
from stages.labels import classes, decisions
from stages.labels.decisions import Verdicts
from stages.labels.folders import DATA, UNLABELLED, list_paths
from stages.labels.labelling import list_sub_classes
from stages.labels.names import composed

log = logging.getLogger(__name__)

SET_ASIDE, BENCHMARKS = "set_aside", "benchmarks"
_FOLDERS = ("library", "unlabelled", BENCHMARKS, SET_ASIDE)
UNKNOWN = "unknown"  # begins the name of a new sub-class of pictures that nobody knows


class Move(NamedTuple):
    """A file that moves; both paths are relative to data/."""

    source: str
    target: str
    image_id: str


def plan(
    files: Mapping[str, str], verdicts: Verdicts, folders: Collection[str], set_aside: Mapping[str, str]
) -> list[Move]:
    """Say which files move where.

    Args:
        files: path, relative to data/, to image_id: of the library and the unlabelled pictures.
        verdicts: what people decided.
        folders: the library's sub-classes that hold pictures.
        set_aside: like `files`: what was removed before.

    Returns:
        In the order of the paths. A name that is taken in the new folder is made another by the image_id.

    Raises:
        InputError: a picture was given a name that no folder can have.
    """
    taken, moves = {**files, **set_aside}, []
    for source, image_id in sorted(files.items()):
        sub_class = verdicts.relabelled.get(image_id)
        if source.startswith(UNLABELLED):
            if image_id in verdicts.removed:
                folder = SET_ASIDE
            elif sub_class is not None:
                folder = f"library/{sub_class}"
            else:
                continue
        elif sub_class is not None and sub_class not in folders and image_id not in verdicts.removed:
            folder = f"library/{sub_class}"
        else:
            continue
        if folder != SET_ASIDE and sub_class not in folders and not can_be_folder(sub_class or ""):
            raise InputError(
                f"data/decisions: {image_id} is relabelled to {sub_class!r}, which cannot be the name of a folder. "
                "Correct that line, or undo it. Nothing was moved."
            )
        name = Path(source)
        target = f"{folder}/{name.name}"
        if taken.get(target, image_id) != image_id:
            target = f"{folder}/{name.stem}-{image_id[:8]}{name.suffix}"
        taken[target] = image_id
        moves.append(Move(source, target, image_id))
    return moves


def with_unknown(text: str, names: Iterable[str]) -> str:
    """Add sub-classes to those that classes.yaml calls unknown; every other character stays.

    Args:
        text: of the file.
        names: sub-classes, at least one.
    """
    written = [yaml.safe_dump([name], default_flow_style=True, width=10**6).strip()[1:-1] for name in names]
    listed = ", ".join(written)
    origin = _entry(yaml.compose(text, Loader=yaml.SafeLoader), "origin")
    node = _entry(origin, UNKNOWN)
    if isinstance(node, yaml.SequenceNode) and node.value:
        end = node.value[-1].end_mark.index
        lines = "".join(f"\n{' ' * node.start_mark.column}- {name}" for name in written)
        return text[:end] + (f", {listed}" if node.flow_style else lines) + text[end:]
    if isinstance(origin, yaml.MappingNode) and origin.value:
        at = origin.value[0][0].start_mark
        return f"{text[: at.index]}{UNKNOWN}: [{listed}]\n{' ' * at.column}{text[at.index :]}"
    return f"{text.rstrip()}\n\norigin:\n  {UNKNOWN}: [{listed}]\n".lstrip()


def _entry(node: yaml.Node | None, key: str) -> yaml.Node | None:
    entries = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in entries if name.value == key), None)


def digest(paths: Iterable[str]) -> dict[str, str]:
    """Give the image_id of each file: as DVC has it where the file did not change since, else by reading it."""
    listings: dict[str, dict[str, str]] = {}
    with contents() as held:
        for tracked in tracked_folders([DATA / "library", DATA / "unlabelled", DATA / BENCHMARKS]):
            if tracked.folder.is_dir():
                listings[tracked.folder.name] = dict(held.of_folder(tracked.folder)[1])
    found = {}
    for path in paths:
        folder, _, rest = path.partition("/")
        found[path] = listings.get(folder, {}).get(rest) or md5_of_file(DATA / path)
    return found


def move(moves: Iterable[Move]) -> None:
    """Rename the files; where the same file stands already, only its double goes.

    Raises:
        InputError: another file stands there.
    """
    for each in moves:
        target = DATA / each.target
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            if md5_of_file(target) != each.image_id:
                raise InputError(f"data/{each.target} is another picture than data/{each.source}. Rename one of them.")
            (DATA / each.source).unlink()
        else:
            (DATA / each.source).rename(target)


def main() -> None:
    """Run the command."""
    require_root()
    paths = [*list_paths("library"), *list_paths("unlabelled")]
    folders = list_sub_classes(paths)
    table = classes.read_classes(classes.PATH, {*folders, *_begun()})
    verdicts = decisions.settle(decisions.read_decisions(decisions.FOLDER, None, renamed=table.renamed))

    files, set_aside = digest(paths), digest(list_paths(SET_ASIDE))
    moves = plan(files, verdicts, folders, set_aside)
    brought = _sent(verdicts, table, folders, {*files.values(), *set_aside.values()})
    new = sorted({each.target.split("/")[1] for each in moves if each.target.startswith("library/")} - set(folders))
    unknown = [name for name in new if name.startswith(UNKNOWN)]
    _call_unknown([name for name in unknown if table.origins.get(name, "real") == "real"])
    move(moves)
    from_production.bring(brought)
    recorded = _record()

    for folder, number in sorted(Counter(each.folder for each in brought).items()):
        log.info("intake: %s that users sent to data/%s", counted(number, "picture"), folder)
    for folder, number in sorted(Counter(str(Path(each.target).parent) for each in moves).items()):
        log.info("intake: %s to data/%s%s", counted(number, "picture"), folder, _words(folder, new, unknown))
    moved = counted(len(moves) + len(brought), "picture")
    log.info(
        "intake: %s",
        f"{moved} moved. Commit {', '.join(recorded)} and {classes.PATH}, then `make repro`."
        if moves or brought or recorded
        else "nothing waits",
    )


def _sent(
    verdicts: Verdicts, table: classes.Classes, folders: Collection[str], known: Collection[str]
) -> list[Brought]:
    """Say which harvested pictures go to the library and to benchmarks, and log which cannot.

    Args:
        verdicts: what people decided.
        table: what each sub-class is.
        folders: the library's sub-classes that hold pictures.
        known: image_ids of the library, the unlabelled pictures and those set aside.
    """
    settled = settle(read_nominations(), table.of_benchmark)
    rows = [row for row in read_harvest().to_pylist() if (PICTURES / row["image_id"]).is_file()]
    senders = from_production.senders_of(rows)
    known = {*known, *(digest(list_paths(BENCHMARKS)).values() if senders else ())}
    to_library = from_production.plan(senders, verdicts, folders, known | settled.image_ids)
    to_benchmarks = from_production.plan_benchmarks(senders, settled, verdicts, table, known)
    both = senders.keys() & settled.image_ids & from_production.for_library(verdicts) - known
    if both:
        log.warning(
            "intake: nominated for a benchmark and given a sub-class of the library, so not brought: %s. Take one back",
            listed(sorted(both)),
        )
    wanted = senders.keys() & settled.agreed.keys() - verdicts.removed - known - both
    if no_class := wanted - {each.image_id for each in to_benchmarks}:
        names = sorted({settled.agreed[each].value for each in no_class})
        log.warning("intake: %s not brought: no class %s", counted(len(no_class), "nominated picture"), listed(names))
    if to_library and not from_production.have_sources(to_library, parameters.read(parameters.Merge).source_pattern):
        log.warning(
            "intake: a user's pictures may both train and judge: merge.source_pattern in %s does not find who sent "
            "them. For these alone it is %s", parameters.PATH, from_production.SOURCE_PATTERN,
        )  # fmt: skip
    return to_library + to_benchmarks


def _begun() -> set[str]:
    """List what a killed run named in classes.yaml before it made the folder."""
    said = decisions.read_decisions(decisions.FOLDER, None)
    wanted = {each.value for each in said if each.decision == "relabel"}
    with suppress(OSError, UnicodeDecodeError, yaml.YAMLError, RecursionError):  # that is said by who reads it next
        root = yaml.compose(Path(classes.PATH).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
        node = _entry(_entry(root, "origin"), UNKNOWN)
        named = node.value if isinstance(node, yaml.SequenceNode) else []
        return wanted & {composed(each.value) for each in named if isinstance(each, yaml.ScalarNode)}
    return set()


def _call_unknown(names: Collection[str]) -> None:
    """Name new sub-classes in classes.yaml before their folders are there: a folder without it is a class."""
    if names:
        with whole(classes.PATH) as partial:
            partial.write_text(with_unknown(Path(classes.PATH).read_text(encoding="utf-8"), names), encoding="utf-8")


def _words(folder: str, new: Collection[str], unknown: Collection[str]) -> str:
    name = folder.removeprefix("library/")
    if name in unknown:
        return f", a new sub-class of pictures that nobody knows ({classes.PATH})"
    return ", a new sub-class" if name in new else ""


def _record() -> list[str]:
    """Put the folders under DVC that are not what their .dvc files say, those of a killed run too."""
    present = [folder for name in _FOLDERS if (folder := DATA / name).is_dir()]
    known = {tracked.folder: tracked.recorded for tracked in tracked_folders(present)}
    with contents() as held:
        changed = [folder for folder in present if held.of_folder(folder)[0] != known.get(folder)]
    if changed:
        dvc_add([str(folder) for folder in changed])
    return [str(dvc_file(folder)) for folder in changed]


if __name__ == "__main__":
    run(main)
