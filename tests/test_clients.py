"""Who may ask the gateway, how often, and what its log says of a user."""

import math
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.errors import InputError
from serving.clients import Keys, Places, Rates, Users


@given(st.integers(1, 100), st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_no_client_is_answered_more_often_than_its_rate_and_one_that_waited_as_told_is(per_minute, pauses):
    now = 0.0
    rates, answered = Rates(per_minute, lambda: now), 0
    for pause in pauses:
        now += pause
        wait = rates.wait_seconds("a")
        answered += not wait
        assert answered <= per_minute * (1 + now / 60) + 1e-6
        if wait:
            now += wait + 1e-9
            assert rates.wait_seconds("a") == 0
            answered += 1
    assert rates.wait_seconds("b") == 0


def test_without_a_rate_any_number_is_answered():
    rates = Rates(0)
    assert [rates.wait_seconds("a") for _ in range(1000)] == [0.0] * 1000


@pytest.mark.parametrize("seconds_each", [0.001, 0.05, 0.1, 3.0])
@pytest.mark.parametrize("at_once", [1, 8])
def test_no_more_are_let_in_than_will_be_answered_in_time(seconds_each, at_once):
    """A model that takes so long for each, some at once, and somebody who asks all the time."""
    now, waiting, waits = 0.0, [], []
    places = Places(32, 1.0, lambda: now)
    for _ in range(400):
        while places.is_free():
            place = places.one_more()
            place.__enter__()
            waiting.append((now, place))
        now += seconds_each
        for began, place in waiting[:at_once]:
            waits.append(now - began)
            place.__exit__(None, None, None)
        del waiting[:at_once]
    assert max(waits[-100:]) <= max(1.0, seconds_each * math.ceil(4 / at_once)) + 1e-9
    allowed = min(32, max(4, math.floor(1.0 / seconds_each) * at_once))
    assert allowed / 4 <= len(waiting) + at_once <= 32


def test_keys_are_read_line_by_line_and_a_short_one_is_refused(tmp_path):
    path = tmp_path / "keys"
    path.write_text("# the app\n0123456789abcdef\n\nfedcba9876543210\n")
    keys = Keys.read(path)
    assert [keys.allow(key) for key in ("0123456789abcdef", "fedcba9876543210", "# the app", "")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert Keys().allow("")
    for text in ("short\n", "# nothing\n"):
        path.write_text(text)
        with pytest.raises(InputError, match="could be guessed"):
            Keys.read(path)


def test_a_user_is_the_same_for_a_day_whatever_restarts_and_another_on_the_next(tmp_path):
    day, path = datetime(2026, 11, 27, 12, tzinfo=UTC), tmp_path / "salt.json"
    users = Users(path, lambda: day)
    first = users.hash_of("ann")
    assert first != users.hash_of("ben")
    assert Users(path, lambda: day).hash_of("ann") == first
    assert Users(path, lambda: day.replace(day=28)).hash_of("ann") != first
    assert Users(path, lambda: day).hash_of("ann") != first  # yesterday's salt is lost
    path.write_text("damaged")
    assert Users(path, lambda: day).hash_of("ann") != first


def test_a_salt_that_could_not_be_written_counts_for_nobody(tmp_path):
    day, folder = datetime(2026, 11, 27, 12, tzinfo=UTC), tmp_path / "log"
    users = Users(folder / "salt.json", lambda: day)
    folder.touch()  # no folder, so that nothing can be written there
    for _ in range(2):
        with pytest.raises(OSError, match="log"):
            users.hash_of("ann")
    folder.unlink()
    assert users.hash_of("ann") == Users(folder / "salt.json", lambda: day).hash_of("ann")
