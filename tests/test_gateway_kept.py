"""What measurements of the gateway compare, answers with rows and the place with the log; and whom they kill."""

import os
import signal
import time

import numpy as np
import pytest
from exports import write_export
from gateways import Gateway

from bench.gateway.kept import Kept, Shipped, other_versions, says, wrong_pictures
from bench.gateway.load import Outcome
from bench.gateway.processes import GATEWAY, MODEL, PREPARING, TRACKER, by_role
from runtime.digest import md5_of_bytes
from serving.transactions import packed
from stages.tables.exported import EXPORT

EXPECTED = {7: [("red", 90.0), ("blue", 70.0)], 8: [("red", 80.0), ("blue", 60.0)]}


def outcome(transaction: str, photo: int = 0, version: int = 7, status: int = 200) -> Outcome:
    """What was answered to a photo by a version that names itself."""
    name, confidence = EXPECTED[version][photo]
    body = {"transaction": transaction, "version": version, "answer": {"class": name, "confidence": confidence}}
    return Outcome(status, 0.0, 0.1, photo, body)


def row(transaction: str, photo: int = 0, version: int = 7, **changes: object) -> dict:
    name, confidence = EXPECTED[version][photo]
    answer = {"version": version, "class_1": name, "confidence_1": confidence, "status": "answered"}
    return {"transaction_id": transaction, **answer, **changes}


def test_an_answer_is_unlogged_without_a_row_that_says_that_it_was_answered():
    outcomes = [*map(outcome, "abc"), outcome("d", status=503)]
    rows = [row("a"), row("b", status="aborted"), row("e")]
    assert Kept.of(outcomes, rows) == Kept(3, ["b", "c"])


def test_a_transaction_is_at_the_place_once_or_it_is_listed():
    assert Shipped.of({"a", "b"}, ["b", "a"]) == Shipped([], [], [])
    assert Shipped.of({"a", "b", "c"}, ["a", "b", "b", "x"]) == Shipped(["c"], ["b"], ["x"])


def test_both_versions_are_told_from_their_answers_to_each_photo():
    outcomes = [outcome("a"), outcome("b", 1), outcome("c", 0, 8), Outcome(503, 0.0, 0.1, 0, {"error": "no"})]
    assert other_versions(outcomes, [row("a"), row("b", 1), row("c", 0, 8)], EXPECTED) == []


@pytest.mark.parametrize(
    "wrong",
    [
        row("a", 0, 8),  # the row names another version than the answer
        row("a", version=8, confidence_1=90.0),
        row("a", confidence_1=80.0),  # and here it has that version's answer
        row("a", class_1="blue"),
        row("b"),
    ],
)
def test_a_row_of_another_version_than_the_one_that_answered_is_listed(wrong):
    assert other_versions([outcome("a")], [wrong], EXPECTED) == ["a"]


def test_row_and_answer_that_name_the_same_wrong_version_are_listed():
    body = outcome("a", version=8).body | {"version": 7}
    rows = [row("a", version=8) | {"version": 7}]
    assert other_versions([Outcome(200, 0.0, 0.1, 0, body)], rows, EXPECTED) == ["a"]


def test_a_picture_that_is_gone_or_was_changed_is_listed_and_a_row_without_one_is_not(tmp_path):
    there, changed, gone = (md5_of_bytes(data) for data in (b"there", b"changed", b"gone"))
    (tmp_path / there).write_bytes(b"there")
    (tmp_path / changed).write_bytes(b"another")
    rows = [row("a", image_id=image_id) for image_id in (there, changed, gone, None, there)]
    assert wrong_pictures(rows, tmp_path.joinpath) == sorted([changed, gone])


def test_a_row_says_an_answer_only_with_its_version_class_and_scores():
    answer = {"version": 7, "classes": ["red", "blue"], "scores": [0.123456, 0.876544]}
    scores = np.array(answer["scores"], np.float32)
    assert says(row("a", scores=packed(scores)), answer)
    for changes in ({"version": 8}, {"class_1": "blue"}, {"scores": None}, {"scores": packed(scores[::-1])}):
        assert not says(row("a", scores=packed(scores)) | changes, answer)


@pytest.mark.slow
def test_of_the_processes_of_a_gateway_the_one_that_runs_the_model_is_told_from_the_others(tmp_path):
    write_export(tmp_path / EXPORT)
    with Gateway(tmp_path) as gateway:
        before = by_role(gateway)
        assert before.keys() == {GATEWAY, MODEL, PREPARING, TRACKER}
        os.kill(before[MODEL], signal.SIGKILL)
        end = time.monotonic() + 120
        while b"gateway_restarts 1.0" not in gateway.get("/metrics")[1] or gateway.get("/readyz")[0] != 200:
            assert time.monotonic() < end
            time.sleep(0.1)
        after = by_role(gateway)
        assert {role for role in before if after[role] != before[role]} == {MODEL}
