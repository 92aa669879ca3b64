"""What changed: quiet while weeks are alike, loud within a day of a change, however many tests are made."""

from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from test_usage import NOW, written
from visitors import CLASSES, ship, visits

from runtime.errors import InputError
from runtime.outputs import write_json
from serving.usage import drift
from stages.tables import predictions, scores

PER_DAY = 200


def sample(rows: pd.DataFrame) -> drift.Sample:
    return drift.Sample(rows["class_1"].to_numpy(object), rows["confidence_1"].to_numpy(float))


def week(rng, span: str, num: int = 7 * PER_DAY, sure: float = 12.0, p=(0.4, 0.3, 0.2, 0.06, 0.04)) -> pd.DataFrame:
    rows = {"span": span, "version": 7, "class_1": rng.choice(CLASSES, num, p=p)}
    return pd.DataFrame(rows | {"confidence_1": 100 * rng.beta(sure, 0.6, num)})


def mondays(num: int) -> list[str]:
    return [f"{day:%Y-%m-%d}" for day in pd.date_range("2026-06-01", periods=num, freq="7D")]


@pytest.mark.parametrize("seed", range(5))
def test_twenty_like_weeks_are_quiet(seed):
    rng = np.random.default_rng(seed)
    samples = pd.concat([week(rng, span) for span in mondays(20)])
    found = drift.compare(samples, drift.HeldOut(7, sample(week(rng, "", 3000))))
    assert len(found) == 2 * (19 + 20)
    assert not [row for row in found if row["changed"]]
    assert all(row["p_of_all"] >= row["p_value"] for row in found)


CHANGES = {"sure": {"sure": 5.0}, "classes": {"p": (0.25, 0.3, 0.2, 0.06, 0.19)}}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("change", CHANGES)
def test_a_change_is_loud_within_a_day(seed, change):
    rng = np.random.default_rng(seed)
    samples = [week(rng, span) for span in mondays(20)]
    samples += [week(rng, drift.BEFORE_LAST_DAY), week(rng, drift.LAST_DAY, PER_DAY, **CHANGES[change])]
    found = drift.compare(pd.concat(samples), drift.HeldOut(7, sample(week(rng, "", 3000))))
    figure = {"sure": "confidences", "classes": "classes"}[change]
    loud = {(row["span"], row["figure"], row["against"]) for row in found if row["changed"]}
    assert loud == {(drift.LAST_DAY, figure, against) for against in (drift.HELD_OUT, drift.BEFORE)}
    assert found[0]["span"] == drift.LAST_DAY


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
    assert [row["p_value"] for row in drift.compare(rows, drift.HeldOut(7, None))] == [None, None]
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
    plain = drift.read_held_out().sample
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
    ship(before, workspace / "place", name="a")
    tables = written(workspace, ship(after, workspace / "place", name="b"))
    loud = tables["drift"].query("changed")
    assert set(loud["span"]) >= {drift.LAST_DAY}
    assert set(loud["figure"]) == {"confidences"}
    page = (workspace / "out/drift.html").read_text()
    assert "the last 24 hours</span>, version 7: other confidences than the time before" in page
    assert "git checkout model-007" in page
    assert "Embeddings are not compared" in page
