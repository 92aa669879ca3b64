"""What two people do to pictures, decisions and parameters, and what each then expects to find."""

import hashlib
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
from numpy.random import Generator

from bench.life import pictures
from bench.life.checks import Listing, merged

BEGIN = datetime(2024, 1, 1, 9, tzinfo=UTC)
HEADER = "image_id,decision,value,on,why\n"
BENCHMARKS = ("difficult", "most_common", "least_common")
# What a person may change in params.yaml: the values that take turns.
PARAMETERS = {
    "validation_fraction": ("0.1", "0.2"),
    "maximum": ("10", "12"),
    "distance": ("14", "12"),
    "near": ("0.25", "0.3"),
    "codec": ("webp", "png"),
}


@dataclass
class Ledger:
    """What people did, whoever did it.

    Attributes:
        contents: bytes of every file that anybody added, by MD5.
        same: pairs of MD5 of pictures that show the same: one was made of the other.
        decisions: image_id, decision and value, the latest last.
        count: of names, so that no two are the same.
    """

    contents: dict[str, bytes] = field(default_factory=dict)
    same: set[tuple[str, str]] = field(default_factory=set)
    decisions: list[tuple[str, str, str]] = field(default_factory=list)
    count: int = 0


@dataclass
class Person:
    """One person with a clone.

    Attributes:
        name: theirs.
        clone: theirs.
        rng: theirs.
        ledger: of both.
        base: MD5 by path relative to data/, as the last pulled or pushed commit has it.
        holds: the same as the person wants it.
    """

    name: str
    clone: Path
    rng: Generator
    ledger: Ledger
    base: Listing = field(default_factory=dict)
    holds: dict[str, str] = field(default_factory=dict)

    def put(self, path: str, content: bytes) -> str:
        """Write a file below data/ and return its MD5."""
        digest = hashlib.md5(content, usedforsecurity=False).hexdigest()
        self.ledger.contents[digest] = content
        self.holds[path] = digest
        self._write(path)
        return digest

    def take_away(self, path: str) -> str:
        """Delete a file below data/ and return the MD5 that it had."""
        (self.clone / "data" / path).unlink()
        return self.holds.pop(path)

    def put_back(self, there: Listing, theirs: Listing) -> None:
        """Bring folders, some of which have the other side's files, to what both did; one's own counts.

        Args:
            there: what the folders hold.
            theirs: what the other side's commit has.
        """
        self.holds = merged(self.base, self.holds, theirs, prefer_ours=True)
        for path in there.keys() - self.holds.keys():
            (self.clone / "data" / path).unlink()
        for path, digest in self.holds.items():
            if there.get(path) != digest:
                self._write(path)

    def new_name(self, suffix: str) -> str:
        """Name a file as no other is named."""
        self.ledger.count += 1
        return f"{self.name}-{self.ledger.count:04}.{suffix}"

    def add(self, number: int, folder: str = "library") -> None:
        """Add pictures of classes drawn at random."""
        for _ in range(number):
            sub_class = str(self.rng.choice(list(pictures.COLOURS)))
            suffix = str(self.rng.choice(list(pictures.FORMATS)))
            below = "" if folder == "unlabelled" else f"{sub_class}/"
            content = pictures.encode(pictures.draw(self.rng, sub_class), suffix)
            self.put(f"{folder}/{below}{self.new_name(suffix)}", content)

    def edit(self, path: str) -> None:
        """Change the pixels of a picture."""
        self.put(path, pictures.edit(self.ledger.contents[self.holds[path]], self.rng))

    def work(self) -> None:
        """Do three to seven things, drawn at random, after a few new pictures."""
        self.add(int(self.rng.integers(2, 6)))
        for _ in range(self.rng.integers(2, 7)):
            self.rng.choice(np.array(WORK, dtype=object))(self)

    def change_parameter(self) -> None:
        """Give a parameter another value."""
        key = str(self.rng.choice(list(PARAMETERS)))
        file = self.clone / "params.yaml"
        text = file.read_text(encoding="utf-8")
        now = re.search(rf"^  {key}: (\S+)", text, re.MULTILINE)
        assert now, key
        value = next(each for each in PARAMETERS[key] if each != now[1])
        file.write_text(text[: now.start(1)] + value + text[now.end(1) :], encoding="utf-8")

    def decide(self, image_id: str, decision: str, value: str = "") -> None:
        """Write down a decision."""
        self.ledger.decisions.append((image_id, decision, value))
        on = BEGIN + timedelta(hours=len(self.ledger.decisions))
        with (self.clone / f"data/decisions/{self.name}.csv").open("a", encoding="utf-8") as file:
            file.write(f'{image_id},{decision},{value},{on:%Y-%m-%dT%H:%M:%S}.000Z,"a life, simulated"\n')

    def draw_path(self, begins: str = "library/") -> str | None:
        """Draw the path of a picture that can be read, if there is one."""
        paths = [path for path in sorted(self.holds) if path.startswith(begins) and self._is_picture(path)]
        return str(self.rng.choice(paths)) if paths else None

    def _is_picture(self, path: str) -> bool:
        return re.search(r"/(\.DS_Store|cut-|empty-|text-)", path) is None

    def _write(self, path: str) -> None:
        file = self.clone / "data" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(self.ledger.contents[self.holds[path]])


