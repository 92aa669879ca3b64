"""Fetch answers of the last days that people should judge: `make harvest`.

A tenth are the pictures that are farthest from every class, where the model gives a distance. The rest is a sample,
stratified by how sure the model was and by class, so that rare classes and doubtful answers are seen too. Each
transaction has the probability with which it was drawn: 1 for the farthest, and for what users called wrong, which
comes in any case. Run again, it draws the same of the same, and adds what is new. What was forgotten or removed where
it came from is removed here.

    python -m intake.harvest --from build/gateway --days 7 --number 200

Reads: a gateway's log (log.db, pictures/), or what gateways shipped to a place (day=*/*.parquet, pictures/);
    data/pretrained/
Writes: build/harvest/transactions.parquet (`transaction_id`, `received_at`, `image_id`, what was answered, `feedback`,
    `scope_distance`, `is_far`: it is one of the farthest, `review_probability`, `place`),
    build/harvest/pictures/<image_id>,
    build/harvest/embeddings.parquet (`image_id`, `embedding`), where the network that embeds the library is here
"""

import argparse
import hashlib
import logging
from collections.abc import Hashable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from intake.embeddings import write_embeddings
from runtime.command import run
from runtime.digest import md5_of_bytes
from runtime.errors import InputError, RetrainError
from runtime.outputs import whole
from runtime.progress import progress
from runtime.repository import require_root
from runtime.wording import counted
from serving.outcomes import Drawing
from serving.reading import Place, normal, open_place
from serving.settings import folder_of_log
from serving.transactions import ANSWERED, COLUMNS

log = logging.getLogger(__name__)

FOLDER = Path("build/harvest")
TRANSACTIONS, PICTURES = FOLDER / "transactions.parquet", FOLDER / "pictures"
EMBEDDINGS = FOLDER / "embeddings.parquet"
_KEY, _PROBABILITY, _FAR = "transaction_id", "review_probability", "is_far"
_FAR_FRACTION = 0.1  # of those that are drawn: the farthest, with certainty
_BEST = [f"{name}_{rank}" for rank in (1, 2, 3) for name in ("class", "confidence")]
_LOGGED = [
    _KEY, "received_at", "replica", "image_id", "faults", "version", "threshold", *_BEST, "in_scope",
    "scope_distance", "shown", "status", "feedback", "comment", "user_hash",
]  # fmt: skip
SCHEMA = pa.schema(
    [(name, COLUMNS[name]) for name in _LOGGED if name != "status"]
    + [(_FAR, pa.bool_()), (_PROBABILITY, pa.float64()), ("place", pa.string())]
)
WRONG = "wrong"  # what a user says of an answer, as feedback


def bands(rows: pd.DataFrame) -> pd.Series:
    """Say how sure the model was, in four bands.

    Args:
        rows: columns `confidence_1`, `threshold`, `in_scope`, `shown`.

    Returns:
        `shown`; `out of scope`, by the model's own rule; `unsure`, from half the threshold; `lost`, below that.
    """
    in_scope = rows["in_scope"].map(lambda value: value is not False)
    unsure = rows["confidence_1"] >= rows["threshold"] / 2
    named = np.select([~in_scope, rows["shown"].astype(bool), unsure], ["out of scope", "shown", "unsure"], "lost")
    return pd.Series(named, rows.index, dtype=object)


def cells(rows: pd.DataFrame) -> "pd.Series[str]":
    """Name the cell of each drawn answer: within one, those that were judged stand for those that were not yet.

    Args:
        rows: columns of `bands`, `is_far`, `feedback`, `received_at`.

    Returns:
        Its band, whether it was taken for being far or called wrong, and the week (UTC) that it came in, such as
        "shown, called wrong, 2026-W47".
    """
    far = np.where(rows[_FAR].eq(True), ", far", "")
    wrong = np.where(rows["feedback"].eq(WRONG), ", called wrong", "")
    named: pd.Series[str] = bands(rows) + far + wrong + rows["received_at"].dt.strftime(", %G-W%V")
    return named


