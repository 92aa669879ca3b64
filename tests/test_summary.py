"""What `make repro` says last: what to do next fits the clone."""

import pytest
from repositories import commit, run, surroundings, write

from review.summary import is_sample, next_steps
from sample import LIBRARY_DIGEST


def test_adoption_is_proposed_only_where_it_would_be_done():
    assert any("make adopt" in step for step in next_steps(True, 1, adoptable=True))
    assert not any("make adopt" in step for step in next_steps(True, 1, adoptable=False))


def test_a_model_that_failed_its_gate_needs_a_reason():
    assert next_steps(True, 1, False)[0].endswith("&& make promote")
    assert 'make promote REASON="..."' in next_steps(False, 1, False)[0]


@pytest.mark.parametrize(("digest", "expected"), [(LIBRARY_DIGEST, True), (f"{'0' * 32}.dir", False)])
def test_the_sample_is_known_by_what_git_has_of_the_library(tmp_path, digest, expected):
    with surroundings(tmp_path):
        run("git", "init", "--quiet")
        write("data/library.dvc", f"outs:\n- md5: {digest}\n  path: library\n")
        commit("A library")
        assert is_sample() == expected
