"""Two clones do not promote the same number."""

import os

import pytest
import repositories
from repositories import run, write

from release.origin import require_free, require_newest, require_same, tags_at_origin
from runtime.errors import RepositoryError

pytestmark = pytest.mark.slow


def promote(tag: str, message: str = "a model") -> None:
    run("git", "tag", "--annotate", tag, "--message", message)


@pytest.fixture
def other(tmp_path):
    """A clone of a repository whose other clone has promoted model-001; the working directory."""
    run("git", "init", "--quiet", "--bare", "--initial-branch=main", str(tmp_path / "origin"))
    with repositories.surroundings(tmp_path):
        for name in ("ana", "ben"):
            run("git", "clone", "--quiet", str(tmp_path / "origin"), name)
        os.chdir(tmp_path / "ana")
        write("params.yaml", "")
        repositories.commit("A model")
        run("git", "push", "--quiet", "origin", "HEAD:main")
        promote("model-001")
        run("git", "push", "--quiet", "origin", "model-001")
        os.chdir(tmp_path / "ben")
        run("git", "pull", "--quiet", "--no-tags", "origin", "main")
        yield tmp_path


def test_a_version_that_another_clone_promoted_is_refused(other):
    with pytest.raises(RepositoryError, match="origin has the tag model-001 already"):
        require_free("model-001")
    require_free("model-002")


def test_a_tag_that_is_another_object_at_origin_opens_no_cycle(other):
    promote("model-001", "another model")
    with pytest.raises(RepositoryError, match="model-001 is another model at origin than here"):
        require_same("model-001")
    run("git", "tag", "--delete", "model-001")
    run("git", "fetch", "--quiet", "--tags")
    require_same("model-001")


def test_a_later_version_at_origin_is_not_overlooked(other):
    run("git", "fetch", "--quiet", "--tags")
    os.chdir(other / "ana")
    promote("model-002")
    run("git", "push", "--quiet", "origin", "model-002")
    os.chdir(other / "ben")
    with pytest.raises(RepositoryError, match="origin has model-002, which is later"):
        require_newest("model-001")


def test_a_shallow_clone_without_the_newest_tag_asks_origin_and_other_tags_do_not_count(other):
    os.chdir(other / "ana")
    for tag in ("model-old", "team/model-009", "model-1000"):
        promote(tag)
    run("git", "push", "--quiet", "--tags", "origin")
    run("git", "clone", "--quiet", "--depth=1", (other / "origin").as_uri(), str(other / "shallow"))
    os.chdir(other / "shallow")
    require_newest("model-001")
    run("git", "-C", str(other / "ana"), "commit", "--quiet", "--allow-empty", "--message", "Later")
    run("git", "-C", str(other / "ana"), "tag", "model-002")
    run("git", "-C", str(other / "ana"), "push", "--quiet", "origin", "model-002")
    with pytest.raises(RepositoryError, match="origin has model-002"):
        require_newest("model-001")


def test_an_origin_that_does_not_answer_is_said(other):
    run("git", "remote", "set-url", "origin", "/nowhere")
    with pytest.raises(RepositoryError, match="origin cannot be asked"):
        require_free("model-002")


def test_without_an_origin_nothing_is_asked(other):
    run("git", "remote", "remove", "origin")
    assert tags_at_origin() == {}