def probabilities(strata: pd.Series, number: int) -> pd.Series:
    """Share a number of draws among strata as the square roots of their sizes, and draw all of those that have fewer.

    As many of each would leave the most frequent class, and with it the accuracy over all, to a handful of answers; as
    they come, rare classes would never be seen. Source: Bankier 1988, "Power allocations: determining sample sizes for
    subnational areas", The American Statistician 42.

    Args:
        strata: of each transaction.
        number: of transactions to be drawn, on average; at least 1.

    Returns:
        For each transaction the probability with which it is drawn, above 0; their sum is the smaller of `number` and
        how many there are.
    """
    sizes = strata.groupby(strata).transform("size").astype(float)
    if len(strata) <= number:
        return pd.Series(1.0, strata.index)
    left, share, roots = float(number), 0.0, np.sqrt(np.sort(strata.value_counts().to_numpy()))
    for place, root in enumerate(roots):
        share = left / roots[place:].sum()  # draws for each unit of the roots that remain
        if root > share:
            break
        left -= root**2
    return (share / sizes.pow(0.5)).clip(upper=1.0)


def lot(transaction: str) -> float:
    """Give a transaction's lot, from 0 to 1 and always the same: below its probability, it is drawn."""
    digest = hashlib.blake2b(transaction.encode(), digest_size=8, person=b"harvest").digest()
    return int.from_bytes(digest, "big") / 2**64


def farthest(rows: pd.DataFrame, number: int) -> pd.Series:
    """Choose the pictures that are farthest from every class, each by the first transaction that it came with.

    A picture that somebody sends a hundred times takes one place and not all of them.

    Args:
        rows: columns `transaction_id`, `image_id`, `scope_distance`.
        number: of pictures.

    Returns:
        For each transaction whether it was chosen; none without a distance is.
    """
    known = rows[rows["scope_distance"].notna()].sort_values(_KEY).drop_duplicates("image_id")
    chosen = known.sort_values(["scope_distance", _KEY], ascending=[False, True]).head(number)
    return pd.Series(rows.index.isin(chosen.index), rows.index)


def drawn(rows: pd.DataFrame, number: int) -> pd.DataFrame:
    """Draw transactions for review.

    Args:
        rows: that were answered and have a picture; columns of SCHEMA but the last three; the index has no value twice.
        number: to be drawn, on average, beside those that users called wrong.

    Returns:
        Those that were drawn, with `is_far` and `review_probability`.
    """
    others = rows[rows["feedback"] != WRONG]
    num_far = int(_FAR_FRACTION * min(number, len(others)))
    is_far = farthest(others, num_far).reindex(rows.index, fill_value=False)
    rest = others[~is_far[others.index]]
    strata = bands(rest) + " " + rest["class_1"].astype(str)
    given = probabilities(strata, number - int(is_far.sum())).reindex(rows.index, fill_value=1.0)
    return rows.assign(**{_FAR: is_far, _PROBABILITY: given})[rows[_KEY].map(lot).astype(float) < given]


def joined(known: pd.DataFrame, new: pd.DataFrame) -> pd.DataFrame:
    """Add what was drawn now to what was drawn before.

    Args:
        known: drawn before.
        new: drawn now. Its fields count: users may have said something since.

    Returns:
        Each transaction once, in their order. The lot of a transaction never changes, so that it is drawn in one of
        several runs where it is below the largest of their probabilities: that one stands in the row. Which ones are
        the farthest hangs on no lot, so that this holds for them too; one that was among them in any run is so marked.
    """
    # is_far is null in the list of an older harvest.
    parts = [each.assign(**{_FAR: each[_FAR].eq(True)}) for each in (known, new) if len(each)]
    both = pd.concat(parts) if parts else new
    largest = both.groupby(_KEY)[[_FAR, _PROBABILITY]].transform("max")
    return both.assign(**largest).drop_duplicates(_KEY, keep="last").sort_values(_KEY)


