"""People beside the model on the same pictures: counted by hand."""

from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from review.beside_people import Share, by_class, compare, first_answers, key_of, with_oneself
from review.blind_answers import CANNOT_TELL, NAMED, BlindAnswer
from stages.labels.classes import Classes

IDS = [f"{number:032x}" for number in range(60)]
CLASSES = Classes({"hat": "hat", "boots": "boots", "tall": "boots"}, {}, {"cap": "hat"})
BEGIN = datetime(2026, 11, 2, 9, tzinfo=UTC)


def answer(number: int, image: int, value: str, seconds: float | None = None, person: str = "ana") -> BlindAnswer:
    said, on = NAMED if value else CANNOT_TELL, BEGIN + timedelta(seconds=number)
    return BlindAnswer(on, person, number, 1, number, IDS[image], said, value, seconds, "blind; model 7; act:0")


def key(truths: list[str], predicted: list[str], split: str = "test"):
    rows = pd.DataFrame({"image_id": IDS[: len(truths)], "split": split, "truth": truths, "predicted": predicted})
    return key_of(rows, CLASSES)


def test_shares_discordant_pictures_and_times_are_counted_on_the_same_pictures():
    answers = [
        answer(1, 0, "hat", 2.0), answer(2, 1, "hat", 4.0), answer(3, 2, ""), answer(4, 3, "boots", 9.0),
        answer(5, 50, "hat", 1.0),  # not held out
    ]  # fmt: skip
    found = compare(answers, key(["hat", "boots", "hat", "boots"], ["boots", "boots", "hat", "boots"]))
    assert (found.people, found.model) == (Share(2, 4), Share(3, 4))
    assert (found.only_people, found.only_model, found.cannot_tell) == (1, 2, 1)
    assert (found.timed, found.seconds) == (3, 4.0)
    assert found.p == pytest.approx(1.0)
    assert compare(answers[-1:], key(["hat"], ["hat"])) is None
    assert compare([], key([], [])) is None


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcnemars_test_is_exact_and_symmetric(pairs):
    answers = [answer(n, n, "hat" if ours else "boots") for n, (ours, _) in enumerate(pairs)]
    found = compare(answers, key(["hat"] * len(pairs), ["hat" if model else "boots" for _, model in pairs]))
    wins, losses = sum(a and not b for a, b in pairs), sum(b and not a for a, b in pairs)
    assert (found.only_people, found.only_model) == (wins, losses)
    assert found.p == pytest.approx(binomtest(wins, wins + losses).pvalue if wins + losses else 1.0)
    assert found.people.ends[0] <= found.people.fraction <= found.people.ends[1]


def test_a_class_counts_by_its_present_name_for_people_and_model_alike():
    known = key(["cap", "hat", "tall"], ["hat", "cap", "boots"])
    found = compare([answer(1, 0, "hat"), answer(2, 1, "cap"), answer(3, 2, "tall")], known)
    assert (found.people, found.model) == (Share(3, 3), Share(3, 3))


@pytest.mark.parametrize("split", ["train", "difficult", "out_of_scope"])
def test_only_held_out_pictures_count(split):
    assert key(["hat"], ["hat"], split).truths == {}


def test_the_first_answer_counts_and_together_each_picture_once():
    answers = [
        answer(1, 0, "hat"), answer(2, 1, ""), answer(3, 0, "boots", person="ben"), answer(4, 0, "boots"),
        answer(5, 1, ""), answer(6, 0, "hat"),
    ]  # fmt: skip
    assert [each.value for each in first_answers(answers).values()] == ["hat", ""]
    own = [each for each in answers if each.person == "ana"]
    known = key(["hat", "hat"], ["hat", "hat"])
    assert with_oneself(own, known) == Share(2, 3)  # each repeat is compared with the first answer
    assert with_oneself(own[:2], known) is None
    assert with_oneself([answer(1, 0, "boots"), answer(2, 0, "tall")], known) == Share(1, 1)


def test_a_class_is_shown_from_five_pictures_on():
    truths = ["hat"] * 5 + ["boots"] * 4
    found = by_class([answer(n, n, "hat") for n in range(9)], key(truths, ["hat"] * 9))
    assert {name: each.people for name, each in found.items()} == {"hat": Share(5, 5)}
