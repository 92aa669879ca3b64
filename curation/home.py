"""The first page: what there is to do, what people differ about, and what waits for a commit."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from curation.actions import action_id
from curation.frame import in_short
from curation.framing import framed
from curation.nominating import for_both, nominators, waiting
from curation.state import Desk
from intake.accepted import plan
from intake.new_folder import can_be_folder
from intake.nominations import CANNOT_TELL, NO_CLASS, NOMINATED, Nomination
from runtime import parameters
from runtime.errors import InputError
from runtime.repository import git
from runtime.wording import counted
from serving.outcomes import Outcome
from stages.labels.decisions import Decision, Verdicts
from stages.labels.folders import DATA
from stages.labels.names import composed
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.splits import CLASS_COUNTS

MOST_LACKING = 12
MOST_DISPUTES = 12


def contents(desk: Desk, person: str) -> dict[str, Any]:
    """Collect what the page shows besides the frame."""
    with desk.lock:
        snapshot, ledger = desk.snapshot, desk.ledger
        disputes = ledger.disputes()
        unseen = waiting(snapshot, ledger.seen_by(person))  # what others said of it, this person must not know yet
        return {
            "lacking": _lacking(parameters.read(parameters.Identify).wanted)[:MOST_LACKING],
            "disputes": [_dispute(desk, said) for said in disputes[:MOST_DISPUTES]],
            "num_disputes": len(disputes),
            "differing": [
                _dispute(desk, said)
                for said in ledger.outcome_disputes()
                if said[-1].image_id in snapshot.harvested.of_picture and said[-1].image_id not in unseen
            ][:MOST_DISPUTES],
            **_nominated(desk, person),
            "num_decisions": desk.uncommitted(person),
            "num_outcomes": desk.uncommitted_outcomes(person),
            "num_nominations": desk.uncommitted_nominations(person),
            "num_blind": desk.uncommitted_blind(person),
            "num_examples": desk.standards.waiting(person).num_lines,
            "num_copies": sum(
                1
                for image_id in ledger.paired()
                if (copy := framed(ledger, image_id)) is not None and not snapshot.paths(copy)
            ),
            **_waiting(desk),
            "sent": sum(
                1
                for image_id in snapshot.harvested.of_picture
                if not snapshot.paths(image_id)
                and ledger.answer(image_id, "label")
                and image_id not in ledger.nominations(snapshot.classes).image_ids
            ),
        }


def _dispute(desk: Desk, said: Sequence[Decision | Outcome]) -> dict[str, Any]:
    """Say what people who differ said, each in short; what counts is last."""
    return {"image_id": said[-1].image_id, "said": [f"{each.person}: {in_short(desk, [each])}" for each in said]}


def _waiting(desk: Desk) -> dict[str, Any]:
    """Count the pictures that `make intake` would move, and say what is in its way."""
    snapshot, ledger = desk.snapshot, desk.ledger
    known, renamed = snapshot.classes.class_names, snapshot.classes.renamed
    said = ledger.answers()
    removed = frozenset(each for each, (fate, _) in said.items() if fate and fate.decision == "remove")
    names = {each: composed(label.value) for each, (_, label) in said.items() if label}
    relabelled = {each: renamed.get(name, name) for each, name in names.items()}
    new = {name for name in relabelled.values() if name not in known and can_be_folder(name)}
    folders = {*known, *(name for name in new if (DATA / "library" / name).is_dir())}
    verdicts = Verdicts(removed, frozenset(), relabelled, frozenset(), frozenset(), ())
    files = snapshot.tables[FINGERPRINTS]
    files = files[files["image_id"].isin(said) & ~files["path"].str.startswith("benchmarks/")]
    try:
        moves = plan(dict(zip(files["path"], files["image_id"], strict=True)), verdicts, folders, {})
    except InputError as error:
        return {"waiting": 0, "in_the_way": str(error)}
    return {"waiting": sum(1 for each in moves if (DATA / each.source).is_file()), "in_the_way": ""}


def _nominated(desk: Desk, person: str) -> dict[str, Any]:
    """Collect what the page shows of nominated pictures: numbers, and those about which people differ."""
    snapshot, ledger = desk.snapshot, desk.ledger
    settled, both = ledger.nominations(snapshot.classes), for_both(snapshot, ledger)
    here = {each for each in settled.image_ids & snapshot.harvested.of_picture.keys() if not snapshot.paths(each)}
    unsettled = sorted(here & (settled.disputes.keys() | both.keys()))
    return {
        "to_benchmarks": len(here & settled.agreed.keys() - both.keys()),
        "unseen": sum(1 for each in here & settled.waiting.keys() - both.keys() if person in nominators(ledger, each)),
        "unsettled": [_unsettled(desk, person, each, both.get(each, {})) for each in unsettled[:MOST_DISPUTES]],
    }


def _unsettled(desk: Desk, person: str, image_id: str, givers: Mapping[str, Decision]) -> dict[str, Any]:
    """Say who said what of a nominated picture, and by which action this person nominated it or gave it away, if so."""
    said = desk.ledger.nominated()[image_id]
    nomination = said.get(person)
    own = nomination if nomination is not None and nomination.said == NOMINATED else givers.get(person)
    words = [f"{each.person}: {_about(each)}" for each in said.values()]
    return {
        "image_id": image_id,
        "said": words + [f"{name}: for the library" for name in givers],
        "own": action_id(own.why) if own is not None else None,
    }


def _about(said: Nomination) -> str:
    if said.said == NOMINATED:
        return f"for {said.benchmark}{f', as {said.value}' if said.value else ''}"
    return {NO_CLASS: "none of the classes", CANNOT_TELL: "cannot tell"}.get(said.said, said.value)


def _lacking(wanted: int) -> list[tuple[str, int, int]]:
    """List the classes with too few real pictures, those that lack most first: name, pictures, how many are wanted."""
    if not Path(CLASS_COUNTS).exists():
        return []
    with Path(CLASS_COUNTS).open(encoding="utf-8", newline="") as file:
        rows = [(row["class_name"], int(row["real"])) for row in csv.DictReader(file)]
    return sorted(((name, real, wanted) for name, real in rows if real < wanted), key=lambda row: (row[1], row[0]))


def commit(desk: Desk, person: str) -> None:
    """Commit what this person decided, found, nominated, named and showed, as this person, and no other change.

    Examples of all stand in one file: those of others go along, and the message names them. Where somebody changed the
    rules themselves, the file stays as it is, for a commit in a terminal.

    Raises:
        RepositoryError: git refused.
    """
    with desk.lock:
        desk.refresh()
        num_decisions, num_outcomes = desk.uncommitted(person), desk.uncommitted_outcomes(person)
        num_nominations, num_blind = desk.uncommitted_nominations(person), desk.uncommitted_blind(person)
        shown = desk.standards.waiting(person)
        parts = {
            str(desk.file(person).path): counted(num_decisions, "decision") if num_decisions else "",
            str(desk.outcomes(person).path): counted(num_outcomes, "outcome") if num_outcomes else "",
            str(desk.nominations(person).path): _nominations(num_nominations),
            str(desk.blind(person).path): counted(num_blind, "blind answer") if num_blind else "",
            str(desk.standards.path): counted(shown.num_lines, "example") if shown.num_lines and shown.is_alone else "",
        }
        paths = [path for path, words in parts.items() if words]
        if not paths:
            return
        git("--literal-pathspecs", "add", "--", *paths)
        *first, last = filter(None, parts.values())
        message = f"{person}: {' and '.join(filter(None, (', '.join(first), last)))} at the desk"
        if shown.others and str(desk.standards.path) in paths:
            message += f"\n\nWith examples of {', '.join(shown.others)}."
        author = f"--author={_author(person)}"
        git("--literal-pathspecs", "commit", "--only", author, "--message", message, "--", *paths)


def _nominations(number: int) -> str:
    return counted(number, "nomination or second look", "nominations and second looks") if number else ""


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
