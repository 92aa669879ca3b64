"""Estimate how right all answers are, from what people found about those that were drawn for review.

Whatever users called wrong is drawn in any case, and so are the pictures that are farthest from every class; others
with the probability that `make harvest` wrote beside them, and the desk beside each outcome: so it is known in clones
that harvested nothing, too. Of those drawn, not all may have been judged yet: within each week and band of confidence,
among those that users called wrong, and among the farthest, those judged stand for the others.
"""

import itertools
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from intake import harvest
from serving import outcomes
from serving.transactions import COLUMNS
from serving.usage.duck import Row
from serving.usage.weighing import Share, difference, share

TOLD, SILENT = "right of what was shown", "rightly silent"
MEASURES = {TOLD: True, SILENT: False}  # and whether it is about answers that were shown
_COLUMN_OF = {"class": "class_1", "version": "version", "confidence": "confidence_band", "week": "week"}
_DRAWN = pa.schema(
    [(name, COLUMNS["transaction_id"]) for name in ("transaction_id", "outcome", "value")]
    + [(name, pa.float64()) for name in ("review_probability", "judged_fraction")]
)
ACCURACY = pa.schema(
    [(name, pa.string()) for name in ("measure", "by", "name")]
    + [(name, pa.int64()) for name in ("answers", "drawn", "judged", "bad_pictures", "not_so")]
    + [(name, pa.float64()) for name in ("fraction", "low", "high")]
)
SECOND = pa.schema(
    [(name, pa.int64()) for name in ("version", "shadow_version", "judged")]
    + [
        (f"{name}{end}", pa.float64())
        for name in ("first_right", "second_right", "first_wrong", "second_wrong", "more_right")
        for end in ("", "_low", "_high")
    ]
)


class Drawn(NamedTuple):
    """What was drawn for review.

    Attributes:
        rows: `transaction_id`, `review_probability`, `judged_fraction` of those that were drawn of its kind, and the
            `outcome` and `value` that count; None where nobody has judged yet.
        num_without_probability: outcomes about transactions that no `make harvest` of this clone has drawn, and whose
            `why` does not say how they were drawn.
    """

    rows: pa.Table
    num_without_probability: int


def read_drawn() -> Drawn:
    """Read what was harvested and what people found.

    Raises:
        InputError: build/harvest is damaged, or a line of data/outcomes cannot be read.
    """
    said = outcomes.read_outcomes()
    found, known = outcomes.settle(said).counting, _drawings(said)
    rows = pd.DataFrame(known.values(), list(known), outcomes.Drawing._fields).rename_axis("transaction_id")
    for name in ("outcome", "value"):
        rows[name] = pd.Series({each: getattr(counting, name) for each, counting in found.items()}, dtype=object)
    rows["judged_fraction"] = judged_fraction(rows)
    rows = rows.rename(columns={"probability": "review_probability"}).reset_index()
    return Drawn(pa.Table.from_pandas(rows, _DRAWN, preserve_index=False), len(found.keys() - known.keys()))


def judged_fraction(rows: pd.DataFrame) -> pd.Series:
    """Say of each drawn answer how many of its cell were judged.

    Args:
        rows: columns `cell`, `num` (as `serving.outcomes.Drawing` has them) and `outcome`.

    Returns:
        From 0 to 1, of those that were drawn as far as anybody knew: all are here, or only those that were judged.
    """
    of_cell = rows.groupby("cell")
    num_drawn = np.maximum(of_cell["num"].transform("max"), of_cell["num"].transform("size"))
    return of_cell["outcome"].transform("count") / num_drawn


def _drawings(said: Iterable[outcomes.Outcome]) -> dict[str, outcomes.Drawing]:
    """Say of each transaction how it was drawn: by what this clone harvested, and by what stands beside outcomes.

    Where several say it, the largest probability counts, as of several harvests of one clone, and the cell of this
    clone, else the latest.
    """
    beside = ((each.transaction, found) for each in said if (found := outcomes.drawing_of(each.why)))
    known: dict[str, outcomes.Drawing] = {}
    for transaction, drawing in itertools.chain(beside, harvest.drawings(harvest.read_harvest()).items()):
        before = known.get(transaction, drawing)
        num = max(drawing.num, before.num) if before.cell == drawing.cell else drawing.num
        known[transaction] = outcomes.Drawing(max(drawing.probability, before.probability), drawing.cell, num)
    return known


def represented(rows: pd.DataFrame) -> float:
    """Estimate for how many answers those judged stand: not for those of weeks without a harvest, as an example."""
    return float((1 / judged(rows)["probability"]).sum())


def judged(rows: pd.DataFrame) -> pd.DataFrame:
    """Choose those of the drawn answers that were judged, with the probability of having been drawn and judged.

    Args:
        rows: as reviewed.sql gives them.

    Returns:
        The rows with an outcome, and the column `probability`.
    """
    return rows.assign(probability=rows["review_probability"] * rows["judged_fraction"])[rows["outcome"].notna()]


