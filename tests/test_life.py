"""The short form of `bench/life`: two people, two clones and a remote; commands are killed, and nothing is lost."""

import shutil
from pathlib import Path

import pytest

from bench.life import checks
from bench.life.__main__ import live
from bench.life.team import Life, founded
from bench.life.weeks import both_week, gathering_week

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def life(tmp_path_factory) -> Life:
    """A life of three weeks without a model."""
    life = founded(tmp_path_factory.mktemp("life") / "world", train=False)
    live(life, [gathering_week, both_week], kill=0.2)
    return life


def test_two_people_whose_commands_are_killed_lose_nothing(life):
    assert life.problems == []
    assert life.num_kills


def test_the_checker_sees_a_picture_that_is_lost_on_the_way(life, tmp_path):
    person = life.people["anna"]
    shutil.copytree(person.clone / "data", tmp_path / "data")
    path = next(path for path in person.holds if path.startswith("library/"))
    (tmp_path / "data" / path).unlink()
    assert [path in problem for problem in checks.check_pictures(tmp_path, person.holds)] == [True]


def test_the_checker_sees_what_the_remote_lacks_or_has_damaged(life, tmp_path):
    shutil.copytree(life.world.root / "remote", tmp_path / "remote")
    first, second, *_ = sorted(Path(tmp_path / "remote").rglob("files/md5/*/*"))
    first.unlink()
    second.chmod(0o644)
    second.write_bytes(b"")
    named = [(path.name, f"{path.parent.name}{path.name}") for path in (first, second)]
    problems = list(checks.Objects(tmp_path / "remote").problems(named))
    assert ["nowhere" in problems[0], "damaged" in problems[1]] == [True, True]


def test_the_checker_sees_a_leak(life):
    person = life.people["anna"]
    split = checks.read_splits(person.clone)
    sides = {side: image_id for image_id, (_, side) in split.sides.items()}
    problems = list(checks.check_splits(person.clone, [(sides["train"], sides["test"])], person.holds))
    assert len(problems) == 1
    assert "two sides" in problems[0]
