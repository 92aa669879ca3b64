"""What changed: quiet while weeks are alike, loud within a day of a change, however many tests are made."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from looks import Network
from test_usage import NOW, written
from visitors import CLASSES, ship, visits

from runtime.errors import InputError
from runtime.outputs import write_json
from serving.projection import NUM, project
from serving.usage import drift, embeddings
from serving.usage.embeddings import Embeddings
from stages.tables import predictions, scores

PER_DAY = 200


P = (0.4, 0.3, 0.2, 0.06, 0.04)
NETWORK = Network(len(CLASSES), np.random.default_rng(9))


def sample(rows: pd.DataFrame) -> drift.Sample:
    names = rows["class_1"].to_numpy(object)
    return drift.Sample(names, rows["confidence_1"].to_numpy(float), Embeddings(names, np.stack(rows["embedding"])))


def week(
    rng, span: str, num: int = 7 * PER_DAY, sure: float = 12.0, p: tuple[float, ...] = P, **looks: float
) -> pd.DataFrame:
    class_names, numbers = NETWORK.embeddings(rng, num, p, **looks)
    rows = {"span": span, "version": 7, "class_1": class_names, "embedding": list(numbers)}
    return pd.DataFrame(rows | {"confidence_1": 100 * rng.beta(sure, 0.6, num)})


def mondays(num: int) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in pd.date_range("2026-06-01", periods=num, freq="7D")]


@pytest.mark.parametrize("seed", range(5))
def test_twenty_like_weeks_are_quiet(seed):
    rng = np.random.default_rng(seed)
    samples = pd.concat([week(rng, span) for span in mondays(20)])
    found = drift.compare(samples, drift.HeldOut(7, sample(week(rng, "", 3000))))
    assert len(found) == 3 * (19 + 20)
    assert not [row for row in found if row["changed"]]
    assert all(row["p_of_all"] >= row["p_value"] for row in found)


CHANGES = {
    "sure": ("confidences", {"sure": 5.0}),
    "classes": ("classes", {"p": (0.25, 0.3, 0.2, 0.06, 0.19)}),
    "look": ("embeddings", {"look": 1.5}),
    "wide": ("embeddings", {"wide": 1.4}),
    "others": ("embeddings", {"others": 0.25}),
}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_loud_within_a_day(seed, change):
    rng = np.random.default_rng(seed)
    samples = [week(rng, span) for span in mondays(20)]
    figure, changes = CHANGES[change]
    samples += [week(rng, drift.BEFORE_LAST_DAY), week(rng, drift.LAST_DAY, PER_DAY, **changes)]
    found = drift.compare(pd.concat(samples), drift.HeldOut(7, sample(week(rng, "", 3000))))
    loud = {(row["span"], row["figure"], row["against"]) for row in found if row["changed"]}
    assert loud == {(drift.LAST_DAY, figure, against) for against in (drift.HELD_OUT, drift.BEFORE)}
    assert found[0]["span"] == drift.LAST_DAY


@pytest.mark.parametrize("p", [P, P[::-1]], ids=["as many of each class", "other ones"])
def test_chance_is_called_chance_as_often_as_it_says_also_where_other_classes_are_asked_for(p):
    rng, values = np.random.default_rng(0), []
    for _ in range(200):
        one, other = embeddings.of_same_classes(NETWORK.embeddings(rng, 60, p), NETWORK.embeddings(rng, 200, P))
        values.append(embeddings.differ(one, other).p_value)
    for level in (0.05, 0.2, 0.5, 0.8):
        expected, spread = level * 200, np.sqrt(200 * level * (1 - level))
        assert abs(np.sum(np.array(values) < level) - expected) < 3.5 * spread


def test_the_chance_of_a_sum_is_that_of_all_ways_to_draw():
    rng = np.random.default_rng(0)
    strata = np.repeat([0, 1], [40, 30])
    is_first = np.isin(np.arange(70), rng.choice(70, 30, replace=False))
    scores = rng.normal(size=(70, 1)) + 0.4 * is_first[:, None]
    found = embeddings.p_of_chance(scores, strata, is_first)
    means = [scores[strata == each].mean() for each in (0, 1)]
    expected = sum(is_first[strata == each].sum() * means[each] for each in (0, 1))
    drawn = []
    for _ in range(4000):
        again = np.concatenate([rng.permutation(is_first[strata == each]) for each in (0, 1)])
        drawn.append(abs(scores[again].sum() - expected))
    assert found == pytest.approx(np.mean(np.array(drawn) >= abs(scores[is_first].sum() - expected)), abs=0.025)


def test_embeddings_are_compared_only_of_classes_that_both_have_and_only_if_they_are_enough():
    rng = np.random.default_rng(0)
    one, other = (NETWORK.embeddings(rng, 300, p) for p in ((0.5, 0.5, 0, 0, 0), (0, 0.5, 0.5, 0, 0)))
    first, second = embeddings.of_same_classes(one, other)
    assert set(first.class_names) == set(second.class_names) == {"class 1"}
    assert embeddings.differ(first, second).p_value > 0.01
    rows = pd.concat([week(rng, "2026-06-01", p=(0.97, 0.03, 0, 0, 0)), week(rng, "2026-06-08", p=(0, 0.5, 0.5, 0, 0))])
    (found,) = [each for each in drift.compare(rows, drift.HeldOut(7, None)) if each["figure"] == "embeddings"]
    assert (found["num"] > 600, found["num_against"] < 50, found["p_value"]) == (True, True, None)


def test_embeddings_that_are_all_the_same_are_no_change():
    same = Embeddings(np.array(["cup"] * 60, object), np.ones((60, NUM), np.float32))
    assert embeddings.differ(same, same) == (0.0, 1.0)


def test_answers_without_embeddings_are_compared_without_them_and_odd_ones_are_none():
    rng = np.random.default_rng(0)
    rows = pd.concat([week(rng, span) for span in mondays(3)], ignore_index=True)
    odd = [None, np.zeros(NUM - 1), np.full(NUM, np.nan)]
    of_server = rows.assign(embedding=[odd[number % 3] for number in range(len(rows))])
    found = drift.compare(of_server, drift.HeldOut(7, sample(week(rng, ""))))
    assert {row["figure"] for row in found} == {"confidences", "classes"}
    half = rows.assign(embedding=rows["embedding"].where(rows.index % 2 == 0, None))
    found = drift.compare(half, drift.HeldOut(7, None))
    assert {row["num"] for row in found if row["figure"] == "embeddings"} == {7 * PER_DAY // 2}


def test_what_is_significant_and_tiny_is_no_change():
    rng = np.random.default_rng(0)
    rows = pd.concat([week(rng, "2026-06-01", 10**5), week(rng, "2026-06-08", 10**5, sure=12.6)])
    found = {row["figure"]: row for row in drift.compare(rows, drift.HeldOut(7, None))}["confidences"]
    assert found["p_of_all"] < 1e-4
    assert found["distance"] < drift.LEAST_DISTANCE
    assert not found["changed"]


def test_few_answers_and_other_versions_are_not_compared():
    rng = np.random.default_rng(0)
    rows = pd.concat([week(rng, "2026-06-01", 49), week(rng, "2026-06-08", 500)])
    assert [row["p_value"] for row in drift.compare(rows, drift.HeldOut(7, None))] == [None, None, None]
    assert drift.compare(rows[rows["span"] == "2026-06-08"], drift.HeldOut(8, sample(rows))) == []


def test_holms_method_is_that_of_his_paper():
    values = [0.01, 0.04, 0.03, None, 0.005]
    rows = [{"p_value": value, "distance": 1.0} for value in values]
    found = [row["p_of_all"] for row in drift.with_number_allowed_for(rows)]
    assert found == pytest.approx([0.03, 0.06, 0.06, None, 0.02])


def test_rare_classes_are_taken_together_and_one_class_is_no_test():
    rng = np.random.default_rng(0)
    names = np.array([f"class {number}" for number in range(900)], object)
    one, other = (drift.Sample(rng.choice(names, 700), np.zeros(700)) for _ in range(2))
    assert drift.classes_differ(one, other).p_value is None, "all classes are rare, so that one remains"
    common = [
        drift.Sample(np.where(rng.random(700) < 0.5, "cup", each.class_names), np.zeros(700)) for each in (one, other)
    ]
    found = drift.classes_differ(*common)
    assert 0.001 < found.p_value <= 1
    assert found.distance < 0.1


def held_out(rng, num: int = 900) -> tuple[pd.DataFrame, np.ndarray]:
    """Predictions of a model that is less sure than people see it, since confidences are served sharper."""
    top = rng.uniform(0.4, 0.9, num)
    matrix = np.stack([top, 1 - top], axis=1).astype(np.float32)
    rows = {name: pd.Series([None] * num) for name in predictions.ROWS.schema.names}
    rows |= {"image_id": [f"{number:032x}" for number in range(num)], "split": ["test"] * (num - 100) + ["train"] * 100}
    rows |= {"truth": "cup", "predicted": np.where(top >= 0.5, "cup", "jug"), "confidence": 100 * matrix.max(axis=1)}
    rows |= dict.fromkeys(("scope_distance", "log_partition"), 0.5)
    return pd.DataFrame(rows), matrix


def test_held_out_pictures_are_compared_in_the_confidences_that_are_served(workspace):
    assert drift.read_held_out().sample is None
    rows, matrix = held_out(np.random.default_rng(0))
    rows = rows.sort_values(["split", "image_id"])
    pa.parquet.write_table(
        pa.Table.from_pandas(rows, predictions.ROWS.schema, preserve_index=False), _made(predictions.ROWS.path)
    )
    np.save(predictions.SCORES, matrix)
    with pytest.raises(InputError, match=r"data/predictions/embeddings.npy .*dvc repro evaluate"):
        drift.read_held_out()
    seen = np.random.default_rng(1).normal(size=(900, 30)).astype(np.float16)
    np.save(predictions.EMBEDDINGS, seen)
    plain = drift.read_held_out().sample
    assert plain.embeddings.class_names.tolist() == plain.class_names.tolist()
    np.testing.assert_array_equal(plain.embeddings.numbers, project(seen[:800]))
    assert len(plain.confidences) == 800
    assert plain.confidences == pytest.approx(100 * matrix[:800].max(axis=1))
    calibration = {"temperature": 0.5, "norm_order": None, "applied": True, "scope_limit": None}
    write_json(scores.CALIBRATION, calibration)
    squares = matrix[:800].astype(float) ** 2
    served = 100 * (squares / squares.sum(axis=1, keepdims=True)).max(axis=1)
    assert drift.read_held_out().sample.confidences == pytest.approx(served, rel=1e-4)
    Path(predictions.SCORES).unlink()
    with pytest.raises(InputError, match=r"data/predictions/scores.npy .*dvc repro evaluate"):
        drift.read_held_out()


def _made(path: str) -> str:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    return path


def test_the_page_names_what_changed_and_what_is_missing(workspace):
    rng = np.random.default_rng(0)
    before = visits(2000, NOW - timedelta(days=10), 9, rng, sure=20.0)
    after = visits(300, NOW - timedelta(hours=23), 0.9, rng, sure=3.0)
    ship(before, workspace / "place")
    tables = written(workspace, ship(after, workspace / "place"))
    loud = tables["drift"].query("changed")
    assert set(loud["span"]) >= {drift.LAST_DAY}
    assert set(loud["figure"]) == {"confidences"}
    page = (workspace / "out/drift.html").read_text()
    assert "the last 24 hours</span>, version 7: other confidences than the time before" in page
    assert "git checkout model-007" in page
    assert "embeddings are not compared" not in page


def test_the_page_says_that_pictures_look_different_and_what_of_a_place_has_no_embeddings(workspace):
    rng = np.random.default_rng(0)
    ship(visits(2000, NOW - timedelta(days=10), 9, rng), workspace / "place")
    after = visits(300, NOW - timedelta(hours=23), 0.9, rng, look=0.8)
    tables = written(workspace, ship(after, workspace / "place"))
    loud = tables["drift"].query("changed")
    assert (set(loud["figure"]), drift.LAST_DAY in set(loud["span"])) == ({"embeddings"}, True)
    assert "version 7: other embeddings than the time before" in (workspace / "out/drift.html").read_text()
    for file in (workspace / "place").glob("day=*/*.parquet"):  # as a gateway of before has shipped them
        pa.parquet.write_table(pa.parquet.ParquetFile(file).read().drop_columns(["embedding", "scope_distance"]), file)
    tables = written(workspace / "again", workspace / "place")
    assert not tables["drift"]["changed"].any()
    assert "Version 7: embeddings are not compared" in (workspace / "again/out/drift.html").read_text()


def test_of_many_answers_always_the_same_few_embeddings_are_read(workspace, monkeypatch):
    monkeypatch.setattr(drift, "MOST_EMBEDDINGS", 200)
    rows = visits(3000, NOW - timedelta(days=20), 19, np.random.default_rng(0))
    ship(rows, workspace / "place")
    once, again = (written(workspace / name, workspace / "place")["drift"] for name in ("a", "b"))
    pd.testing.assert_frame_equal(once, again)
    read = once.query("figure == 'embeddings'")
    assert read["num"].max() <= 200 < once["num"].max()
    assert read["num"].min() > 100
