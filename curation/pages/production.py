"""Production: what users were told of their pictures, judged one by one; those who were given an answer come first."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from curation.actions import NominationRow, OutcomeRow, PageRow, Row, noted, why
from curation.harvested import Answer
from curation.ledger import Ledger
from curation.naming import as_written
from curation.nominating import benchmarks, class_of_now, givers, nominators
from curation.pages.page import REASONS, Pressed, unknown_key
from curation.snapshot import Snapshot
from intake.nominations import NOMINATED, UNDO
from review.markdown import visible
from runtime.errors import InputError, InstructionError
from runtime.wording import counted, listed
from serving.advice import read_advice
from serving.outcomes import BAD_PICTURE, CANDIDATE, OUT_OF_SCOPE, PRANK, RIGHT, SHOULD_HAVE_ANSWERED, WRONG
from serving.transactions import NUM_BEST
from stages.labels.labelling import OUT_OF_SCOPE as NO_CLASS
from stages.labels.names import composed

MOST_LETTERS = 100  # of a candidate's name
MOST_CANDIDATES = 200  # names that are offered


class Production:
    """The page."""

    name = "production"
    title = "Production"
    empty = "Every answer that was harvested has been judged. Ask for “make harvest”, which fetches more."
    hint = "make harvest fetches answers"

    def keys(self, snapshot: Snapshot, ledger: Ledger, query: Mapping[str, Sequence[str]]) -> Iterator[str]:
        """Go through the pictures whose answers are not all judged: shown ones first, complaints first within."""
        return iter(dict.fromkeys(each.image_id for each in snapshot.harvested.answers if _open(ledger, each)))

    def item(self, snapshot: Snapshot, ledger: Ledger, key: str) -> dict[str, Any]:
        """Collect what the page shows of a picture and of what users were told of it."""
        answers = snapshot.harvested.of_picture.get(key)
        if not answers:
            raise InputError("no answer about this picture was harvested, or it was forgotten since.")
        answer = next((each for each in answers if _open(ledger, each)), answers[0])
        last, best = answer.rows[-1], _best(answer)
        return {
            "image_id": key,
            "transactions": _open(ledger, answer) or answer.transactions,
            "told": answer.told,
            "confidence": last["confidence_1"],
            "words": _words(answer),
            "said": [(row["feedback"], row["comment"]) for row in answer.rows if row["feedback"] or row["comment"]],
            "choices": best,
            "examples": [
                {"name": name, "nearest": snapshot.nearest(key, name, 2), "typical": typical}
                for name, _ in best
                if (typical := snapshot.typical(name))
            ],
            "notes": _notes(answer),
            "reasons": REASONS,
            "benchmarks": benchmarks(snapshot),
            "candidates": ledger.candidates()[:MOST_CANDIDATES],
        }

    def rows(self, snapshot: Snapshot, ledger: Ledger, pressed: Pressed) -> list[PageRow]:
        """Say what a key finds, of each transaction that gave the answer, and where else the picture goes."""
        answers = {snapshot.harvested.of_transaction.get(each) for each in pressed.transactions}
        if len(answers) != 1 or (answer := answers.pop()) is None or answer.image_id != pressed.image_ids[0]:
            raise InputError(
                "this answer is not among those that `make harvest` fetched: it may have been forgotten. "
                "Nothing was written; reload the page."
            )
        outcome, value = _outcome(snapshot, answer, pressed)
        notes = [self.name, f"version {answer.rows[-1]['version']}", _said_by_model(answer)]
        said, drawings = why(*notes, action=pressed.action), snapshot.harvested.drawings
        class_name = answer.told if outcome == RIGHT else value
        shown = class_name if outcome in (RIGHT, WRONG, SHOULD_HAVE_ANSWERED) else None
        return [
            *_goes_on(snapshot, ledger, pressed, outcome, shown, said),
            *(
                OutcomeRow(each, answer.image_id, outcome, value, noted(said, drawings[each].note))
                for each in dict.fromkeys(pressed.transactions)
            ),
        ]


def _goes_on(
    snapshot: Snapshot, ledger: Ledger, pressed: Pressed, outcome: str, class_name: str | None, said: str
) -> list[PageRow]:
    """Say where a picture goes on to: to the library, to a benchmark, or nowhere.

    Args:
        snapshot: the tables.
        ledger: with the person who pressed the key as its viewer.
        pressed: the key.
        outcome: what it finds.
        class_name: that the picture shows; None where nobody said one.
        said: why of the rows.

    Raises:
        InputError: the picture cannot go there.
    """
    if pressed.to_library and pressed.benchmark:
        raise InputError("a picture goes to the library or to a benchmark, never to both. Nothing was written.")
    image_id = pressed.image_ids[0]
    if pressed.to_library:
        sub_class = _sub_class(snapshot, pressed, class_name)
        return [*_not_nominated(snapshot, ledger, image_id, said), Row(image_id, "relabel", sub_class, said)]
    if pressed.benchmark:
        value = _class_in_benchmark(snapshot, pressed.benchmark, outcome, class_name)
        nomination = NominationRow(image_id, NOMINATED, pressed.benchmark, value, said)
        return [*_not_given(snapshot, ledger, image_id, said), nomination]
    return []


def _not_nominated(snapshot: Snapshot, ledger: Ledger, image_id: str, said: str) -> list[PageRow]:
    """Withdraw the viewer's nomination of a picture that goes to the library.

    Raises:
        InputError: another person nominated it, or it is in a benchmark.
    """
    if path := next((each for each in snapshot.paths(image_id) if each.startswith("benchmarks/")), None):
        raise InputError(f"this picture tests the model, as data/{path}. Nothing was written; l takes the mark off.")
    people = nominators(ledger, image_id)
    if others := [each for each in people if each != ledger.viewer]:
        raise InputError(
            f"{listed(others)} nominated this picture for a benchmark: it cannot go to the library too. "
            "Nothing was written; l takes the mark off."
        )
    return [NominationRow(image_id, UNDO, "", "", said)] if people else []


def _not_given(snapshot: Snapshot, ledger: Ledger, image_id: str, said: str) -> list[PageRow]:
    """Withdraw what the viewer decided of a picture that is nominated for a benchmark.

    Raises:
        InputError: another person gave it to the library, or it is in data/ already.
    """
    if path := next(iter(snapshot.paths(image_id)), None):
        raise InputError(f"this picture is here already, as data/{path}. Nothing was written; h takes the mark off.")
    people = givers(ledger, image_id)
    if others := [each for each in people if each != ledger.viewer]:
        raise InputError(
            f"{listed(others)} gave this picture to the library: it cannot go to a benchmark too. "
            "Nothing was written; h takes the mark off."
        )
    return [Row(image_id, "undo", "", said)] if people else []


def _class_in_benchmark(snapshot: Snapshot, benchmark: str, outcome: str, class_name: str | None) -> str:
    """Say which class a nominated picture has; empty in the benchmark whose pictures have none.

    Raises:
        InputError: there is no such benchmark, or what the key says of the picture does not fit it.
    """
    if benchmark not in benchmarks(snapshot):
        raise InputError(f"there is no benchmark {benchmark!r}. Nothing was written; reload the page.")
    if benchmark == NO_CLASS:
        if outcome not in (OUT_OF_SCOPE, PRANK):
            raise InputError(
                f"{benchmark} is for pictures of which the model should know nothing: o or x. "
                "Nothing was written; h takes the mark off."
            )
        return ""
    if class_name is None:
        raise InputError(
            f"only a picture whose class you say goes to {benchmark}. Nothing was written; h takes the mark off."
        )
    return class_of_now(snapshot, class_name)


def _open(ledger: Ledger, answer: Answer) -> tuple[str, ...]:
    """List the transactions of an answer that nobody has judged."""
    return tuple(each for each in answer.transactions if not ledger.found(each, answer.image_id))


def _outcome(snapshot: Snapshot, answer: Answer, pressed: Pressed) -> tuple[str, str]:
    """Say what a key means: an outcome and its value.

    Raises:
        InputError: the key or the name means nothing here.
    """
    key = pressed.key
    fixed = {"k": RIGHT, "o": OUT_OF_SCOPE, "x": PRANK}
    if key in fixed:
        return fixed[key], ""
    if key.startswith("d:") and key[2:] in REASONS:
        return BAD_PICTURE, key[2:]
    if key == "c":
        return CANDIDATE, _candidate(pressed.name)
    if key == "t" or key.startswith("is:"):
        name = _class_named(snapshot, answer, pressed.name if key == "t" else key.removeprefix("is:"))
        if answer.told is None:
            return SHOULD_HAVE_ANSWERED, name
        return (RIGHT, "") if name == answer.told else (WRONG, name)
    raise unknown_key(pressed)


def _class_named(snapshot: Snapshot, answer: Answer, name: str) -> str:
    """Find the class that was named, maybe by a sub-class of it.

    Raises:
        InputError: there is none of this name.
    """
    best = {each for each, _ in _best(answer)}
    name = name if name in best else as_written(snapshot, name)
    if name in best or name in snapshot.sub_classes or name in snapshot.class_names:
        return name
    class_name = snapshot.classes.class_names.get(snapshot.classes.renamed.get(name, name))
    if class_name is None:
        raise InputError(f"there is no class {name!r}. Choose one of the list; what is new is a candidate: c.")
    return class_name


def _sub_class(snapshot: Snapshot, pressed: Pressed, class_name: str | None) -> str:
    """Say to which sub-class of the library a picture goes.

    Raises:
        InputError: nobody said its class, or the library has none of it, or several.
    """
    if class_name is None:
        raise InputError("only a picture whose class you say goes to the library. l takes the mark off.")
    typed = as_written(snapshot, pressed.name)
    typed = snapshot.classes.renamed.get(typed, typed)
    if pressed.key == "t" and typed in snapshot.classes.class_names:
        return typed
    members = snapshot.sub_classes.get(class_name, [])
    names = [each for each in members if snapshot.classes.origins[each] == "real"]
    if len(names) == 1:
        return names[0]
    if names:
        raise InputError(f"{class_name} has several folders: {listed(names)}. Type the right one: t.")
    raise InputError(f"the library has no real pictures of {class_name}. Nothing was written; l takes the mark off.")


def _candidate(name: str) -> str:
    """Read the name of what the model should learn.

    Raises:
        InputError: it is empty, too long, or holds what nobody sees.
    """
    name = composed(" ".join(name.split()))
    if not name or len(name) > MOST_LETTERS or visible(name) != name:
        raise InputError(f"{visible(name)!r} is no name of a candidate. Type it in 1 to {MOST_LETTERS} letters.")
    return name


def _best(answer: Answer) -> list[tuple[str, float]]:
    """Give the best classes of the last time that users asked, with their confidences, 0 to 100, best first."""
    row = answer.rows[-1]
    pairs = [(row[f"class_{rank}"], row[f"confidence_{rank}"]) for rank in range(1, NUM_BEST + 1)]
    return [(name, float(confidence)) for name, confidence in pairs if isinstance(name, str)]


def _said_by_model(answer: Answer) -> str:
    best = [f"{name} {confidence:.1f}" for name, confidence in _best(answer)[:1]]
    return " ".join(["said" if answer.told else "said nothing, first", *best])


def _words(answer: Answer) -> list[str]:
    """List what users read beside the answer, or in its place, in the words that data/advice.yaml has now."""
    try:
        advice = read_advice()
    except InstructionError as error:
        return [str(error)]
    if answer.told:
        note = advice.classes.get(answer.told)
        return [note.note] if note and note.note else []
    row = answer.rows[-1]
    faults = [each for each in str(row["faults"] or "").split(", ") if each in advice.faults]
    return advice.texts(faults, row["in_scope"] is not False)


def _notes(answer: Answer) -> list[str]:
    row = answer.rows[-1]
    notes = [f"asked on {row['received_at']:%Y-%m-%d}", f"version {row['version']}"]
    if len(answer.rows) > 1:
        notes.append(f"{counted(len(answer.rows), 'time')}, told the same")
    if row["faults"]:
        notes.append(str(row["faults"]))
    if any(each["is_far"] for each in answer.rows):
        notes.append("far from everything known")
    return notes
