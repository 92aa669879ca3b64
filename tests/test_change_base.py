"""Rolling back: an older model becomes the base, and the way to the next promotion stays open."""

import json
import shutil
from pathlib import Path

import pytest
import repositories
from repositories import commit, dvc, run, surroundings, write

import release.promote
from release import change_base, compact, next_cycle, promote, publish
from runtime import parameters
from runtime.errors import InputError, RepositoryError
from stages.shard import wants_compaction

pytestmark = pytest.mark.slow

PROMOTE_ANYHOW = ("--reason", "these repositories have no good model")


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    """A clone in which model-001 and model-002 are promoted and the third cycle is open."""
    clone = repositories.make(tmp_path_factory.mktemp("base"))
    with surroundings(clone), pytest.MonkeyPatch.context() as patch:
        patch.setattr(release.promote, "require_answers", lambda rev, version: None)
        pipeline = Path("dvc.yaml")
        more = "&& echo '[]' > data/model/classes.json && echo lineage > data/model/lineage.parquet && echo index"
        pipeline.write_text(pipeline.read_text().replace("&& echo index", more))
        for version in (1, 2):
            make_and_promote(patch, version)
            next_cycle.main()
    return clone.parent


@pytest.fixture
def clone(template, tmp_path, monkeypatch):
    monkeypatch.setattr(release.promote, "require_answers", lambda rev, version: None)
    shutil.copytree(template, tmp_path / "world", symlinks=True)
    with surroundings(tmp_path / "world/clone"):
        yield tmp_path / "world"


def call(patch, module, *arguments):
    patch.setattr("sys.argv", [module.__name__, *arguments])
    module.main()


def make_and_promote(patch, version):
    shutil.rmtree("data/export", ignore_errors=True)
    write("data/library/boots/1.png", f"a boot for {version}")
    write(f"data/export/{version:03d}/{version:03d}/saved_model.pb", f"model {version}")
    dvc("add", "data/library", "data/export")
    dvc("repro")
    commit(f"Model {version}")
    dvc("push")
    call(patch, promote, *PROMOTE_ANYHOW)


def test_an_older_model_becomes_the_base_and_the_next_is_promoted_published_and_opens_its_cycle(clone, monkeypatch):
    parameters.change({"shard.compacted": 3})
    commit("Ask for a compaction")
    call(monkeypatch, change_base, "--version", "1")
    assert json.loads(Path("data/base/version.json").read_text()) == {"version": 1, "tag": "model-001"}
    assert Path("data/base/model/model.weights.h5").read_text() == "a boot for 1"
    assert parameters.read(parameters.Export).version == 3
    assert run("git", "log", "-1", "--format=%s").strip() == "Roll back: the base of model-003 is model-001"
    assert run("git", "status", "--porcelain") == ""

    assert not wants_compaction(1, parameters.read(parameters.Shard).compacted)
    call(monkeypatch, compact)
    assert wants_compaction(1, parameters.read(parameters.Shard).compacted)

    make_and_promote(monkeypatch, 3)
    call(monkeypatch, publish, "--to", str(clone / "models"))
    assert (clone / "models/003/003/saved_model.pb").read_text() == "model 3"
    call(monkeypatch, next_cycle)
    assert json.loads(Path("data/base/version.json").read_text())["version"] == 3
    assert parameters.read(parameters.Export).version == 4
    assert not wants_compaction(3, parameters.read(parameters.Shard).compacted)


def test_what_was_not_promoted_or_is_the_base_is_refused(clone, monkeypatch):
    with pytest.raises(RepositoryError, match=r"no tag model-007 here.*model-001, model-002"):
        call(monkeypatch, change_base, "--version", "7")
    with pytest.raises(RepositoryError, match="model-002 is the base already"):
        call(monkeypatch, change_base, "--version", "2")
    with pytest.raises(InputError, match="make base VERSION=6, not 'six'"):
        call(monkeypatch, change_base, "--version", "six")
    write("notes.txt", "mine")
    with pytest.raises(RepositoryError, match="not committed"):
        call(monkeypatch, change_base, "--version", "1")
