"""The team's rules of what a good picture is, data/standards.md, and the pictures in it that people showed as examples.

An example is an item of a list, so that the file is read as Markdown and merged by Git line by line:

    - good: `0123456789abcdef0123456789abcdef`, boots, by ana <!-- ana 2026-11-02T09:15:00.000Z act:0123456789ab -->

`good`, `bad` or `no longer` (an example of either); of several lines about one picture the latest counts. A person may
write such a line without what stands in the comment, and may move lines below the rule that they are about.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

from curation.shared_file import LOCKS, locked, next_instant, replace, signature
from review.markdown import text as as_text
from runtime.errors import InputError, InstructionError, RepositoryError
from runtime.regular_files import read_small
from runtime.repository import git

PATH = "data/standards.md"
KINDS = ("good", "bad")
WITHDRAWN = "no longer"
TITLE = "# What a good picture is"
HEADINGS = {"good": "## Good examples", "bad": "## Bad examples"}
MAX_BYTES = 2**20
_EXAMPLE = re.compile(r"\s*[-*+] +(good|bad|no longer): *`?([0-9a-fA-F]{32})`?(?!\w)(.*)")
_MARK = re.compile(r"<!-- (\S+) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z) act:([0-9a-f]{12}) -->\s*$")
_HEADING = re.compile(r" {0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Example(NamedTuple):
    """A line about a picture.

    Attributes:
        line: its number in the file, from 0.
        kind: good, bad or no longer.
        image_id: of the picture.
        person: who showed it; empty where a person typed the line.
        on: when; long ago where a person typed the line.
        action: id of the action; empty where a person typed the line.
    """

    line: int
    kind: str
    image_id: str
    person: str
    on: datetime
    action: str

    @property
    def words(self) -> str:
        """Say in a few words what was shown."""
        return f"{self.kind} example" if self.kind in KINDS else "no example any more"


def parse(text: str) -> list[Example]:
    """List the lines about pictures, in the order of the file."""
    found = []
    for number, line in enumerate(text.split("\n")):
        if example := _EXAMPLE.match(line):
            found.append(Example(number, example[1], example[2].lower(), *_mark_of(line)))
    return found


def _mark_of(line: str) -> tuple[str, datetime, str]:
    if mark := _MARK.search(line):
        with suppress(ValueError):  # no date: a person typed it
            return unquote(mark[1]), datetime.fromisoformat(mark[2]), mark[3]
    return "", _LONG_AGO, ""


def standing(examples: Iterable[Example]) -> dict[str, Example]:
    """Give the line that counts of each picture that is an example, by image_id."""
    latest = {each.image_id: each for each in sorted(examples, key=lambda each: (each.on, each.line))}
    return {image_id: each for image_id, each in latest.items() if each.kind in KINDS}


def written(example: Example, label: str | None) -> str:
    """Write the line of an example; names stay text.

    Args:
        example: by a person, at a time; its `line` means nothing.
        label: the sub-class that the picture has, or None.
    """
    words = [f"`{example.image_id}`", *([as_text(label)] if label else []), f"by {as_text(example.person)}"]
    time = example.on.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    person = quote(example.person, safe="").replace("-", "%2D")  # a comment may hold no two hyphens
    return f"- {example.kind}: {', '.join(words)} <!-- {person} {time} act:{example.action} -->"


def with_line(text: str, line: str, example: Example) -> str:
    """Add the line of an example: below the last one of its heading, which is made where there is none.

    A line that withdraws an example stands below the line that it withdraws. Every other character stays.
    """
    lines = text.split("\n")
    end = "\r" if lines[0].endswith("\r") else ""
    earlier = [each.line for each in parse(text) if each.image_id == example.image_id]
    if example.kind == WITHDRAWN and earlier:
        lines.insert(earlier[-1] + 1, line + end)
        return "\n".join(lines)
    heading = HEADINGS[example.kind]
    at = next((number for number, each in enumerate(lines) if _title(each) == _title(heading)), None)
    if at is None:
        return f"{end}\n".join([text.rstrip("\r\n") or TITLE, "", heading, "", line, ""])
    after = next((n for n in range(at + 1, len(lines)) if _HEADING.match(lines[n])), len(lines))
    shown = [each.line for each in parse(text) if at < each.line < after]
    if shown:
        lines.insert(shown[-1] + 1, line + end)
    else:
        follows = lines[at + 1 : at + 2]
        lines[at + 1 : at + 1] = [end, line + end] if follows and not follows[0].strip() else [end, line + end, end]
    return "\n".join(lines)


def without_line(text: str, number: int) -> str:
    """Take a line out; every other character stays."""
    lines = text.split("\n")
    return "\n".join(lines[:number] + lines[number + 1 :])


class Waiting(NamedTuple):
    """What no commit holds.

    Attributes:
        num_lines: how many examples a person showed, or took back.
        others: who else did, at this desk.
        is_alone: whether nothing else in the file changed.
    """

    num_lines: int
    others: list[str]
    is_alone: bool


def waiting(before: str, now: str, person: str) -> Waiting:
    """Compare the committed file with the one that is there.

    Args:
        before: the file that is committed.
        now: the file that is there.
        person: whose examples are counted.
    """
    shown = [_lines_at_desk(text) for text in (before, now)]
    changed = Counter((shown[0] | shown[1])[line] for line in shown[0].keys() ^ shown[1].keys())
    rest = [
        [each for each in _lines(text) if each not in lines] for text, lines in zip((before, now), shown, strict=True)
    ]
    return Waiting(changed.pop(person, 0), sorted(changed), rest[0] == rest[1])


def _lines_at_desk(text: str) -> dict[str, str]:
    """The lines that keys wrote: their text, and whose they are."""
    lines = text.split("\n")
    return {lines[each.line].strip(): each.person for each in parse(text) if each.action}


def _lines(text: str) -> list[str]:
    made = {TITLE, *HEADINGS.values()}
    return [line for each in text.split("\n") if (line := each.strip()) and line not in made]


def _title(line: str) -> str | None:
    found = _HEADING.match(line)
    return found[1].casefold() if found else None


class Standards:
    """The file, which people, Git and several desks may change: it is read anew before each change.

    Args:
        path: of the file, which need not exist yet.
        locks: folder of the lock that keeps two desks apart.
    """

    def __init__(self, path: str | Path = PATH, locks: str | Path = LOCKS):
        self.path = Path(path)
        self._lock = Path(locks, "standards.lock")
        self._signature: tuple[int, ...] | None = None
        self._examples: list[Example] = []

    def text(self) -> str:
        """Read the file; empty where there is none.

        Raises:
            InstructionError: it is no text of UTF-8, or too large.
        """
        if not self.path.exists():
            return ""
        try:
            return read_small(
                self.path, MAX_BYTES, "Keep rules in it, and pictures elsewhere.", InstructionError
            ).decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise InstructionError(f"{self.path} is not UTF-8: {error}. Save it as UTF-8.") from None

    def examples(self) -> list[Example]:
        """List the lines about pictures, as the file has them now.

        Raises:
            InstructionError: the file cannot be read.
        """
        now = signature(self.path)
        if now != self._signature:
            self._examples, self._signature = parse(self.text()), now
        return self._examples

    def by(self, person: str) -> list[Example]:
        """List what a person showed, and withdrew, at a desk, in the order of time."""
        return sorted((each for each in self.examples() if each.person == person and each.action), key=lambda e: e.on)

    def show(self, person: str, kind: str, image_id: str, label: str | None, action: str) -> Example:
        """Write the line of an example; returns when it is on the disk.

        Args:
            person: who shows it.
            kind: good, bad, or no longer.
            image_id: of the picture.
            label: the sub-class that it has, or None.
            action: id of the action; one that is written already, because its answer was lost, is not written twice.

        Raises:
            InputError: the picture is such an example already, or none that could be withdrawn.
            InstructionError: the file cannot be read.
        """
        with locked(self._lock):
            text = self.text()
            known = parse(text)
            if again := next((each for each in known if each.action == action), None):
                return again
            stands = standing(known).get(image_id)
            if stands and stands.kind == kind:
                raise InputError(f"this picture is a {kind} example already.")
            if not stands and kind == WITHDRAWN:
                raise InputError("this picture is no example.")
            on = next_instant((each.on for each in known if each.person == person), datetime.now(UTC))
            new = Example(0, kind, image_id, person, on, action)
            self._write(with_line(text, written(new, label), new))
            return new

    def take_back(self, person: str, action: str) -> Example | None:
        """Take a person's line out; returns it, or None if there is none: it was taken out before."""
        with locked(self._lock):
            text = self.text()
            found = next((each for each in parse(text) if (each.person, each.action) == (person, action)), None)
            if found:
                self._write(without_line(text, found.line))
            return found

    def waiting(self, person: str) -> Waiting:
        """Say what no commit holds: of this person, of others, and whether nothing else in the file changed."""
        try:
            before = git("show", f"HEAD:./{self.path.as_posix()}")
        except RepositoryError:
            before = ""  # no commit, or none with this file
        return waiting(before, self.text(), person)

    def _write(self, text: str) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            replace(self.path, text.encode())
        except OSError as error:
            raise RepositoryError(f"{self.path} cannot be written: {error.strerror}. Nothing was changed.") from None


def latest(examples: Sequence[Example], action: str | None) -> Example | None:
    """Give the last of a person's lines, or the one of an action."""
    return next((each for each in reversed(examples) if action in (None, each.action)), None)
