"""Put back what a command changed that failed, was interrupted or was killed."""

import base64
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from runtime.outputs import write_json
from runtime.repository import git
from runtime.temporary import left_behind, remove, temporary_folder
from runtime.wording import listed

log = logging.getLogger(__name__)

_NAME = "before"
# What was where; while it stands, what was moved aside is put back. Taking it away ends the change.
_JOURNAL = "journal.json"


@contextmanager
def as_before_on_failure(replaced: Sequence[str], changed: Sequence[str]) -> Iterator[None]:
    """Run a block after whose failure, or interruption, folders and files are what they were before.

    After SIGKILL, `undo_killed` does it, and where putting back was interrupted itself. A commit that was made stays.

    Args:
        replaced: folders and files that are moved aside, so that the block finds them absent; deleted when it succeeds.
        changed: files that stay where they are; small enough to be kept in memory. An absent one is absent again.
    """
    with temporary_folder(_NAME, is_needed=_is_open) as aside:
        journal: dict[str, Any] = {
            "head": git("rev-parse", "HEAD").strip(),
            "replaced": list(replaced),
            "moved": [number for number, path in enumerate(replaced) if Path(path).exists()],
            "contents": {file: _content(Path(file)) for file in changed},
        }
        write_json(aside / _JOURNAL, journal)
        try:
            for number in journal["moved"]:
                Path(replaced[number]).rename(aside / str(number))
            yield
        except BaseException:
            _undo(aside)
            raise
        (aside / _JOURNAL).unlink()


def undo_killed() -> None:
    """Put back what a killed command had moved aside or changed, unless its commit was made."""
    for aside in left_behind(_NAME):
        if _is_open(aside) and (replaced := _undo(aside)):
            log.warning("A command was killed before; %s and what belongs to it are as before it.", listed(replaced))
        remove(aside)


def _is_open(aside: Path) -> bool:
    return (aside / _JOURNAL).exists()


def _undo(aside: Path) -> list[str]:
    """End a change: put back what was moved or changed, and name it; none where the commit was made."""
    replaced = [] if _is_committed(aside) else _put_back(aside)
    (aside / _JOURNAL).unlink()
    return replaced


def _content(file: Path) -> str | None:
    return base64.b64encode(file.read_bytes()).decode() if file.is_file() else None


def _is_committed(aside: Path) -> bool:
    """Whether the killed command had come to its commit, which is the last that it does."""
    journal = json.loads((aside / _JOURNAL).read_text(encoding="utf-8"))
    changed = git("status", "--porcelain", "--", *journal["contents"])
    return git("rev-parse", "HEAD").strip() != journal["head"] and not changed


def _put_back(aside: Path) -> list[str]:
    journal = json.loads((aside / _JOURNAL).read_text(encoding="utf-8"))
    for number, path in enumerate(map(Path, journal["replaced"])):
        was_there = number in journal["moved"]
        if was_there and not (aside / str(number)).exists():
            continue  # it had not been moved yet, or is back
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if was_there:
            (aside / str(number)).rename(path)
    for file, content in journal["contents"].items():
        if content is None:
            Path(file).unlink(missing_ok=True)
        else:
            Path(file).write_bytes(base64.b64decode(content))
    return list(journal["replaced"])
