"""The one writer of a person's file: a row is on the disk before the key that it answers is acknowledged.

What the rows say is another module's: decisions (`decision_file`), outcomes (`outcome_file`) and answers in the blind
test (`blind_file`). A file that changed in another way (by hand, by `git checkout`, by a second desk) is read again,
never written over. A lock keeps two desks of one person apart.
"""

import csv
import io
import os
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Generic

from curation.actions import AnyRow, Said, action_id, num_begun, numbered, undone_by
from curation.shared_file import ABSENT, locked, next_instant, partial_of, replace, signature, signature_of
from runtime.errors import InstructionError, RepositoryError
from runtime.outputs import sync_folder
from stages.labels.person_files import read_lines


@dataclass(frozen=True)
class Format(Generic[Said]):
    """How the rows of a file are written and read.

    Attributes:
        columns: of the file; the last two are `on` and `why`.
        parse: reads a file's text; its path names the person.
        make: makes what is said of its time, person, line, and fields but `on`.
    """

    columns: tuple[str, ...]
    parse: Callable[[str, str | Path], list[Said]]
    make: Callable[..., Said]

    @property
    def header(self) -> str:
        """The first line."""
        return ",".join(self.columns) + "\n"

    def content(self, said: Said) -> tuple[object, ...]:
        """Give the fields of what is said, but `on` and `why`."""
        return tuple(getattr(said, name) for name in self.columns[:-2])


