"""Play a made-up week in front of the gateway, and write what a team learns from it: `make demo`.

    python -m serving.demo [--visits 600]

The gateway is that of `make gateway` with a clock of its own. Visitors send it held-out pictures over HTTP: some dark,
some blurred, some out of scope, some no pictures. What it logged is shipped, harvested, judged by a made-up reviewer
who knows what each picture shows, and written up by `make usage`. The same day gives the same figures. On another day
the same visitors come on the same weekdays, and chance draws others of their answers for review.

Reads: the newest export in data/export, data/splits.parquet, data/images.parquet and the pictures that they name,
    data/advice.yaml, params.yaml, data/fingerprints.parquet
Writes: build/demo, and nothing else
"""

import argparse
import logging
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from curation.outcome_file import OutcomeFile
from curation.shared_file import LOCKS
from intake.harvest import TRANSACTIONS
from runtime.errors import InputError
from runtime.repository import require_root
from runtime.wording import counted
from serving.demo.photos import read_photos
from serving.demo.played import HOST, SetClock, played_gateway
from serving.demo.reviewer import Truth, judge, truth_of
from serving.demo.visitors import OK, Client, Sent, play
from serving.demo.week import DAYS, NUM_VISITS, Visit, draw_week, last_week
from serving.demo.workspace import FOLDER, GATEWAY, OUTCOMES, SHIPPED, USAGE, make_workspace, run_in
from serving.models import Exports, read_export
from serving.usage import accuracy
from serving.usage.report import TABLES
from stages.tables.exported import EXPORT

log = logging.getLogger(__name__)

SEED = 20
REVIEWER = "reviewer"
_FEWEST_VISITS = 20
_DRAWN = 200  # answers for review, as `make harvest` draws by itself
_ROUNDING = 1e-9


def main() -> None:
    """Run the command."""
    arguments = _arguments()
    require_root()
    version = read_export(Exports(Path(EXPORT)).newest()).version
    photos = read_photos()
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    visits = draw_week(arguments.visits, last_week(today.date()), photos, np.random.default_rng(SEED))

    make_workspace(FOLDER, version)
    sent = _played(visits, today)
    days = DAYS + 1  # midnight may have passed since
    run_in(FOLDER, "intake.harvest", f"--from={SHIPPED}", f"--days={days}", f"--number={_DRAWN}")
    harvested = pq.read_table(FOLDER / TRANSACTIONS)
    num_judged = judge(harvested, sent, OutcomeFile(REVIEWER, FOLDER / OUTCOMES, FOLDER / LOCKS))
    run_in(FOLDER, "serving.usage", f"--from={SHIPPED}", f"--to={USAGE}")

    for line in (*_figures(sent, truth_of(sent)), *_next(len(harvested) - num_judged)):
        log.info("%s", line)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m serving.demo", description="Play a made-up week.")
    parser.add_argument("--visits", type=_number, default=NUM_VISITS, help="that are made, second tries aside")
    return parser.parse_args()


def _number(text: str) -> int:
    if not text.isdecimal() or not _FEWEST_VISITS <= int(text) < 10**6:
        raise InputError(f"{text!r} is not a whole number of at least {_FEWEST_VISITS} visits.")
    return int(text)


def _played(visits: Sequence[Visit], end: datetime) -> list[Sent]:
    """Have the visits made, and what was logged shipped."""
    clock = SetClock(SEED)

    def set_clock(moment: datetime) -> None:
        clock.moment = moment

    logging.getLogger("serving.keeper").setLevel(logging.WARNING)  # a line for each file that it ships
    with played_gateway(FOLDER / GATEWAY, FOLDER / SHIPPED, clock) as played:
        log.info("demo: a made-up week visits a gateway at http://%s:%d/", HOST, played.port)
        sent = play(visits, Client(HOST, played.port).ask, set_clock, end)
        # An hour after the last moment, when all of it may go.
        num_shipped = played.keeper.ship(end + timedelta(hours=1))
    log.info("demo: shipped to %s: %s", FOLDER / SHIPPED, counted(num_shipped, "row"))
    return sent


def _figures(sent: Sequence[Sent], truth: Truth) -> list[str]:
    """Say what happened, and what is estimated of it beside what is true."""
    answered = [each for each in sent if each.status == OK]
    num_shown = sum(each.told is not None for each in answered)
    rows = pq.read_table(FOLDER / USAGE / f"{TABLES}/accuracy.parquet").to_pylist()
    overall = {row["measure"]: row for row in rows if row["by"] == "all"}
    pairs = ((accuracy.TOLD, truth.right_of_shown), (accuracy.SILENT, truth.rightly_silent))
    return [
        f"demo: {counted(len(sent), 'picture')} were sent, {len(answered):,} were looked at, and "
        f"{num_shown / max(1, len(answered)):.1%} of these were shown an answer",
        *(_compared(overall[name], true) for name, true in pairs if name in overall and true is not None),
    ]


def _compared(row: Mapping[str, Any], true: float) -> str:
    if row["fraction"] is None:
        return f"demo: {row['measure']}: nothing of this was judged"
    holds = row["low"] - _ROUNDING <= true <= row["high"] + _ROUNDING
    return (
        f"demo: {row['measure']}: {row['fraction']:.1%} ({row['low']:.1%} to {row['high']:.1%}), estimated from "
        f"{row['judged']:,} of {counted(row['answers'], 'answer')}; true of all is {true:.1%}, which the interval "
        f"{'holds' if holds else 'misses, as one in twenty does'}"
    )


def _next(num_left: int) -> list[str]:
    """Say what to look at."""
    python = os.path.relpath(sys.executable, FOLDER)
    return [
        f"demo: nobody in this week is real. Open {FOLDER}/{USAGE}/index.html; the other pages are linked there. Then:",
        f"  cd {FOLDER} && PYTHONPATH=../.. {python} -m curation.desk",
        f"      http://127.0.0.1:8765/production: judge {counted(num_left, 'answer')} that the reviewer has left",
        "  make gateway",
        "      http://127.0.0.1:8080/: send a photo of your own; its log is another one",
    ]
