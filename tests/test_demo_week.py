"""The made-up week of `make demo`: who comes when, what follows from an answer, and what the reviewer finds."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import save

from serving.demo.photos import BLURRED, DARK, NO_PICTURE, PLAIN, Photo, Photos, taken
from serving.demo.reviewer import Truth, outcome_of, truth_of
from serving.demo.visitors import Sent, play
from serving.demo.week import Visit, draw_week, last_week
from stages.images.decode import decode

CUP, THING = Photo("library/cup/1.png", "cup"), Photo("benchmarks/out_of_scope/1.png", None)
PHOTOS = Photos([CUP._replace(path=f"library/cup/{number}.png") for number in range(40)], [THING])
DAYS = st.dates(date(2020, 1, 1), date(2040, 1, 1))


def drawn(today: date, num: int = 300, photos: Photos = PHOTOS) -> list[Visit]:
    return draw_week(num, last_week(today), photos, np.random.default_rng(1))


@given(DAYS)
def test_the_week_is_the_seven_whole_days_before_today_monday_first(today):
    days = last_week(today)
    assert [day.weekday() for day in days] == list(range(7))
    assert sorted(days) == [today - timedelta(days=number) for number in range(7, 0, -1)]


@settings(max_examples=20)
@given(DAYS, DAYS)
def test_each_weekday_has_the_same_visitors_whichever_week_it_is_in(today, other):
    def without_date(visits):
        return sorted((each.at.weekday(), each.at.time(), *each[1:]) for each in visits)

    def named(visits):
        return without_date([each._replace(photo=each.photo.path) for each in visits])

    assert named(drawn(today, 60)) == named(drawn(other, 60))


def test_visits_are_in_order_within_the_week_and_show_each_held_out_picture_before_one_comes_again():
    visits = drawn(date(2026, 11, 28))
    moments = [each.at for each in visits]
    assert moments == sorted(moments)
    assert datetime(2026, 11, 21, tzinfo=UTC) <= moments[0] < moments[-1] < datetime(2026, 11, 28, tzinfo=UTC)
    assert {each.kind for each in visits} == {PLAIN, DARK, BLURRED, NO_PICTURE}
    shown = [each.photo for each in visits]
    assert set(shown) == {*PHOTOS.held_out, *PHOTOS.out_of_scope}
    assert all(each.kind == PLAIN for each in visits if each.photo.truth is None)


def test_without_pictures_out_of_scope_all_are_of_a_class():
    assert all(each.photo.truth for each in drawn(date(2026, 11, 28), photos=PHOTOS._replace(out_of_scope=[])))


class Gateway:
    """Answers what the test says, and notes when it was asked what."""

    def __init__(self, *told: str | None) -> None:
        self.moment, self.asked, self._told = None, [], list(told)

    def set_clock(self, moment: datetime) -> None:
        assert self.moment is None or moment >= self.moment, "the clock never goes back"
        self.moment = moment

    def ask(self, path, body, headers):
        self.asked.append((self.moment, path, headers.get("X-Client-User"), body))
        if path == "/v1/feedback":
            return 200, {}
        told = self._told.pop(0)
        if told == "refused":
            return 415, {"transaction": f"{len(self.asked)}", "error": "no picture"}
        answer = None if told is None else {"class": told, "confidence": 99.0}
        return 200, {"transaction": f"{len(self.asked)}", "answer": answer}


NOON = datetime(2026, 11, 21, 12, tzinfo=UTC)
END = NOON + timedelta(hours=12)


@pytest.fixture
def cup(workspace):
    save(workspace / "data/library/cup/1.png", 1)
    return Photo("library/cup/1.png", "cup")


def visit(photo: Photo, minute: float = 0, kind: str = PLAIN, mood: float = 0.9, patience: float = 0.9) -> Visit:
    return Visit(NOON + timedelta(minutes=minute), "visitor 1", "web", photo, kind, mood, patience)


def test_who_was_told_nothing_of_a_bad_picture_comes_again_with_a_good_one_and_others_do_not(cup):
    visits = [visit(cup, 0, DARK, patience=0.1), visit(cup, 0.1, BLURRED), visit(cup, 0.2, PLAIN, patience=0.1)]
    gateway = Gateway(None, None, None, "cup")
    sent = play(visits, gateway.ask, gateway.set_clock, END)
    assert [(each.visit.kind, each.told) for each in sent] == [
        (DARK, None), (BLURRED, None), (PLAIN, None), (PLAIN, "cup"),
    ]  # fmt: skip
    assert timedelta(seconds=20) < sent[-1].visit.at - sent[0].visit.at < timedelta(minutes=2)
    assert gateway.asked[-1][3] == Path("data/library/cup/1.png").read_bytes() != gateway.asked[0][3]


def test_visitors_say_so_when_they_were_told_something_wrong_and_rarely_when_it_was_right(cup):
    visits = [visit(cup, 0, mood=0.1), visit(cup, 1, mood=0.1), visit(cup, 2, mood=0.6), visit(cup, 3, mood=0.995)]
    gateway = Gateway("jug", "cup", "cup", "cup")
    play(visits, gateway.ask, gateway.set_clock, END)
    said = [(body, moment) for moment, path, _, body in gateway.asked if path == "/v1/feedback"]
    assert [body for body, _ in said] == [
        b'{"transaction": "1", "feedback": "wrong"}',
        b'{"transaction": "2", "feedback": "right"}',
        b'{"transaction": "4", "feedback": "wrong"}',
    ]
    assert all(NOON < moment < NOON + timedelta(minutes=20) for _, moment in said)


def test_nothing_happens_after_the_end_and_what_is_refused_has_no_consequence(cup):
    visits = [visit(cup, 0, NO_PICTURE, 0.0, 0.0), visit(cup, 1.9, DARK, 0.0, 0.0), visit(cup, 2, mood=0.0)]
    gateway = Gateway("refused", None, "cup")
    sent = play(visits, gateway.ask, gateway.set_clock, NOON + timedelta(minutes=2, milliseconds=1))
    assert [each.status for each in sent] == [415, 200, 200]
    assert {path for _, path, _, _ in gateway.asked} == {"/v1/identify"}
    assert gateway.moment <= NOON + timedelta(minutes=2)


def test_a_dark_picture_is_darker_and_a_blurred_one_smoother(cup):
    images = {kind: decode(taken(cup, kind), 10**6).image for kind in (PLAIN, DARK, BLURRED)}
    pixels = {kind: np.asarray(image.convert("L"), float) for kind, image in images.items()}
    assert pixels[DARK].mean() < 0.3 * pixels[PLAIN].mean()
    roughness = {kind: np.abs(np.diff(each, axis=1)).mean() for kind, each in pixels.items()}
    assert roughness[BLURRED] < 0.8 * roughness[PLAIN]
    assert taken(cup, PLAIN) == Path("data/library/cup/1.png").read_bytes()


@pytest.mark.parametrize(
    ("photo", "kind", "told", "found"),
    [
        (CUP, PLAIN, "cup", ("right", "")),
        (CUP, DARK, "cup", ("right", "")),
        (CUP, PLAIN, "jug", ("wrong", "cup")),
        (CUP, DARK, "jug", ("wrong", "cup")),
        (CUP, PLAIN, None, ("should_have_answered", "cup")),
        (CUP, DARK, None, ("bad_picture", "dark")),
        (CUP, BLURRED, None, ("bad_picture", "blurred")),
        (THING, PLAIN, "jug", ("out_of_scope", "")),
        (THING, PLAIN, None, ("out_of_scope", "")),
    ],
)
def test_the_reviewer_finds_what_a_person_would_who_knows_the_picture(photo, kind, told, found):
    assert outcome_of(Sent(visit(photo, kind=kind), "1", 200, told)) == found


def test_the_truth_counts_all_answers_and_nothing_that_was_refused():
    told = [(CUP, "cup"), (CUP, "cup"), (CUP, "jug"), (THING, "jug"), (CUP, None), (THING, None), (THING, None)]
    sent = [Sent(visit(photo), f"{number}", 200, each) for number, (photo, each) in enumerate(told)]
    refused = Sent(visit(CUP, kind=NO_PICTURE), "9", 415, None)
    assert truth_of([*sent, refused]) == Truth(0.5, pytest.approx(2 / 3))
    assert truth_of([refused]) == Truth(None, None)
