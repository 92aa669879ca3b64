"""Write pages about what a gateway answered, and their tables as Parquet and CSV: `make usage`.

    python -m serving.usage --from build/gateway --to build/usage --days 91

The pages load nothing and need no script: they can be mailed, opened without a network, and printed. They hold sums
only, and of no user and no picture anything.

Reads: a gateway's log (log.db), or what gateways shipped to a place (day=*/*.parquet); data/costs.yaml, if it is there
Writes: TO/*.html; TO/tables/<name>.parquet and .csv; TO/tables/usage.sql, the queries
"""

import argparse
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

from runtime.errors import InputError
from runtime.outputs import whole
from runtime.wording import counted
from serving.reading import open_place
from serving.settings import folder_of_log
from serving.usage import costs, duck, how_often, pages
from serving.usage.gather import gather
from serving.usage.period import Period, from_first, last_days

log = logging.getLogger(__name__)

OUTPUT, DAYS = "build/usage", 91  # 13 weeks
TABLES = "tables"
_MARK = f"{TABLES}/usage.sql"


class Settings(NamedTuple):
    """What a report is about.

    Attributes:
        place: a gateway's log, or where gateways ship to.
        output: folder of the pages.
        period: the days asked for.
        costs: what data/costs.yaml holds; None where it is absent.
    """

    place: str
    output: Path
    period: Period
    costs: costs.Costs | None


def main() -> None:
    """Run the command."""
    settings = _settings(datetime.now(UTC))
    require_ours(settings.output)

    with whole(settings.output) as partial:
        (partial / TABLES).mkdir(parents=True)
        num = write(settings, partial)

    log.info("usage: %s; open %s/index.html", counted(num, "picture"), settings.output)


def write(settings: Settings, folder: Path) -> int:
    """Write pages and tables.

    Returns:
        How many pictures they are about.

    Raises:
        InputError: there is none in the period.
    """
    known = settings.costs or costs.Costs()
    with TemporaryDirectory(dir=folder, prefix="gathered") as gathered:
        path = Path(gathered) / "transactions.parquet"
        first = gather(open_place(settings.place), settings.period, path)
        if first is None:
            raise InputError(
                f"{settings.place} has no transactions since {settings.period.since:%Y-%m-%d}. Name a gateway's log or "
                "where it ships to by FROM, or more days by DAYS."
            )
        period = from_first(settings.period, first)
        tables = duck.ask(duck.QUERIES.read_text(encoding="utf-8"), _variables(path, period, known), folder / TABLES)
    shutil.copy(duck.QUERIES, folder / _MARK)
    shutil.copy(costs.EXAMPLE, folder)
    shown: dict[str, Any] = {"place": settings.place, "period": period, "zone": period.zone, "costs": settings.costs}
    shown["written"] = ["index.html"]
    _write_page(folder, "index.html", **how_often.contents(tables, known), **shown)
    return int(tables["summary"][0]["pictures"])


def require_ours(folder: Path) -> None:
    """Refuse to replace a folder that is no report.

    Raises:
        InputError: it is something else, and not empty.
    """
    if folder.exists() and not (folder / _MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is there and no report of ours, which would be replaced. Name another folder by TO."
        )


def _variables(path: Path, period: Period, known: costs.Costs) -> dict[str, object]:
    level = known.service_level
    return {"files": path, **period._asdict(), "objective": level.objective, "within_ms": level.within_ms}


def _write_page(folder: Path, name: str, **contents: Any) -> None:
    (folder / name).write_text(pages.fill(name, **contents), encoding="utf-8")


def _settings(now: datetime) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m serving.usage", description="Write what a gateway's log says.")
    parser.add_argument("--from", dest="place", default="", help="a gateway's log, or where gateways ship to")
    parser.add_argument("--to", default=OUTPUT, help="folder of the pages")
    parser.add_argument("--days", type=_number, default=DAYS, help="today and so many days less one before it")
    parser.add_argument("--zone", default="", help="time zone of days and hours; else that of data/costs.yaml, or UTC")
    arguments = parser.parse_args()
    known = costs.read_costs()
    zone = arguments.zone or (known or costs.Costs()).zone
    try:
        costs.require_zone(zone)
    except ValueError as error:
        raise InputError(f"ZONE: {error}.") from None
    place = arguments.place.rstrip("/") or str(folder_of_log())
    return Settings(place, Path(arguments.to), last_days(arguments.days, zone, now), known)


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10_000:
        raise InputError(f"{text!r} is not a whole number of days, at least 1.")
    return int(text)
