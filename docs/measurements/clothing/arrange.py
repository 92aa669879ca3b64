"""Arrange pictures of clothes into folders that `make adopt` takes: see docs/measurements/clothing.md.

    python docs/measurements/clothing/arrange.py FOLDER_OF_ARCHIVES ~/clothing

Where a picture goes follows from its name alone. The pictures that held_back.csv lists were chosen by eye and become
benchmarks. A tenth of the rest of the library is a second delivery, for the week after. Half of the pictures without
clothes are the out_of_scope benchmark; the other half hides among the unlabelled ones, like what pranksters send.
A labelled picture's new name begins with the number of who sent it, for `merge.source_pattern`.

Reads: clothing.tar, clothing_senders.csv and out_of_scope.tar of the folder, held_back.csv next to this file
Writes: library/<sub_class>/, delivery/<sub_class>/, benchmarks/<benchmark>/<sub_class>/, unlabelled/
"""

import argparse
import csv
import hashlib
import shutil
import sys
import tarfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

DELIVERY_FRACTION = 0.1
OUT_OF_SCOPE_FRACTION = 0.5


def draw(purpose: str, name: str) -> float:
    """Draw a number from 0 to 1 that depends on the purpose and the name of the picture only."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {name}".encode()).digest()[:8]) / 2**64


def clothing_destination(member: str, sender: str, held_back: Mapping[str, str]) -> str:
    """Choose where a picture of clothing.tar goes.

    Args:
        member: `library/<sub_class>/<file>` or `unlabelled/<file>`.
        sender: of a labelled one.
        held_back: `<sub_class>/<file>` to the benchmark that it belongs to.

    Returns:
        Its new path, relative to the target.
    """
    top, _, rest = member.partition("/")
    if top != "library":
        return member
    sub_class, _, file = rest.partition("/")
    if rest in held_back:
        folder = f"benchmarks/{held_back[rest]}"
    else:
        folder = "delivery" if draw("delivery", file) < DELIVERY_FRACTION else "library"
    return f"{folder}/{sub_class}/{sender}_{file}"


def out_of_scope_destination(member: str) -> str:
    """Choose where a picture of out_of_scope.tar goes; `member` is its file's name."""
    judging = draw("out_of_scope", member) < OUT_OF_SCOPE_FRACTION
    return f"benchmarks/out_of_scope/{member}" if judging else f"unlabelled/{member}"


def arrange(shared: Path, target: Path, senders: Mapping[str, str], held_back: Mapping[str, str]) -> Counter[str]:
    """Write every picture of both archives to its destination.

    Args:
        shared: the folder with the two archives.
        target: the folder to make; it must not exist.
        senders: by name of the labelled pictures in clothing.tar.
        held_back: `<sub_class>/<file>` to the benchmark that it belongs to.

    Returns:
        How many pictures each folder of the target, and each benchmark, got.

    Raises:
        FileExistsError: the target exists.
        ValueError: a picture that should be held back is not in the archive.
    """
    with tarfile.open(shared / "clothing.tar") as clothing, tarfile.open(shared / "out_of_scope.tar") as others:
        destinations = [
            (clothing, member, clothing_destination(member.name, senders.get(member.name, ""), held_back))
            for member in clothing
            if member.isfile()
        ]
        destinations += [
            (others, member, out_of_scope_destination(member.name)) for member in others if member.isfile()
        ]
        absent = set(held_back) - {member.name.removeprefix("library/") for _, member, _ in destinations}
        if absent:
            raise ValueError(f"held_back.csv names {sorted(absent)[0]}, which clothing.tar lacks")
        target.mkdir(parents=True)
        for archive, member, destination in destinations:
            content = archive.extractfile(member)
            (target / destination).parent.mkdir(parents=True, exist_ok=True)
            with (target / destination).open("wb") as file:
                shutil.copyfileobj(content, file)  # type: ignore[arg-type]  # None for what is no file only
    return Counter(_folder(destination) for _, _, destination in destinations)


def _folder(destination: str) -> str:
    parts = destination.split("/")
    return "/".join(parts[: 2 if parts[0] == "benchmarks" else 1])


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, help="folder with clothing.tar, clothing_senders.csv and out_of_scope.tar")
    parser.add_argument("target", type=Path, help="folder to make")
    arguments = parser.parse_args()
    with Path(__file__).with_name("held_back.csv").open(encoding="utf-8", newline="") as file:
        held_back = {f"{row['sub_class']}/{row['file']}": row["benchmark"] for row in csv.DictReader(file)}
    with (arguments.shared / "clothing_senders.csv").open(encoding="utf-8", newline="") as file:
        senders = {row["path"]: row["sender"] for row in csv.DictReader(file)}
    for folder, number in sorted(arrange(arguments.shared, arguments.target, senders, held_back).items()):
        sys.stdout.write(f"{number:5d}  {folder}\n")


if __name__ == "__main__":
    main()