def with_verdicts(rows: pd.DataFrame) -> pd.DataFrame:
    """Say of each judged answer what the picture shows, and whether the user was treated rightly.

    Args:
        rows: as `judged` gives them.

    Returns:
        The rows with `truth`, None where the picture shows nothing that the model could know or people could see, and
        `is_so`: the class shown is the truth; or nothing was shown, and rightly.
    """
    names_class = rows["outcome"].isin(["wrong", "should_have_answered"])
    is_told = (rows["outcome"] == "right") & rows["shown"].astype(bool)
    said = rows["value"].where(names_class, None).astype(object)
    truth = rows["class_1"].where(is_told, said)
    right = np.where(rows["shown"], truth == rows["class_1"], ~names_class)
    return rows.assign(truth=truth, is_so=right.astype(bool))


def estimates(rows: pd.DataFrame, answered: Sequence[Row]) -> list[Row]:
    """Estimate each measure, over all and by class, version, confidence and week.

    Args:
        rows: as reviewed.sql gives them.
        answered: how many answers each group has, as usage.sql gives it.

    Returns:
        Rows of ACCURACY: a group without a judged answer too.
    """
    drawn, found = _groups(rows), _groups(with_verdicts(judged(rows)))
    empty = with_verdicts(judged(rows.head(0)))
    return [
        {"measure": measure, **{name: group[name] for name in ("by", "name", "answers")}}
        | _estimate(drawn.get(key, empty), found.get(key, empty), shown)
        for measure, shown in MEASURES.items()
        for group in answered
        if group["shown"] == shown
        for key in [(shown, group["by"], group["name"])]
    ]


def _groups(rows: pd.DataFrame) -> dict[tuple[bool, str, str], pd.DataFrame]:
    """Split answers into groups: by whether they were shown, the kind of the group, and its name."""
    groups: dict[tuple[bool, str, str], pd.DataFrame] = {}
    for shown in MEASURES.values():
        of_kind = rows[rows["shown"].astype(bool) == shown]
        groups[shown, "all", "all"] = of_kind
        for by, column in _COLUMN_OF.items():
            groups |= {(shown, by, str(name)): each for name, each in of_kind.groupby(of_kind[column].astype(str))}
    return groups


def _estimate(drawn: pd.DataFrame, found: pd.DataFrame, shown: bool) -> dict[str, Any]:
    is_bad = found["outcome"] == "bad_picture"
    used = found[~is_bad] if shown else found  # of an answer to a bad picture nobody knows whether it is right
    is_so = used["is_so"].to_numpy(bool)
    counts = {"drawn": len(drawn), "judged": len(found), "bad_pictures": int(is_bad.sum())}
    estimated = share(is_so, used["probability"].to_numpy(float))
    return counts | {"not_so": int((~is_so).sum())} | estimated._asdict()


def comparisons(rows: pd.DataFrame) -> list[Row]:
    """Compare two versions where both answered the same pictures and people know what these show.

    Args:
        rows: as reviewed.sql gives them.

    Returns:
        Rows of SECOND: of all pictures, the share about which users were told the right class by the first, or would
        have been by the second; likewise a wrong one; and how much more often the first is right.
    """
    found = with_verdicts(judged(rows))
    found = found[found["shadow_version"].notna() & (found["outcome"] != "bad_picture")]
    return [
        {name: int(each[name].iloc[0]) for name in ("version", "shadow_version")}
        | {"judged": len(each)}
        | _compared(each)
        for _, each in found.groupby(["version", "shadow_version"])
    ]


def _compared(rows: pd.DataFrame) -> dict[str, float | None]:
    probability = rows["probability"].to_numpy(float)
    shown, also = rows["shown"].to_numpy(bool), rows["shadow_shown"].eq(True).to_numpy(bool)
    first = shown & (rows["class_1"] == rows["truth"]).to_numpy(bool)
    second = also & (rows["shadow_class"] == rows["truth"]).to_numpy(bool)
    more = difference(share(first & ~second, probability), share(second & ~first, probability))
    shares = {
        "first_right": share(first, probability),
        "second_right": share(second, probability),
        "first_wrong": share(shown & ~first, probability),
        "second_wrong": share(also & ~second, probability),
        "more_right": more,
    }
    return dict(itertools.chain.from_iterable(_columns(name, each).items() for name, each in shares.items()))


def _columns(name: str, each: Share) -> dict[str, float | None]:
    return {name: each.fraction, f"{name}_low": each.low, f"{name}_high": each.high}


def write_drawn(drawn: Drawn, path: Path) -> None:
    """Write what was drawn where DuckDB joins it with the transactions."""
    pq.write_table(drawn.rows, path)
