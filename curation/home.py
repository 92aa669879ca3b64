"""The first page: what there is to do, what people differ about, and what waits for a commit."""

import csv
from pathlib import Path
from typing import Any

from curation.state import Desk
from runtime import parameters
from runtime.repository import git
from runtime.wording import counted
from stages.labels.folders import UNLABELLED
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.splits import CLASS_COUNTS

MOST_LACKING = 12
MOST_DISPUTES = 12


def contents(desk: Desk) -> dict[str, Any]:
    """Collect what the page shows besides the frame."""
    with desk.lock:
        snapshot, ledger = desk.snapshot, desk.ledger
        paths = snapshot.tables[FINGERPRINTS]
        unlabelled = set(paths.loc[paths["path"].str.startswith(UNLABELLED), "image_id"]) if len(paths) else set()
        disputes = ledger.disputes()
        return {
            "lacking": _lacking(parameters.read(parameters.Identify).wanted)[:MOST_LACKING],
            "disputes": [
                {
                    "image_id": said[-1].image_id,
                    "said": [f"{each.person}: {' '.join(filter(None, each.answer))}" for each in said],
                }
                for said in disputes[:MOST_DISPUTES]
            ],
            "num_disputes": len(disputes),
            "waiting": sum(1 for image_id in unlabelled if ledger.is_decided(str(image_id))),
        }


def _lacking(wanted: int) -> list[tuple[str, int, int]]:
    """List the classes with too few real pictures, those that lack most first: name, pictures, how many are wanted."""
    if not Path(CLASS_COUNTS).exists():
        return []
    with Path(CLASS_COUNTS).open(encoding="utf-8", newline="") as file:
        rows = [(row["class_name"], int(row["real"])) for row in csv.DictReader(file)]
    return sorted(((name, real, wanted) for name, real in rows if real < wanted), key=lambda row: (row[1], row[0]))


def commit(desk: Desk, person: str) -> None:
    """Commit this person's file alone, as this person, and no other change.

    Raises:
        RepositoryError: git refused.
    """
    with desk.lock:
        number = desk.uncommitted(person)
        if not number:
            return
        path = str(desk.file(person).path)
        git("add", "--", path)
        message = f"{person}: {counted(number, 'decision')} at the desk"
        git("commit", "--only", f"--author={_author(person)}", "--message", message, "--", path)


def _author(person: str) -> str:
    """Name a person as commits do: as the newest commit of this person, else as this clone's user."""
    own = git("config", "user.email").strip()
    if own.partition("@")[0] == person:
        return f"{git('config', 'user.name').strip()} <{own}>"
    for line in git("log", "--format=%ae%x09%an", "-1000").splitlines():
        email, _, name = line.partition("\t")
        if email.partition("@")[0] == person:
            return f"{name} <{email}>"
    return f"{person} <{person}@localhost>"
