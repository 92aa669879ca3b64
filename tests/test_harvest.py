"""What is fetched from production for people to judge: a sample of known probabilities, and what users called wrong."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from uuid import UUID

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_gateway_keeper import World

from intake import harvest
from runtime.errors import InputError, RemoteError
from serving import transactions
from serving.keeper import Keeper
from serving.pictures import image_id_of
from serving.reading import normal

NOW = datetime.now(UTC)
SIZES = st.lists(st.integers(1, 60), min_size=1, max_size=8)


def strata_of(sizes: list[int]) -> pd.Series:
    return pd.Series(np.repeat([f"stratum {number}" for number in range(len(sizes))], sizes))


@given(SIZES, st.integers(1, 200))
def test_draws_are_shared_by_the_roots_of_the_sizes_and_all_are_taken_of_what_is_rare(sizes, number):
    strata = strata_of(sizes)
    given_to = harvest.probabilities(strata, number)
    assert given_to.sum() == pytest.approx(min(number, len(strata)))
    assert given_to.between(0, 1, inclusive="right").all()
    by_root = given_to.groupby(strata).sum() / np.sqrt(strata.value_counts())
    short = by_root[given_to.groupby(strata).first() < 1 - 1e-9]  # of these not all are drawn
    assert short.empty or short.max() - short.min() < 1e-6
    assert short.empty or by_root.max() <= short.min() + 1e-6


def drawn_id(rng: np.random.Generator) -> str:
    """An identity by chance, but always the same: which transactions are drawn follows from it."""
    return str(UUID(bytes=rng.bytes(16)))


def population(num: int, rng: np.random.Generator) -> pd.DataFrame:
    """Rows of a log, of which the most frequent class is answered most surely."""
    names = rng.choice(["cup", "jug", "urn"], num, p=[0.9, 0.08, 0.02])
    confidences = np.where(names == "cup", 99.0, rng.uniform(0, 100, num))
    return pd.DataFrame(
        {
            "transaction_id": [drawn_id(rng) for _ in range(num)],
            "image_id": rng.integers(0, num, num).astype(str),
            "class_1": names,
            "confidence_1": confidences,
            "threshold": 95.0,
            "shown": confidences >= 95,
            "in_scope": rng.random(num) < 0.95,
            "feedback": np.where(rng.random(num) < 0.05, "wrong", None),
            "scope_distance": np.where(
                rng.random(num) < 0.9, np.round(rng.beta(2, 5, num) + (names != "cup"), 2), np.nan
            ),
        }
    )


@given(st.integers(0, 30), st.integers(0, 99))
def test_the_farthest_pictures_are_chosen_each_once_and_none_without_a_distance(number, seed):
    rows = population(40, np.random.default_rng(seed))
    is_far = harvest.farthest(rows, number)
    chosen, known = rows[is_far], rows[rows["scope_distance"].notna()]
    assert len(chosen) == min(number, known["image_id"].nunique()) == chosen["image_id"].nunique()
    first = known.sort_values("transaction_id").groupby("image_id").first()
    left = first[~first.index.isin(chosen["image_id"])]
    assert set(chosen["transaction_id"]) <= set(first["transaction_id"])
    assert chosen["scope_distance"].min() >= left["scope_distance"].max() or chosen.empty or left.empty
    again = rows.sample(frac=1, random_state=seed)
    assert set(again[harvest.farthest(again, number)]["transaction_id"]) == set(chosen["transaction_id"])


@given(st.integers(1, 300), st.integers(0, 99))
def test_a_tenth_are_the_farthest_for_certain_and_the_rest_is_drawn_of_the_rest(number, seed):
    rows = population(200, np.random.default_rng(seed))
    others = rows[rows["feedback"] != "wrong"]
    drawn = harvest.drawn(rows, number)
    far = drawn[drawn["is_far"]]
    assert len(far) == min(number, len(others)) // 10
    assert (far["review_probability"] == 1).all()
    assert (far["feedback"] != "wrong").all()
    rest = others[~others["transaction_id"].isin(far["transaction_id"])]
    by_lot = harvest.probabilities(harvest.bands(rest) + " " + rest["class_1"], number - len(far))
    expected = set(rest["transaction_id"][rest["transaction_id"].map(harvest.lot) < by_lot])
    wrong = set(rows[rows["feedback"] == "wrong"]["transaction_id"])
    assert set(drawn["transaction_id"]) == expected | wrong | set(far["transaction_id"])


def test_what_is_drawn_weighed_by_its_probability_counts_all_without_a_lean():
    rng, estimates, truths = np.random.default_rng(0), [], []
    for _ in range(120):
        rows = population(400, rng)
        drawn = harvest.drawn(rows, 60)
        assert set(rows[rows["feedback"] == "wrong"]["transaction_id"]) <= set(drawn["transaction_id"])
        for name in ("cup", "jug"):
            estimates.append((1 / drawn["review_probability"])[drawn["class_1"] == name].sum())
            truths.append((rows["class_1"] == name).sum())
    errors = np.array(estimates) - np.array(truths)
    assert abs(errors.mean()) < 3 * errors.std() / np.sqrt(len(errors))


@settings(max_examples=25)
@given(st.lists(st.integers(1, 300), min_size=2, max_size=4), st.integers(0, 99))
def test_several_runs_draw_what_the_largest_probability_would_have_drawn_at_once(ends, seed):
    rows = population(300, np.random.default_rng(seed))
    known, largest = rows.iloc[:0].assign(is_far=False, review_probability=0.0), pd.Series(0.0, rows["transaction_id"])
    far: set[str] = set()
    for end in ends:
        seen = rows.iloc[:end]
        others = seen[seen["feedback"] != "wrong"]
        is_far = harvest.farthest(others, min(40, len(others)) // 10)
        far |= set(others["transaction_id"][is_far])
        known = harvest.joined(known, harvest.drawn(seen, 40))
        whole = harvest.probabilities(
            (harvest.bands(others) + " " + others["class_1"])[~is_far], 40 - is_far.sum()
        ).reindex(seen.index, fill_value=1.0)
        largest.iloc[:end] = np.maximum(largest.iloc[:end].to_numpy(), whole.to_numpy())
    expected = largest[[harvest.lot(each) < probability for each, probability in largest.items()]]
    assert known.set_index("transaction_id")["review_probability"].to_dict() == expected.to_dict()
    assert set(known["transaction_id"][known["is_far"]]) == far


@pytest.fixture
def world(workspace):
    subprocess.run(["git", "init", "--quiet"], check=True)
    made = World(workspace / "gateway")
    made.rng = np.random.default_rng(0)
    yield made
    made.log.close()


def add(world, hours: float, name: str = "cup", **more) -> str:
    """A transaction that was answered so many hours ago, with a picture of its own."""
    row = {"transaction_id": drawn_id(world.rng), "received_at": NOW - timedelta(hours=hours), "status": "answered"}
    row |= {"class_1": name, "confidence_1": 99.0, "threshold": 95.0, "shown": True, "in_scope": True, "version": 7}
    row |= {"image_id": world.pictures.store(row["transaction_id"].encode()), "replica": "a_1"} | more
    world.log.do(partial(transactions.insert, row=row)).result()
    return row["transaction_id"]


@pytest.fixture(autouse=True)
def _all_is_logged(caplog):
    caplog.set_level("INFO")


def run(monkeypatch, *options: str | Path) -> pd.DataFrame:
    monkeypatch.setattr("sys.argv", ["harvest", *map(str, options)])
    harvest.main()
    return pq.read_table(harvest.TRANSACTIONS).to_pandas()


def test_what_is_harvested_is_listed_with_its_picture_and_again_is_the_same(world, monkeypatch, caplog):
    wanted = sorted(add(world, hours) for hours in (1, 30, 100))
    add(world, 24 * 9)  # too long ago
    add(world, 1, status="refused", image_id=None)
    add(world, 1, status="failed")
    rows = run(monkeypatch, "--from", world.folder)
    assert rows["transaction_id"].tolist() == wanted
    assert rows["review_probability"].tolist() == [1.0] * 3
    assert "3 answers to judge (3 new, 0 that users called wrong, 0 far from every class)" in caplog.text
    for transaction, image_id in zip(rows["transaction_id"], rows["image_id"], strict=True):
        assert (harvest.PICTURES / image_id).read_bytes() == transaction.encode()
    assert harvest.FOLDER.stat().st_mode & 0o777 == 0o700
    before = harvest.TRANSACTIONS.read_bytes()
    run(monkeypatch, "--from", world.folder)
    assert harvest.TRANSACTIONS.read_bytes() == before
    assert "(0 new" in caplog.text


def test_of_many_a_few_are_drawn_rare_classes_too_and_all_that_users_called_wrong(world, monkeypatch):
    for _ in range(60):
        add(world, 1)
    rare, wrong = add(world, 1, "urn"), [add(world, 2, feedback="wrong", comment="a bowl") for _ in range(3)]
    rows = run(monkeypatch, "--from", world.folder, "--number", "8").set_index("transaction_id")
    assert {rare, *wrong} <= set(rows.index)
    assert 4 <= len(rows) < 40
    assert rows.loc[wrong, ["review_probability", "comment"]].to_numpy().tolist() == [[1.0, "a bowl"]] * 3
    assert rows["review_probability"].min() == pytest.approx(8 / (1 + np.sqrt(60)) / np.sqrt(60))
    assert rows.loc[rare, "review_probability"] == pytest.approx(8 / (1 + np.sqrt(60)))


def test_the_farthest_pictures_come_for_certain_and_stay_so_marked_beside_the_list_of_an_older_harvest(
    world, monkeypatch, caplog
):
    for number in range(60):
        add(world, 1, scope_distance=number / 1000)
    far = [image_id_of(add(world, 2, scope_distance=distance).encode()) for distance in (0.7, 0.9)]
    add(world, 3, scope_distance=0.9, image_id=far[1])  # the same picture once more
    rows = run(monkeypatch, "--from", world.folder, "--number", "20")
    found = rows[rows["is_far"]].set_index("image_id").loc[far]
    assert found[["scope_distance", "review_probability"]].to_numpy().tolist() == [[0.7, 1.0], [0.9, 1.0]]
    assert rows["is_far"].sum() == 2
    assert "2 far from every class)" in caplog.text
    add(world, 1, scope_distance=1.5)
    add(world, 1, scope_distance=1.6)
    rows = run(monkeypatch, "--from", world.folder, "--number", "20")
    assert rows["is_far"].sum() == 4, "those of the first run are so marked still"
    old = pq.read_table(harvest.TRANSACTIONS).drop_columns(["is_far", "scope_distance"])
    pq.write_table(old, harvest.TRANSACTIONS)
    again = run(monkeypatch, "--from", world.folder, "--number", "20")
    assert again["transaction_id"].tolist() == rows["transaction_id"].tolist()
    assert (again["is_far"].sum(), again["review_probability"].tolist()) == (2, rows["review_probability"].tolist())


def test_what_was_shipped_is_harvested_from_there_and_what_is_forgotten_is_not_kept(world, monkeypatch):
    monkeypatch.setenv("RETRAIN_GATEWAY", str(world.folder))
    first, second = sorted(add(world, 30) for _ in range(2))
    assert run(monkeypatch)["transaction_id"].tolist() == [first, second]
    world.keeper.forget(first, NOW)
    assert run(monkeypatch)["transaction_id"].tolist() == [second]
    world.keeper.ship(NOW)
    assert run(monkeypatch)["transaction_id"].tolist() == [second]  # no longer here, but not forgotten
    third = add(world, 20)
    world.keeper.ship(NOW)
    shutil.rmtree(harvest.FOLDER)
    assert run(monkeypatch, "--from", world.url)["transaction_id"].tolist() == sorted([second, third])
    world.keeper.forget(second, NOW)
    assert run(monkeypatch, "--from", world.url)["transaction_id"].tolist() == [third]
    assert [path.name for path in harvest.PICTURES.iterdir()] == [image_id_of(third.encode())]


def test_what_users_called_wrong_after_it_was_shipped_is_harvested_too(world, monkeypatch):
    added = [add(world, 30) for _ in range(60)]
    world.keeper.ship(NOW)
    rows = run(monkeypatch, "--from", world.url, "--number", "4").set_index("transaction_id")
    late = next(each for each in added if each not in rows.index)
    assert world.say(late, "wrong")
    world.keeper.ship_feedback(NOW)
    rows = run(monkeypatch, "--from", world.url, "--number", "4").set_index("transaction_id")
    assert rows.loc[late, ["feedback", "comment", "review_probability"]].tolist() == ["wrong", "wrong indeed", 1.0]
    assert (rows["feedback"] == "wrong").sum() == 1


def test_where_all_was_forgotten_or_refused_the_list_is_empty(world, monkeypatch):
    add(world, 1, status="refused", image_id=None)
    assert run(monkeypatch, "--from", world.folder).empty
    only = add(world, 1)
    assert run(monkeypatch, "--from", world.folder)["transaction_id"].tolist() == [only]
    world.keeper.forget(only, NOW)
    assert run(monkeypatch, "--from", world.folder).empty
    assert list(harvest.PICTURES.iterdir()) == []


def test_what_is_removed_after_its_time_where_it_came_from_is_removed_here(world, monkeypatch):
    add(world, 24 * 5)
    shipped = add(world, 24)
    alone = Keeper(world.folder, world.log, world.pictures, "a_1", retention_days=2)
    assert len(run(monkeypatch, "--from", world.folder)) == 2
    alone.remove_old(NOW)
    world.keeper.ship(NOW)
    assert run(monkeypatch, "--from", world.folder)["transaction_id"].tolist() == [shipped]
    assert [path.name for path in harvest.PICTURES.iterdir()] == [image_id_of(shipped.encode())]
    alone.remove_old(NOW + timedelta(days=9))
    add(world, 1, status="failed")
    assert run(monkeypatch, "--from", world.folder).empty


@pytest.mark.parametrize("is_empty", [False, True])
def test_a_place_that_is_away_or_empty_wipes_nothing_and_is_one_however_it_is_written(world, monkeypatch, is_empty):
    first, second = sorted(add(world, 30) for _ in range(2))
    world.keeper.ship(NOW)
    place, away = Path(world.url), Path(world.url).with_name("away")
    assert len(run(monkeypatch, "--from", place)) == 2
    place.rename(away)
    if is_empty:
        place.mkdir()
    with pytest.raises(RemoteError, match="is not there, or holds nothing that a gateway shipped"):
        run(monkeypatch, "--from", place)
    assert len(pq.read_table(harvest.TRANSACTIONS)) == len(list(harvest.PICTURES.iterdir())) == 2
    if is_empty:
        place.rmdir()
    away.rename(place)
    world.keeper.forget(first, NOW)
    assert run(monkeypatch, "--from", f"file://{place}/")["transaction_id"].tolist() == [second]
    shutil.rmtree(place)
    place.mkdir()
    (place / "gateway.txt").touch()  # everything was removed there, as the message asks to say
    assert run(monkeypatch, "--from", place).empty


def test_a_new_log_in_place_of_the_one_that_was_harvested_wipes_nothing(world, monkeypatch):
    add(world, 1)
    run(monkeypatch, "--from", world.folder)
    world.log.close()
    shutil.rmtree(world.folder)
    World(world.folder.parent).log.close()
    with pytest.raises(InputError, match="holds nothing at all, though answers were fetched from there"):
        run(monkeypatch, "--from", world.folder)
    assert len(pq.read_table(harvest.TRANSACTIONS)) == 1


@pytest.mark.parametrize(
    ("one", "other"), [("az://logs", "az://logs/"), ("logs", "./logs/"), ("logs", "file:///here/logs")]
)
def test_a_place_is_the_same_however_it_is_written(monkeypatch, one, other):
    monkeypatch.setattr("pathlib.Path.resolve", lambda path: Path("/here") / path)
    assert normal(one) == normal(other) != normal("others")


def test_a_picture_that_is_nowhere_is_said_and_its_answer_left_out(world, monkeypatch, caplog):
    lost, there = add(world, 1), add(world, 1)
    world.pictures.remove(image_id_of(lost.encode()))
    assert run(monkeypatch, "--from", world.folder)["transaction_id"].tolist() == [there]
    assert "1 picture could not be found" in caplog.text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--from", "nothing"], "nothing has no transactions since"),
        (["--from", "ftpx://place"], "is no place to ship to"),
        (["--days", "0"], "'0' is not a whole number"),
        (["--number", "many"], "'many' is not a whole number"),
    ],
)
def test_what_cannot_be_harvested_is_refused_in_words(world, monkeypatch, options, words):
    with pytest.raises(InputError, match=words):
        run(monkeypatch, *options)


def test_a_damaged_list_or_log_is_said(world, monkeypatch, workspace):
    add(world, 1)
    run(monkeypatch, "--from", world.folder)
    whole = harvest.TRANSACTIONS.read_bytes()
    for damaged in (b"no table", whole[:4] + bytes(len(whole) // 2) + whole[4 + len(whole) // 2 :]):
        harvest.TRANSACTIONS.write_bytes(damaged)
        with pytest.raises(InputError, match=r"(?s)is damaged .* Delete it"):
            run(monkeypatch, "--from", world.folder)
    harvest.TRANSACTIONS.unlink()
    (workspace / "other").mkdir()
    (workspace / "other/log.db").write_bytes(b"no database" * 100)
    with pytest.raises(InputError, match="cannot be read as a gateway's log"):
        run(monkeypatch, "--from", "other")
