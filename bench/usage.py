"""Measure `make usage`: a million transactions, and how often its intervals hold the truth.

    python -m bench.usage [report intervals] [--transactions 1000000] [--days 90] [--populations 400]

`report` ships made-up transactions to a folder as two replicas do each hour, with the scores of all classes. What users
called wrong is judged, and so are 200 other answers a week. Then it writes the report of them: seconds, and the most
memory that its processes held. `intervals` draws populations, has `make harvest` draw from each and people judge what
was drawn, and counts in how many the interval holds the share that is true of the whole population.
"""

import argparse
import csv
import shutil
import sys
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa

from bench.harness import print_costs, print_table, run
from intake import harvest
from serving.outcomes import COLUMNS, FOLDER
from serving.usage import accuracy
from tests.visitors import identities, ship_hourly, visits

PARTS = ("report", "intervals")
CLASSES = [f"class {number}" for number in range(100)]
# How often the model errs: rarely, hardly ever, and as often as a bad one.
ERRORS = (0.03, 0.005, 0.25)
AT_ONCE = 50_000
PLACE = "place"
JUDGED_PER_WEEK = 200


def population(num: int, errors: float, rng: np.random.Generator) -> pd.DataFrame:
    """Draw answers as reviewed.sql gives them, and what people would find.

    Args:
        num: of answers.
        errors: share of the shown answers that are wrong; rarer classes and lower confidences err more often.
        rng: draws them.
    """
    names = rng.choice(
        [f"class {number}" for number in range(12)], num, p=(weights := 0.6 ** np.arange(12)) / weights.sum()
    )
    confidence = 100 * rng.beta(12, 0.6, num)
    in_scope = rng.random(num) < 0.96
    shown = in_scope & (confidence >= 95)
    hardness = np.where(names == "class 0", 0.5, 1.5) * np.where(confidence > 99, 0.5, 2)
    wrong = rng.random(num) < np.clip(errors * hardness * np.where(shown, 1, 8), 0, 0.9)
    complains = wrong & shown & (rng.random(num) < 0.3)
    outcome = np.where(
        shown, np.where(wrong, "wrong", "right"), np.where(wrong, "should_have_answered", "out_of_scope")
    )
    return pd.DataFrame(
        {
            "transaction_id": identities(num, rng),
            "image_id": np.arange(num),
            "class_1": names,
            "confidence_1": confidence,
            "threshold": 95.0,
            "in_scope": in_scope,
            "shown": shown,
            "feedback": np.where(complains, "wrong", None),
            "outcome": outcome,
            "value": np.where(outcome == "right", "", "another class"),
            # What is wrong is rather far: those that are taken for their distance lean the more.
            "scope_distance": rng.beta(2, 8, num) + 0.3 * ~in_scope + 0.1 * wrong,
            "week": rng.choice(["2026-11-16", "2026-11-23"], num),
        }
    )


def intervals(rows: pd.DataFrame, number: int, judged_fraction: float) -> Iterator[tuple[str, float, accuracy.Share]]:
    """Have answers drawn and judged; give each kind of group, its true share and its estimate."""
    drawn = harvest.drawn(rows, number)
    rng = np.random.default_rng(len(rows))
    drawn = drawn.assign(outcome=drawn["outcome"].where(rng.random(len(drawn)) < judged_fraction, None))
    drawn = drawn.assign(version=7, confidence_band="", shadow_version=None, num=1)
    drawn = drawn.assign(cell=harvest.cells(drawn.assign(received_at=pd.to_datetime(drawn["week"], utc=True))))
    drawn = drawn.assign(judged_fraction=accuracy.judged_fraction(drawn))
    groups = [("all", "all"), ("class", "class 0"), ("class", "class 5"), ("week", "2026-11-23")]
    counts = [{"shown": shown, "by": by, "name": name, "answers": 0} for shown in (True, False) for by, name in groups]
    whole = accuracy.with_verdicts(rows)
    for row in accuracy.estimates(drawn, counts):
        of = whole[whole["shown"] == accuracy.MEASURES[row["measure"]]]
        column = {"class": "class_1", "week": "week"}.get(row["by"])
        of = of if column is None else of[of[column] == row["name"]]
        if len(of) and row["fraction"] is not None:
            yield (
                f"{row['measure']}, by {row['by']}",
                of["is_so"].mean(),
                accuracy.Share(row["fraction"], row["low"], row["high"]),
            )


