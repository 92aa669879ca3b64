"""How right answers are: weighed by hand, of those drawn and judged, and what was never looked at said beside it."""

import subprocess
from datetime import timedelta

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from test_usage import NOW, asked, written
from visitors import row_times, ship

from bench.usage import intervals, population
from intake import harvest
from runtime.errors import InputError
from serving.reading import open_place
from serving.transactions import COLUMNS
from serving.usage import accuracy

HEADER = "transaction,image_id,outcome,value,on,why"


@pytest.fixture
def world(workspace):
    """Ten answers of one minute each: six shown as cups, four about which users were told nothing."""
    subprocess.run(["git", "init", "--quiet"], check=True)
    rows = asked(
        row_times(NOW - timedelta(hours=2), 1, 10),
        shown=[True] * 6 + [False] * 4,
        confidence_1=[99.0] * 6 + [60.0] * 4,
        feedback=["wrong", *[None] * 9],
        shadow_version=[8] * 4 + [None] * 6,
        shadow_class=["jug", "cup", "cup", "jug", *[None] * 6],
        shadow_confidence=[99.0] * 4 + [None] * 6,
        shadow_shown=[True, True, False, True, *[None] * 6],
    )
    ship(rows, workspace / "place")
    return rows["transaction_id"].to_pylist()


def draw(world, far: tuple[str, ...] = (), **probabilities: float) -> None:
    """Write what `make harvest` writes of some answers: t0 is the first."""
    ids = [world[int(name[1:])] for name in probabilities]
    logged = [name for name in harvest.SCHEMA.names if name in COLUMNS]
    rows = open_place("place").rows("2026-11-01", logged).to_pandas().set_index("transaction_id").loc[ids].reset_index()
    rows["review_probability"] = list(probabilities.values())
    rows["is_far"] = [name in far for name in probabilities]
    harvest.FOLDER.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pandas(rows.assign(place="place"), harvest.SCHEMA), harvest.TRANSACTIONS)


def judge(workspace, world, why: str = "", **outcomes: str) -> None:
    lines = [HEADER]
    for number, (name, said) in enumerate(outcomes.items()):
        outcome, _, value = said.partition(" ")
        lines.append(f'{world[int(name[1:])]},{"0" * 32},{outcome},{value},2026-11-27T09:{number:02d}:00.000Z,"{why}"')
    (workspace / "data/outcomes").mkdir(exist_ok=True)
    (workspace / "data/outcomes/ana.csv").write_text("\n".join(lines) + "\n")


def accuracy_of(workspace) -> pd.DataFrame:
    return written(workspace, workspace / "place")["accuracy"].set_index(["measure", "by", "name"])


def test_each_judged_answer_counts_by_one_over_its_probability(workspace, world):
    draw(world, t0=1.0, t1=0.5, t2=0.25, t3=0.5, t6=0.5, t7=0.25)
    judge(
        workspace, world, t0="wrong jug", t1="right", t2="right", t3="bad_picture dark", t6="out_of_scope",
        t7="should_have_answered cup",
    )  # fmt: skip
    found = accuracy_of(workspace)
    told = found.loc[(accuracy.TOLD, "all", "all")]
    assert told["fraction"] == pytest.approx((2 + 4) / (1 + 2 + 4)), "the bad picture is neither right nor wrong"
    assert told[["answers", "drawn", "judged", "bad_pictures", "not_so"]].tolist() == [6, 4, 4, 1, 1]
    assert 0 <= told["low"] < told["fraction"] < told["high"] <= 1
    silent = found.loc[(accuracy.SILENT, "all", "all")]
    assert silent["fraction"] == pytest.approx(2 / (2 + 4))
    assert silent[["answers", "drawn", "judged", "not_so"]].tolist() == [4, 2, 2, 1]
    assert "Of the others nothing is known" not in (workspace / "out/accuracy.html").read_text()
    for by, name in (("class", "cup"), ("version", "7"), ("confidence", "99 to 100"), ("week", "2026-11-23")):
        assert found.loc[(accuracy.TOLD, by, name), "fraction"] == told["fraction"]


def test_those_judged_stand_for_the_others_of_their_band_and_not_for_complaints(workspace, world):
    draw(world, t0=1.0, t1=0.5, t2=0.5, t3=0.5, t4=0.5)
    judge(workspace, world, t0="wrong jug", t1="right")
    told = accuracy_of(workspace).loc[(accuracy.TOLD, "all", "all")]
    assert told["fraction"] == pytest.approx(8 / (1 + 8)), "one of four was judged, drawn with a half: it counts eight"
    assert (told["drawn"], told["judged"]) == (5, 2)


