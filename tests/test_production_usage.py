"""What one clone harvests and judges counts alike in one that only pulls: outcomes say how answers were drawn."""

import os
import random
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from desks import prepared
from repositories import commit, run
from test_gateway_keeper import World
from test_harvest import add
from test_usage import written

from curation.pages.page import Pressed
from curation.pages.production import Production
from curation.state import Desk
from intake import harvest
from serving.outcomes import drawing_of, read_outcomes

PAGE = Production()
KEYS = ("k", "k", "k", "is:boots", "d:dark", "o")


@pytest.fixture
def clones(tmp_path, monkeypatch):
    """Two clones, and the log of a gateway, of which the first has harvested forty of three hundred answers."""
    log = World(tmp_path)
    log.rng = rng = np.random.default_rng(0)
    for _ in range(300):
        sure = rng.random() < 0.7
        add(
            log, rng.uniform(0, 24 * 13), str(rng.choice(["hat", "shirt"], p=[0.9, 0.1])), shown=bool(sure),
            confidence_1=float(rng.uniform(95, 100) if sure else rng.uniform(0, 95)),
            feedback="wrong" if rng.random() < 0.05 else None, scope_distance=float(rng.beta(2, 8)),
            shadow_version=8, shadow_class="hat", shadow_confidence=99.0, shadow_shown=True,
        )  # fmt: skip
    with prepared(tmp_path / "one"):
        monkeypatch.setattr("sys.argv", ["harvest", "--from", str(log.folder), "--days=14", "--number=40"])
        harvest.main()
        run("git", "clone", "--quiet", ".", str(other := tmp_path / "other"))
        yield log, Path.cwd(), other
    log.log.close()


def judge(share: float, seed: int) -> None:
    """Judge a share of what was harvested and nobody has judged yet, at the desk; commit."""
    desk, rng = Desk(), random.Random(seed)
    for number, image_id in enumerate(list(PAGE.keys(desk.snapshot, desk.ledger, {}))):
        if rng.random() < share:
            transactions = PAGE.item(desk.snapshot, desk.ledger, image_id)["transactions"]
            pressed = Pressed(rng.choice(KEYS), [image_id], "", f"{seed:06x}{number:06x}", list(transactions))
            desk.write("ana", PAGE.rows(desk.snapshot, desk.ledger, pressed))
    commit("Outcomes")


def tables_of(clone: Path, log: World) -> tuple[pd.DataFrame, pd.DataFrame, str]:
    """What `make usage` says in a clone: how right answers are, two versions side by side, and the page."""
    before = Path.cwd()
    os.chdir(clone)
    try:
        tables = written(clone / "build", log.folder, days=20, now=datetime.now(UTC))
        return tables["accuracy"], tables["versions_compared"], (clone / "build/out/accuracy.html").read_text()
    finally:
        os.chdir(before)


@pytest.mark.parametrize("share", [1.0, 0.6])
def test_a_clone_that_pulls_gives_the_figures_of_the_one_that_harvested_and_judged(clones, share):
    log, one, other = clones
    judge(share, seed=1)
    run("git", "-C", str(other), "pull", "--quiet")
    (here, compared, _), (there, compared_there, page) = tables_of(one, log), tables_of(other, log)
    assert not (other / harvest.FOLDER).exists()
    known = here if share == 1 else here.drop(columns="drawn")  # what was drawn and not judged only the first one knows
    pd.testing.assert_frame_equal(there[known.columns], known, check_exact=False, rtol=1e-12)
    pd.testing.assert_frame_equal(compared_there, compared, check_exact=False, rtol=1e-12)
    assert here["fraction"].dropna().between(0.01, 0.99).any()
    assert "outcomes are not used" not in page


def test_an_outcome_that_an_undo_brought_back_counts_alike_too(clones):
    log, one, other = clones
    judge(0.6, seed=1)
    desk, first = Desk(), min(read_outcomes())
    answer = desk.snapshot.harvested.of_transaction[first.transaction]
    again = Pressed("o", [answer.image_id], "", "00000200ffff", list(answer.transactions))
    desk.write("ana", PAGE.rows(desk.snapshot, desk.ledger, again))
    commit("Judged again")
    desk.undo("ana", "0123456789ab")
    commit("Taken back")
    assert drawing_of(max(read_outcomes()).why) is None, "its line says what it answers"
    run("git", "-C", str(other), "pull", "--quiet")
    (here, _, _), (there, _, _) = tables_of(one, log), tables_of(other, log)
    columns = ["judged", "fraction", "low", "high"]
    pd.testing.assert_frame_equal(there[columns], here[columns], check_exact=False, rtol=1e-12)