def _remove(person: Person) -> None:
    if path := person.draw_path():
        person.take_away(path)


def _rename(person: Person) -> None:
    if path := person.draw_path():
        digest = person.take_away(path)
        person.put(f"{Path(path).parent}/{person.new_name(path.rpartition('.')[2])}", person.ledger.contents[digest])


def _move(person: Person) -> None:
    """Relabel by moving the file to another class's folder."""
    if path := person.draw_path():
        digest = person.take_away(path)
        sub_class = person.rng.choice(list(pictures.COLOURS))
        person.put(f"library/{sub_class}/{person.new_name(path.rpartition('.')[2])}", person.ledger.contents[digest])


def _edit(person: Person) -> None:
    if path := person.draw_path():
        person.edit(path)


def _add_near(person: Person) -> None:
    """Add a picture that shows the same as one of the same class."""
    if path := person.draw_path():
        content, suffix = pictures.shows_the_same(person.ledger.contents[person.holds[path]], person.rng)
        digest = person.put(f"{Path(path).parent}/{person.new_name(suffix)}", content)
        if digest != person.holds[path]:
            person.ledger.same.add((digest, person.holds[path]))


def _copy(person: Person) -> None:
    """Copy a file, byte by byte, to another class's folder."""
    if path := person.draw_path():
        sub_class = person.rng.choice(list(pictures.COLOURS))
        name = person.new_name(path.rpartition(".")[2])
        person.put(f"library/{sub_class}/{name}", person.ledger.contents[person.holds[path]])


def _add_odd(person: Person) -> None:
    sub_class = str(person.rng.choice(list(pictures.COLOURS)))
    name, content = pictures.odd_file(person.rng, sub_class)
    path = f"library/{sub_class}/{name}"
    if path not in person.holds:
        person.put(path, content)


def _add_unlabelled(person: Person) -> None:
    person.add(2, "unlabelled")


def _label(person: Person) -> None:
    """Move an unlabelled picture to the library."""
    if path := person.draw_path("unlabelled/"):
        digest = person.take_away(path)
        sub_class = person.rng.choice(list(pictures.COLOURS))
        person.put(f"library/{sub_class}/{Path(path).name}", person.ledger.contents[digest])


def _add_to_benchmark(person: Person) -> None:
    person.add(1, f"benchmarks/{person.rng.choice(BENCHMARKS)}")


def _decide(person: Person) -> None:
    if path := person.draw_path():
        decision = str(person.rng.choice(["keep", "remove", "relabel", "undo"]))
        # There are enough of these that none will be without pictures.
        value = str(person.rng.choice(["ant", "bee", "cow", "dog"])) if decision == "relabel" else ""
        person.decide(person.holds[path], decision, value)


def _decide_duplicate(person: Person) -> None:
    """Say that two pictures of one class show the same."""
    if (path := person.draw_path()) and (other := person.draw_path(f"{Path(path).parent}/")):
        pair = sorted({person.holds[path], person.holds[other]})
        if len(pair) == 2:
            person.decide(pair[0], "duplicate", pair[1])
            person.ledger.same.add((pair[0], pair[1]))


WORK = (
    *[_remove, _rename, _move, _edit, _add_near, _add_near, _copy, _add_odd, _add_unlabelled, _label],
    *[_add_to_benchmark, _decide, _decide, _decide_duplicate],
)
