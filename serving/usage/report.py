"""Write pages about what a gateway answered, and their tables as Parquet and CSV: `make usage`.

    python -m serving.usage --from build/gateway --to build/usage --days 91

The pages load nothing and need no script: they can be mailed, opened without a network, and printed. They hold sums
only, and of no user and no picture anything.

Reads: a gateway's log (log.db), or what gateways shipped to a place (day=*/*.parquet); if they are there,
    data/costs.yaml, build/harvest/transactions.parquet, data/outcomes/, data/blind/, data/predictions/ and data/scores/
Reads also: the tags model-NNN of this clone
Writes: TO/*.html; TO/models/model-NNN.md; TO/tables/<name>.parquet and .csv; TO/tables/usage.sql, the queries
"""

import argparse
import logging
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import markupsafe
import pandas as pd

from release.promote import tag_name
from review.beside_people import read_beside
from runtime import parameters
from runtime.errors import InputError
from runtime.outputs import whole
from runtime.wording import counted
from serving.reading import open_place
from serving.settings import folder_of_log
from serving.usage import accuracy, costs, drift, duck, how_often, how_right, model_cards, pages, payers, what_changed
from serving.usage.costs import Costs
from serving.usage.gather import gather
from serving.usage.period import Period, from_first, last_days

log = logging.getLogger(__name__)

OUTPUT, DAYS = "build/usage", 91  # 13 weeks
TABLES = "tables"
Pages = dict[str, dict[str, Any]]  # by name of the file, what it shows
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
    costs: Costs | None

    @property
    def known(self) -> Costs:
        """What data/costs.yaml holds, or its defaults."""
        return self.costs or Costs()


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
    with TemporaryDirectory(dir=folder, prefix="gathered") as name:
        gathered = Path(name)
        first = gather(open_place(settings.place), settings.period, gathered / "transactions.parquet")
        if first is None:
            raise InputError(
                f"{settings.place} has no transactions since {settings.period.since:%Y-%m-%d}. Name a gateway's log or "
                "where it ships to by FROM, or more days by DAYS."
            )
        settings = settings._replace(period=from_first(settings.period, first))
        tables = duck.ask(_text(duck.QUERIES), _variables(gathered, settings), folder / TABLES)
        written = _drift(gathered, settings, folder, tables) | _accuracy(gathered, settings, folder, tables)
    shutil.copy(duck.QUERIES, folder / _MARK)
    shutil.copy(costs.EXAMPLE, folder)
    _write_pages(folder, settings, {"index.html": how_often.contents(tables, settings.known)} | written)
    return int(tables["summary"][0]["pictures"])


def _accuracy(gathered: Path, settings: Settings, folder: Path, tables: duck.Tables) -> Pages:
    """Estimate how right answers are, write the tables, and lay out the pages that show it."""
    drawn = accuracy.read_drawn()
    accuracy.write_drawn(drawn, gathered / "drawn.parquet")
    variables = _variables(gathered, settings) | {"drawn": gathered / "drawn.parquet"}
    rows = _answers(duck.REVIEWED, "reviewed", variables, gathered)
    found, second = accuracy.estimates(rows, tables["answered"]), accuracy.comparisons(rows)
    duck.write_table(found, accuracy.ACCURACY, folder / TABLES, "accuracy")
    duck.write_table(second, accuracy.SECOND, folder / TABLES, "versions_compared")
    return {
        "accuracy.html": how_right.contents(
            tables, found, second, accuracy.represented(rows), drawn.num_without_probability
        ),
        "costs.html": payers.contents(
            settings.known, tables, found, settings.period, read_beside(), parameters.read(parameters.Export).version
        ),
        "models.html": {"cards": _cards(folder, tables, found)},
    }


def _cards(folder: Path, tables: duck.Tables, found: Sequence[duck.Row]) -> list[tuple[str, markupsafe.Markup]]:
    """Write a card for each promoted version, and lay it out for the page of all."""
    cards = []
    (folder / "models").mkdir()
    for tagged in model_cards.read_tagged():
        name = tag_name(tagged.version)
        markdown = model_cards.card(tagged, tables, found)
        (folder / f"models/{name}.md").write_text(markdown, encoding="utf-8")
        cards.append((name, model_cards.as_html(markdown, name)))
    return cards


def _drift(gathered: Path, settings: Settings, folder: Path, tables: duck.Tables) -> Pages:
    """Compare times with each other and with held-out pictures, write the table, and lay out the page."""
    variables = _variables(gathered, settings) | {"most_embeddings": drift.MOST_EMBEDDINGS}
    samples = _answers(duck.SAMPLES, "samples", variables, gathered)
    held_out = drift.read_held_out()
    rows = drift.compare(samples, held_out)
    duck.write_table(rows, drift.DRIFT, folder / TABLES, "drift")
    return {"drift.html": what_changed.contents(rows, held_out, tables["versions"])}


def _answers(queries: Path, name: str, variables: dict[str, object], gathered: Path) -> pd.DataFrame:
    """Read single answers, of which the report has no table."""
    view = duck.queries(_text(duck.QUERIES))[""]
    duck.ask(view + _text(queries), variables, gathered)
    return pd.read_parquet(gathered / f"{name}.parquet")


def require_ours(folder: Path) -> None:
    """Refuse to replace a folder that is no report.

    Raises:
        InputError: it is something else, and not empty.
    """
    if folder.exists() and not (folder / _MARK).is_file() and (not folder.is_dir() or any(folder.iterdir())):
        raise InputError(
            f"{folder} is there and no report of ours, which would be replaced. Name another folder by TO."
        )


def _variables(gathered: Path, settings: Settings) -> dict[str, object]:
    level, files = settings.known.service_level, {"files": gathered / "transactions.parquet"}
    return {**files, **settings.period._asdict(), "objective": level.objective, "within_ms": level.within_ms}


def _write_pages(folder: Path, settings: Settings, written: Pages) -> None:
    period = settings.period
    shown = {"place": settings.place, "period": period, "zone": period.zone, "costs": settings.costs}
    for name, contents in written.items():
        html = pages.fill(name, written=list(written), **shown, **contents)
        (folder / name).write_text(html, encoding="utf-8")


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def _settings(now: datetime) -> Settings:
    parser = argparse.ArgumentParser(prog="python -m serving.usage", description="Write what a gateway's log says.")
    parser.add_argument("--from", dest="place", default="", help="a gateway's log, or where gateways ship to")
    parser.add_argument("--to", default=OUTPUT, help="folder of the pages")
    parser.add_argument("--days", type=_number, default=DAYS, help="today and so many days less one before it")
    parser.add_argument("--zone", default="", help="time zone of days and hours; else that of data/costs.yaml, or UTC")
    arguments = parser.parse_args()
    known = costs.read_costs()
    zone = arguments.zone or (known or Costs()).zone
    try:
        costs.require_zone(zone)
    except ValueError as error:
        raise InputError(f"ZONE: {error}.") from None
    place = arguments.place.rstrip("/") or str(folder_of_log())
    return Settings(place, Path(arguments.to), last_days(arguments.days, zone, now), known)


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10_000:
        raise InputError(f"{text!r} is not a whole number of days from 1 to 9999, as DAYS is.")
    return int(text)
