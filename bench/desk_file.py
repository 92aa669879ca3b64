"""What a key, an undo, the first page and a start of the desk take, where a person has decided much before.

    python -m bench.desk_file [--tries 5]

The file has 4,000, 20,000 and 50,000 rows, half of them committed, about pictures that are not there. Seconds of the
processor, git's among them; without HTTP.
"""

import resource
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from statistics import median

from bench import harness
from bench.desk import FILE, PERSON, repository
from bench.desk_world import write_world
from curation import home
from curation.actions import why
from curation.frame import after, frame, uncommitted
from curation.pages.page import Pressed
from curation.state import Desk
from curation.web import PAGES, QUEUES, press
from stages.labels.decisions import COLUMNS
from stages.tables.review import REVIEW

NUM_ROWS = (4000, 20_000, 50_000)


def write_rows(number: int) -> None:
    """Write a person's file of so many decisions, each an action, and commit the first half."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    lines = [",".join(COLUMNS) + "\n"]
    for at in range(number):
        on = (first + timedelta(seconds=at)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        said = why("double-check", "model 1", "said boots 97.1", action=f"{at:012x}")
        lines.append(f'{at:032x},relabel,class_0001,{on},"{said}"\n')
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text("".join(lines[: number // 2]), encoding="utf-8")
    subprocess.run(["git", "add", "--force", str(FILE)], check=True)
    author = ["-c", "user.name=Bench", "-c", "user.email=bench@example.org"]
    subprocess.run(["git", *author, "commit", "--quiet", "--message", f"{number} rows"], check=True)
    FILE.write_text("".join(lines), encoding="utf-8")


def measure(number: int, tries: int) -> tuple[object, ...]:
    """Measure each, so often, and give the medians."""
    write_rows(number)
    page, ids = PAGES[0], REVIEW.read()["image_id"].tolist()
    desk = Desk()

    def key(image_id: str, action: str) -> None:
        press(desk, PERSON, page, Pressed("k", [image_id], "", action), False)
        after(desk, PERSON)

    def undo(action: str) -> None:
        desk.undo(PERSON, action)
        uncommitted(desk, PERSON)
        after(desk, PERSON)

    def show_home() -> None:
        home.contents(desk, PERSON)
        frame(desk, PERSON, "home", QUEUES)

    show_home()
    taken = [
        (
            _seconds(lambda at=at: key(ids[at], f"{at:06x}aaaaaa")),
            _seconds(lambda at=at: undo(f"{at:06x}bbbbbb")),
            _seconds(show_home),
            _seconds(Desk),
        )
        for at in range(tries)
    ]
    return number, *map(median, zip(*taken, strict=True))


def _seconds(work: Callable[[], object]) -> float:
    before = _processor()
    work()
    return _processor() - before


def _processor() -> float:
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


def main() -> None:
    """Run the measurement."""
    given = harness.options(__doc__, tries=5)
    with repository():
        write_world(240, 3, 48, 48)
        measured = [measure(number, given.tries) for number in NUM_ROWS]
    columns = ["rows of the person's file", "a key s", "an undo s", "the first page s", "a start s"]
    harness.print_table(columns, measured)


if __name__ == "__main__":
    main()
