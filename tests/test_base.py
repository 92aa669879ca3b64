import pytest
import repositories
from repositories import run, write

from runtime.errors import BaseError
from stages.models.base import FILES, require_base_after_release


def test_the_first_model_needs_no_base(workspace):
    require_base_after_release(1)


def test_an_empty_base_is_refused_once_the_version_says_that_there_was_a_release(workspace):
    with pytest.raises(BaseError, match="(?s)data/base is empty, but export.version in params.yaml is 2.*`make pull`"):
        require_base_after_release(2)


def test_a_base_is_accepted_whatever_the_version(workspace):
    for path in FILES:
        write(path, "")
    require_base_after_release(7)


def test_an_empty_base_is_refused_after_a_tag_of_this_branch_and_not_after_one_of_another(tmp_path):
    with repositories.surroundings(tmp_path):
        run("git", "init", "--quiet", "--initial-branch=main")
        write("params.yaml", "")
        repositories.commit("A model")
        run("git", "checkout", "--quiet", "-b", "other")
        write("params.yaml", "other")
        repositories.commit("Another model")
        run("git", "tag", "model-001")
        run("git", "checkout", "--quiet", "main")
        require_base_after_release(1)
        run("git", "checkout", "--quiet", "other")
        with pytest.raises(BaseError, match="model-001 was promoted in an earlier commit"):
            require_base_after_release(1)