def coverage(num_populations: int, num: int, number: int) -> pd.DataFrame:
    """Count how often intervals hold the truth.

    Returns:
        Columns `errors`, `judged`, `what`, `intervals`, `hold` (a share), `width` (the mean).
    """
    found: dict[tuple[float, float, str], list[tuple[bool, float]]] = defaultdict(list)
    rng = np.random.default_rng(0)
    for errors in ERRORS:
        for judged in (1.0, 0.5):
            for _ in range(num_populations):
                for what, truth, each in intervals(population(num, errors, rng), number, judged):
                    holds = each.low - 1e-9 <= truth <= each.high + 1e-9
                    found[errors, judged, what].append((holds, each.high - each.low))
    rows = [
        (*key, len(each), float(np.mean([holds for holds, _ in each])), float(np.mean([width for _, width in each])))
        for key, each in found.items()
    ]
    return pd.DataFrame(rows, columns=["errors", "judged", "what", "intervals", "hold", "width"])


def measure_intervals(num_populations: int) -> None:
    """Print how often intervals hold."""
    found = coverage(num_populations, 3000, 200)
    columns = ["wrong, of those shown", "judged", "interval of", "intervals", "hold the truth", "mean width"]
    print_table(columns, found.to_numpy(object).tolist())


def judged(shipped: pa.Table, number: int) -> Iterator[list[str]]:
    """Draw answers as `make harvest` does, and judge them all: rows of data/outcomes."""
    rows = shipped.drop_columns(["scores", "embedding"]).to_pandas()
    drawn = harvest.drawn(rows[rows["status"] == "answered"], number).assign(place="")
    drawings = harvest.drawings(pa.Table.from_pandas(drawn, harvest.SCHEMA, preserve_index=False))
    for row in drawn.itertuples():
        outcome = "right" if row.shown else "out_of_scope"
        note = drawings[row.transaction_id].note
        yield [row.transaction_id, row.image_id, outcome, "", "2026-11-27T09:15:00.000Z", note]


def ship(num: int, days: float, folder: Path) -> None:
    """Leave a place that gateways ship to, and outcomes, in a folder that is laid out as a clone."""
    shutil.copy("params.yaml", folder)
    (folder / FOLDER).mkdir(parents=True)
    since, rng = datetime.now(UTC) - timedelta(days=days), np.random.default_rng(0)
    with (folder / FOLDER / "reviewer.csv").open("w", encoding="utf-8", newline="") as file:
        outcomes = csv.writer(file, lineterminator="\n")
        outcomes.writerow(COLUMNS)
        for start in range(0, num, AT_ONCE):  # in parts, so that this process holds no more than one
            part = min(AT_ONCE, num - start)
            rows = visits(part, since + timedelta(days=days * start / num), days * part / num, rng, CLASSES)
            ship_hourly(rows, folder / PLACE)
            outcomes.writerows(judged(rows, round(JUDGED_PER_WEEK / 7 * days * part / num)))


def measure_report(num: int, days: int) -> None:
    """Print what a report costs."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        ship(num, days, folder)
        sizes = [path.stat().st_size for path in (folder / PLACE).rglob("*.parquet")]
        lines = (folder / FOLDER / "reviewer.csv").read_text(encoding="utf-8").count("\n")
        options = (f"--from={PLACE}", "--to=usage", f"--days={days + 1}")
        cost = run(sys.executable, "-m", "serving.usage", *options, folder=folder)
    print(f"{num:,} transactions in {len(sizes):,} files of {sum(sizes) / 1e6:,.0f} MB; {lines - 1:,} judged\n")
    print_costs("report", {"make usage": cost})


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=PARTS, default=PARTS)
    parser.add_argument("--transactions", type=int, default=1_000_000)
    parser.add_argument("--days", type=int, default=90)
    parser.add_argument("--populations", type=int, default=400)
    arguments = parser.parse_args()
    if "report" in arguments.parts:
        measure_report(arguments.transactions, arguments.days)
    if "intervals" in arguments.parts:
        measure_intervals(arguments.populations)


if __name__ == "__main__":
    main()