def main() -> None:
    """Run the command."""
    arguments = _arguments()
    require_root()
    name = arguments.place.rstrip("/") or str(folder_of_log())
    place, known = open_place(name), read_harvest().to_pandas()
    first = (datetime.now(UTC) - timedelta(days=arguments.days)).date().isoformat()
    rows = place.rows(first, _LOGGED).to_pandas()
    if not len(rows) and not len(known):
        raise InputError(
            f"{name} has no transactions since {first}. Name a gateway's log or where it ships to by FROM."
        )

    rows = rows[(rows["status"] == ANSWERED) & rows["image_id"].notna()].drop(columns="status")
    found = joined(_remembered(known, place, name), drawn(rows, arguments.number).assign(place=name))
    there = [_fetched(place, row) for row in progress(found.to_dict("records"), len(found), "pictures")]
    kept = found[np.array(there, dtype=bool)]

    _write(kept)
    _embed(kept["image_id"])
    log.info(
        "harvest: %s to judge (%d new, %d that users called wrong, %d far from every class) are in %s%s",
        counted(len(kept), "answer"), (~kept[_KEY].isin(known[_KEY])).sum(), (kept["feedback"] == WRONG).sum(),
        kept[_FAR].sum(), FOLDER,
        f"; {counted(len(found) - len(kept), 'picture')} could not be found" if len(kept) < len(found) else "",
    )  # fmt: skip


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m intake.harvest", description="Fetch answers that people judge.")
    parser.add_argument("--from", dest="place", default="", help="a gateway's log, or where gateways ship to")
    parser.add_argument("--days", type=_number, default=7, help="of which answers are drawn")
    parser.add_argument("--number", type=_number, default=200, help="of answers to draw")
    return parser.parse_args()


def _number(text: str) -> int:
    if not text.isdecimal() or not 0 < int(text) < 10**6:
        raise InputError(f"{text!r} is not a whole number of at least 1, as DAYS and NUMBER are.")
    return int(text)


def read_harvest() -> pa.Table:
    """Read what was harvested before: the columns of SCHEMA; no rows where nothing was.

    Raises:
        InputError: the list is damaged.
    """
    try:
        return pq.read_table(TRANSACTIONS, schema=SCHEMA)
    except FileNotFoundError:
        return SCHEMA.empty_table()
    except (pa.ArrowException, OSError) as error:
        raise InputError(
            f"{TRANSACTIONS} is damaged ({error}). Delete it; harvest fetches again what is there."
        ) from None


def drawings(harvested: pa.Table) -> dict[str, Drawing]:
    """Say how each transaction was drawn.

    Args:
        harvested: as `read_harvest` gives it.
    """
    rows = harvested.to_pandas()
    cell = cells(rows)
    columns = (rows[_PROBABILITY], cell, cell.map(cell.value_counts()))
    return dict(zip(rows[_KEY], map(Drawing, *(each.tolist() for each in columns)), strict=True))


def _remembered(known: pd.DataFrame, place: Place, name: str) -> pd.DataFrame:
    """Leave out what was harvested from a place and must not be kept any more."""
    of_place = known[known["place"].map(normal) == normal(name)]
    if not len(of_place):
        return known
    day = of_place["received_at"].min().date().isoformat()
    return known[~known[_KEY].isin(place.forgotten(of_place[_KEY].tolist(), day))]


def _fetched(place: Place, row: Mapping[Hashable, Any]) -> bool:
    """Fetch a picture, unless it is here; False where it is nowhere."""
    image_id = str(row["image_id"])
    path = PICTURES / image_id
    if path.is_file():
        return True
    data = place.picture(f"{row['received_at']:%Y-%m-%d}", str(row["replica"]), image_id)
    if data is None or md5_of_bytes(data) != image_id:
        return False
    _make_private(PICTURES)
    with whole(path) as partial:
        partial.touch(0o600)
        partial.write_bytes(data)
    return True


def _write(rows: pd.DataFrame) -> None:
    """Write the list, then remove pictures that it does not name."""
    _make_private(PICTURES)
    with whole(TRANSACTIONS) as partial:
        pq.write_table(pa.Table.from_pandas(rows, SCHEMA, preserve_index=False), partial)
    _remove_all_but(rows["image_id"])


def _embed(image_ids: "pd.Series[str]") -> None:
    """Embed the pictures, so that the desk shows which of the library are nearest; else say what is missing."""
    try:
        write_embeddings(EMBEDDINGS, PICTURES, image_ids.unique().tolist())
    except RetrainError as error:
        log.warning("harvest: the desk will show a typical picture of a class, not the nearest: %s", error)


def _remove_all_but(image_ids: Iterable[str]) -> None:
    wanted = set(image_ids)
    for path in PICTURES.iterdir():
        if path.name not in wanted:
            path.unlink()


def _make_private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    FOLDER.chmod(0o700)  # people's photos


if __name__ == "__main__":
    run(main)