def test_the_farthest_stand_for_each_other_and_not_for_those_that_were_drawn_by_lot(workspace, world):
    draw(world, far=("t1", "t2"), t1=1.0, t2=1.0, t3=0.5, t4=0.5)
    judge(workspace, world, t1="wrong jug", t2="wrong jug", t3="right")
    told = accuracy_of(workspace).loc[(accuracy.TOLD, "all", "all")]
    assert told["fraction"] == pytest.approx(4 / (2 + 4)), (
        "one of two by lot was judged, drawn with a half: it counts four"
    )


def test_an_answer_without_a_version_is_left_out_and_hides_no_other(workspace, caplog):
    rows = asked(
        row_times(NOW - timedelta(hours=2), 1, 2), shown=[True] * 2, confidence_1=[99.0] * 2, version=[7, None]
    )
    ship(rows, workspace / "place")
    subprocess.run(["git", "init", "--quiet"], check=True)
    world = rows["transaction_id"].to_pylist()
    draw(world, t0=1.0, t1=1.0)
    judge(workspace, world, t0="right", t1="right")
    told = accuracy_of(workspace).loc[(accuracy.TOLD, "version", "7")]
    assert (told["answers"], told["drawn"], told["judged"]) == (1, 1, 1)
    assert "1 answer without a version left out" in caplog.text


def test_where_nothing_was_judged_nothing_is_said(workspace, world):
    found = accuracy_of(workspace)
    assert found["fraction"].isna().all()
    assert found.loc[(accuracy.TOLD, "class", "cup"), "answers"] == 6
    page = (workspace / "out/accuracy.html").read_text()
    assert "Nothing was judged yet" in page
    assert "10 answers were given in this time" in page


def test_outcomes_without_a_known_probability_are_not_used_and_counted(workspace, world):
    draw(world, t1=0.25)
    judge(workspace, world, t1="right", t2="wrong jug")
    assert accuracy_of(workspace).loc[(accuracy.TOLD, "all", "all"), "fraction"] == 1
    page = (workspace / "out/accuracy.html").read_text()
    assert "1 outcomes are not used" in page
    assert "those judged stand for about 4 of the 10 answers" in page
    assert "Of the others nothing is known" in page
    assert "<strong>9</strong> of 10 answers were never looked at" in page


@pytest.mark.parametrize("own", [0.125, 0.5])
def test_what_several_say_of_how_an_answer_was_drawn_counts_with_the_largest_probability(workspace, world, own):
    draw(world, t1=own, t2=1.0)
    judge(
        workspace,
        world,
        "production; drawn 0.25, one of 4: shown, 2026-W48; act:0123456789ab",
        t1="right",
        t2="wrong jug",
    )
    told, first = accuracy_of(workspace).loc[(accuracy.TOLD, "all", "all")], 1 / max(own, 0.25)
    assert told["fraction"] == pytest.approx(first / (first + 1))
    page = (workspace / "out/accuracy.html").read_text()
    assert f"those judged stand for about {2 * (first + 1):.0f} of" in page, "of four of the kind two were judged"


def test_two_versions_are_compared_where_both_answered_and_people_know_what_is_shown(workspace, world):
    draw(world, t0=1.0, t1=1.0, t2=1.0, t3=1.0, t4=1.0)
    judge(workspace, world, t0="wrong jug", t1="right", t2="right", t3="prank", t4="right")
    found = written(workspace, workspace / "place")
    assert found["both"].to_dict("records") == [
        {"version": 7, "shadow_version": 8, "answers": 4, "same_class": 2}
        | {"both_shown": 3, "only_first_shown": 1, "only_second_shown": 0}
    ]
    second = found["versions_compared"].iloc[0]
    assert second["judged"] == 4, "the shadow did not answer the fifth"
    assert (second["first_right"], second["second_right"]) == (0.5, 0.5)
    assert (second["first_wrong"], second["second_wrong"]) == (0.5, 0.25)
    assert (second["more_right"], second["more_right_low"], second["more_right_high"]) == (0, 0, 0), "all were judged"


def test_a_damaged_harvest_is_named_with_its_remedy(workspace, world):
    harvest.FOLDER.mkdir(parents=True)
    harvest.TRANSACTIONS.write_bytes(b"no Parquet")
    with pytest.raises(InputError, match=r"(?s)transactions.parquet is damaged .* Delete it; harvest fetches again"):
        accuracy.read_drawn()


def test_intervals_of_what_harvest_draws_hold_the_truth_in_93_of_100():
    rng = np.random.default_rng(0)
    found = [
        (each.low - 1e-9 <= truth <= each.high + 1e-9, truth)
        for errors in (0.03, 0.25)
        for _ in range(10)
        for _, truth, each in intervals(population(1500, errors, rng), 200, 0.7)
    ]
    assert len(found) > 140
    assert np.mean([holds for holds, _ in found]) >= 0.93
    assert len({truth for _, truth in found}) > 70, "populations differ"