class PersonFile(Generic[AnyRow, Said]):
    """A person's file, as this desk knows it.

    Attributes:
        person: whose file it is.
        path: of the file, which need not exist yet.
        said: what its rows say, in the order of time.
        notices: what the person should be told, in sentences; whoever shows them empties the list.
        num_reads: how often the file was read; where it grew, what was known of `said` may be wrong.
    """

    def __init__(self, person: str, folder: str | Path, locks: str | Path, form: Format[Said]):
        self.person = person
        self.path = Path(folder, f"{person}.csv")
        self.said: list[Said] = []
        self.notices: list[str] = []
        self.num_reads = 0
        self._format: Format[Said] = form
        self._lock = Path(locks, f"{person}.lock")
        self._signature: tuple[int, ...] | None = None
        self._num_lines = 0
        self._fields: dict[int, tuple[str, ...]] = {}  # of each line that is a row or the header, as the file has them
        self._actions: defaultdict[str, list[Said]] = defaultdict(list)
        self._undone: set[str] = set()
        self._committed: tuple[str, Set[tuple[str, ...]]] = ("", frozenset())  # the file's blob, and its rows
        self._has_header = False
        self._began = False

    def refresh(self) -> bool:
        """Read the file again if it is not as this desk left it.

        Returns:
            Whether it was read.

        Raises:
            InstructionError: a line cannot be read.
        """
        if self._began and signature(self.path) == self._signature:
            return False
        with locked(self._lock):
            return self._refresh()

    def append(self, rows: Sequence[AnyRow], now: datetime | None = None) -> list[Said]:
        """Write the rows of one action, all at one instant, and return when they are on the disk.

        An action that is in the file already, because its answer was lost, is not written twice.

        Args:
            rows: of one action.
            now: with a time zone; the present by default.

        Returns:
            What was added.

        Raises:
            InstructionError: the file holds a line that cannot be read.
            RepositoryError: the disk refused the rows; the file is as before.
        """
        with locked(self._lock):
            self._refresh()
            actions = {action for row in rows if (action := action_id(row.why))}
            known = {self._format.content(each) for action in actions for each in self.rows_of(action)}
            new = [row for row in numbered(rows) if row[:-1] not in known]
            if not new:
                return []
            on = next_instant((each.on for each in self.said[-1:]), now or datetime.now(UTC))
            self._write(data := _lines(new, on))
            first = self._num_lines - len(new) + 1
            added = [self._format.make(on, self.person, first + number, *row) for number, row in enumerate(new)]
            self._fields |= self._read(data.decode(), first)
            self.said += added
            self._index(added)
            return added

    def take_off(self, gone: Collection[Said]) -> None:
        """Take rows out of the file; every other byte stays. Where other rows follow them, the file is read again."""
        with locked(self._lock):
            is_as_known = not self._refresh()
            if not is_as_known:
                content = self._format.content
                wanted = {(content(each), each.why) for each in gone}
                gone = [each for each in self.said if (content(each), each.why) in wanted]
            numbers = {each.line for each in gone}
            lines = _split(self.path.read_bytes())
            rest = [line for number, line in enumerate(lines, 1) if number not in numbers]
            written = replace(self.path, b"".join(rest))
            if is_as_known and len(lines) == self._num_lines and max(numbers) == len(lines) == len(rest) + len(numbers):
                self._forget(gone, written)
            else:
                self._load()

    def committed(self) -> Set[tuple[str, ...]]:
        """List the rows that the last commit holds, as their fields."""
        from runtime.repository import git

        try:
            blob = git("rev-parse", "--verify", f"HEAD:./{self.path.as_posix()}").strip()
        except RepositoryError:
            return frozenset()  # no commit, or none with this file
        if blob != self._committed[0]:
            self._committed = (blob, set(self._read(git("cat-file", "blob", blob)).values()))
        return self._committed[1]

    def is_committed(self, said: Iterable[Said]) -> bool:
        """Say whether the last commit holds any of these rows."""
        committed = self.committed()
        return any(self._fields[each.line] in committed for each in said)

    def rows_of(self, action: str) -> list[Said]:
        """List what an action wrote, in the order of time."""
        return [*self._actions.get(action, ())]

    def open_action(self, action: str) -> list[Said]:
        """List what an action wrote, as `rows_of`; nothing where it is undone, or undoes another."""
        rows = [] if action in self._undone else self.rows_of(action)
        return [each for each in rows if not undone_by(each.why)]

    def num_uncommitted(self) -> int:
        """Count the rows that the last commit does not hold.

        Raises:
            InstructionError: the file holds a line that cannot be read.
        """
        self.refresh()
        committed = self.committed() if self.said else frozenset()
        return sum(self._fields[each.line] not in committed for each in self.said)

    def _refresh(self) -> bool:
        if self._began and signature(self.path) == self._signature:
            return False
        if self._began:
            self.notices.append(f"{self.path} was changed elsewhere and has been read again.")
        self._load()
        return True

    def _load(self) -> None:
        partial_of(self.path).unlink(missing_ok=True)  # of a desk that was killed
        self._mend()
        before = signature(self.path)  # before the text: what changes meanwhile is then read again
        text = self._text()
        self.said = sorted(self._format.parse(text, self.path))
        self._num_lines = len(_split(text.encode()))
        self._fields = self._read(text)
        self._has_header = bool(self._fields)
        self._actions.clear()
        self._undone.clear()
        self._index(self.said)
        self._signature, self._began = before, True
        self.num_reads += 1

    def _read(self, text: str, first: int = 1) -> dict[int, tuple[str, ...]]:
        """Read lines that are neither empty nor comments: the number of each, to its fields."""
        lines = read_lines(text, str(self.path), self._format.columns)
        return {first - 1 + number: tuple(fields) for number, fields in lines}

    def _index(self, said: Iterable[Said]) -> None:
        for each in said:
            if action := action_id(each.why):
                self._actions[action].append(each)
            if undone := undone_by(each.why):
                self._undone.add(undone)

    def _forget(self, gone: Collection[Said], written: tuple[int, ...]) -> None:
        """Forget the last rows, which were taken off, where no other row changes its place."""
        numbers = {each.line for each in gone}
        self.said = [each for each in self.said if each.line not in numbers]
        for each in gone:
            self._fields.pop(each.line)
            self._actions[str(action_id(each.why))].remove(each)
        self._num_lines -= len(numbers)
        self._signature = written

    def _text(self) -> str:
        try:
            return self.path.read_bytes().decode("utf-8-sig")
        except FileNotFoundError:
            return ""
        except UnicodeDecodeError as error:
            raise InstructionError(f"{self.path} is not UTF-8: {error}. Save it as UTF-8.") from None

    def _mend(self) -> None:
        """Take out what a power cut left of the last action, whose key was not answered. A row typed by hand stays."""
        with suppress(FileNotFoundError):
            content = self.path.read_bytes()
            lines = _split(content)
            whole = lines[:-1] if self._is_torn(lines) else lines
            num_gone = num_begun(whole)
            if num_gone and not self._are_committed(whole[-num_gone:]):  # else a person took the others out
                whole = whole[:-num_gone]
            if gone := lines[len(whole) :]:
                with self.path.open("r+b") as file:
                    file.truncate(len(content) - sum(map(len, gone)))
                    os.fsync(file.fileno())
                what = "row was cut off" if len(gone) == 1 and not num_begun(lines) else "action was cut off"
                self.notices.append(
                    f"{self.path}: the last {what}, as by a power cut, and has been taken out: "
                    f"{b''.join(gone).decode(errors='replace')!r}. Every answered key is in the file."
                )

    def _are_committed(self, lines: Sequence[bytes]) -> bool:
        """Say whether the last commit holds any of these lines."""
        text = b"".join(lines).decode(errors="replace")
        return not self.committed().isdisjoint(self._read(text).values())

    def _is_torn(self, lines: Sequence[bytes]) -> bool:
        """Whether the beginning of the last row was written and its end was not: what a person typed is a whole row."""
        if not lines or lines[-1].endswith(b"\n"):
            return False
        try:
            rows = self._format.parse(self._format.header + lines[-1].decode(), "torn.csv")
        except (InstructionError, UnicodeDecodeError):
            return True
        # A person may leave `why` empty; the next row of an action that was begun has one.
        return bool(num_begun(lines[:-1])) and not any(row.why for row in rows)

    def _write(self, data: bytes) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        with os.fdopen(descriptor, "r+b", buffering=0) as file:
            status = os.fstat(descriptor)
            size = status.st_size
            as_known = signature_of(status) == self._signature or (self._signature == ABSENT and not size)
            # A person's editor may leave the last line without an end.
            begin = b"\n" if size and os.pread(descriptor, 1, size - 1) != b"\n" else b""
            header = b"" if size and self._has_header else self._format.header.encode()
            try:
                _write_all(file, begin + header + data)
                os.fsync(descriptor)
            except OSError as error:
                file.truncate(size)
                raise RepositoryError(
                    f"{self.path} cannot be written: {error.strerror}. Nothing was decided."
                ) from None
            if not size:
                sync_folder(self.path.parent)
            self._num_lines += header.count(b"\n") + data.count(b"\n")
            self._has_header = True
            end = os.fstat(descriptor)
            # Where somebody wrote at the same moment, the file is read again.
            alone = as_known and end.st_size == size + len(begin + header + data)
            self._signature = signature_of(end) if alone else None


def _write_all(file: io.RawIOBase, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) or 0 :]


def _lines(rows: Sequence[AnyRow], on: datetime) -> bytes:
    """Write rows as CSV. `why` stands in quotes always: of a row that was cut off the second one is missing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="")
    time = on.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    for *fields, why in rows:
        writer.writerow([*fields, time])
        text.write(',"' + why.replace('"', '""') + '"\n')
    return text.getvalue().encode()


def _split(content: bytes) -> list[bytes]:
    """Split a file into lines, as the reader of CSV counts them; each keeps its end."""
    text = io.StringIO(content.decode("utf-8", errors="surrogateescape"), newline="")
    return [line.encode("utf-8", errors="surrogateescape") for line in text]
