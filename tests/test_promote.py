"""Promotion: what is refused, and what the tag says."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
import repositories
from conftest import ROOT
from repositories import GATE, METRICS, commit, dvc, run, surroundings, write

import release.promote
from release.promote import main, message, require_pass
from runtime.digest import md5_of_file
from runtime.errors import GateError, InputError, RemoteError, RepositoryError
from stages.tables.fingerprints import FINGERPRINTS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return repositories.make(tmp_path_factory.mktemp("promote")).parent


@pytest.fixture
def clone(template: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    shutil.copytree(template, tmp_path / "world", symlinks=True)
    # The pipeline of these repositories exports nothing; tests/test_smoke.py is about what is tried here.
    monkeypatch.setattr(release.promote, "require_answers", lambda rev, version: None)
    with surroundings(tmp_path / "world" / "clone"):
        yield tmp_path / "world" / "clone"


def promote(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["promote", *arguments])
    main()


def tags() -> list[str]:
    return run("git", "tag", "--list").split()


def test_a_passed_gate_needs_no_reason() -> None:
    require_pass({"verdict": "yes", "rules": []}, "")


def test_the_refusal_names_the_failed_rules_and_only_those() -> None:
    with pytest.raises(GateError, match=r"says no:\n- difficult true_positive_fraction: 0.7 is below 0.8\n.*REASON="):
        require_pass(GATE, "")


def test_a_tag_says_verdict_reason_failed_rules_and_the_main_metrics_of_every_set_but_validation() -> None:
    assert message("model-007", GATE, METRICS, "the old one is worse") == (
        "model-007: the gate says no\n\n"
        "Promoted because: the old one is worse\n\n"
        "Failed rules:\n- difficult true_positive_fraction: 0.7 is below 0.8\n\n"
        "test: top_1_accuracy 0.971235\n"
        "difficult: true_positive_fraction 0.7\n"
    )


def test_a_passed_gate_leaves_a_short_message() -> None:
    text = message("model-001", {"verdict": "yes", "rules": []}, {"test": {"log_loss": 0.25}}, "")
    assert text == "model-001: the gate says yes\n\ntest: log_loss 0.25\n"


def test_without_a_reason_a_failed_gate_leaves_no_tag(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(GateError, match="the gate says no"):
        promote(monkeypatch, "--reason", "  ")
    assert tags() == []


def test_a_reason_is_recorded_in_an_annotated_tag_at_this_commit(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(monkeypatch, "--reason", '# it\'s "better"\n$(rm) für uns')
    text = run("git", "cat-file", "tag", "model-001")
    assert f"object {run('git', 'rev-parse', 'HEAD')}" in text
    assert text.endswith(message("model-001", GATE, METRICS, '# it\'s "better"\n$(rm) für uns'))


def test_no_reason_promotes_an_export_that_answers_wrongly(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(rev: str, version: int) -> None:
        raise GateError(f"the export of {rev}, version {version}, does not answer as evaluate did")

    monkeypatch.setattr(release.promote, "require_answers", refuse)
    with pytest.raises(GateError, match="the export of HEAD, version 1, does not answer"):
        promote(monkeypatch, "--reason", "now")
    assert tags() == []


def test_a_version_is_promoted_once(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run("git", "tag", "model-001")
    with pytest.raises(RepositoryError, match=r"the tag model-001 is there already.*`make next`"):
        promote(monkeypatch, "--reason", "again")


@pytest.mark.parametrize("path", ["params.yaml", "data/decisions/новая.csv", "data/scores/gate.json"])
def test_what_is_not_committed_is_refused_by_name(clone: Path, monkeypatch: pytest.MonkeyPatch, path: str) -> None:
    content = Path(path).read_text() if Path(path).exists() else ""
    write(path, content + "\n")
    with pytest.raises(RepositoryError, match=f"1 file is changed and not committed: {path}"):
        promote(monkeypatch, "--reason", "now")


def test_a_picture_that_dvc_does_not_know_is_refused(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write("data/library/boots/2.png", "another boot")
    with pytest.raises(RepositoryError, match=r"dvc.lock is stale.*would run again: train"):
        promote(monkeypatch, "--reason", "now")
    assert tags() == []


@pytest.fixture
def fingerprinted(clone: Path) -> Path:
    """The clone with the fingerprints of its pictures, committed and pushed."""
    paths = [file for folder in ("library", "benchmarks", "unlabelled") for file in Path("data", folder).rglob("*.png")]
    rows = {
        "path": [str(path.relative_to("data")) for path in paths],
        "image_id": [md5_of_file(path) for path in paths],
    }
    FINGERPRINTS.write(pd.DataFrame({name: rows.get(name) for name in FINGERPRINTS.schema.names}))
    dvc("add", FINGERPRINTS.path)
    commit("Fingerprints")
    dvc("push")
    return clone


def test_pictures_that_the_run_read_are_promoted(fingerprinted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    promote(monkeypatch, "--reason", "now")
    run("git", "tag", "--delete", "model-001")
    run("git", "clone", "--quiet", "--depth=1", fingerprinted.as_uri(), "../shallow")
    monkeypatch.chdir("../shallow")
    promote(monkeypatch, "--reason", "now")


def test_pictures_that_changed_while_the_run_went_on_are_refused_by_name(
    fingerprinted: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = FINGERPRINTS.read()
    rows.loc[rows["path"].str.startswith("library"), "image_id"] = "0" * 32
    FINGERPRINTS.write(pd.concat([rows, rows.tail(1).assign(path="unlabelled/gone.png")]))
    write("data/library/.hidden.png", "litter")
    dvc("add", "data/library", FINGERPRINTS.path)
    dvc("commit", "--force")
    commit("What plain `dvc repro` leaves")
    dvc("push")
    with pytest.raises(
        RepositoryError, match=r"2 pictures of this commit changed.*boots/1.png, data/unlabelled/gone.png"
    ):
        promote(monkeypatch, "--reason", "now")
    assert tags() == []


def test_a_committed_parameter_without_its_model_is_refused(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    params = Path("params.yaml")
    params.write_text(params.read_text().replace("minimum: 40", "minimum: 41"))
    commit("A parameter")
    with pytest.raises(RepositoryError, match=r"dvc.lock is stale.*would run again: train"):
        promote(monkeypatch, "--reason", "now")


def test_a_depth_1_clone_without_data_promotes_what_is_current_and_refuses_what_is_stale(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("git", "clone", "--quiet", "--depth=1", clone.as_uri(), "../shallow")
    monkeypatch.chdir("../shallow")
    promote(monkeypatch, "--reason", "now")
    assert tags() == ["model-001"]
    run("git", "tag", "--delete", "model-001")
    library = Path("data/library.dvc")
    library.write_text(library.read_text().replace("- md5: ", "- md5: 0", 1))
    commit("Other pictures")
    with pytest.raises(RepositoryError, match=r"dvc.lock is stale"):
        promote(monkeypatch, "--reason", "now")


def test_a_model_is_promoted_when_the_remote_has_all_of_it(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = sorted(Path("../remote/files/md5").glob("*/*"), key=lambda file: file.name.endswith(".dir"))
    lost = {file: file.read_bytes() for file in (stored[0], stored[-1])}  # a file, the list of a folder
    for file in lost:
        file.unlink()
    with pytest.raises(RemoteError, match=r"remote store lacks 2 of the \d+ objects.*`make push` sends.*\n- data/"):
        promote(monkeypatch, "--reason", "now")
    assert tags() == []
    for file, content in lost.items():
        file.write_bytes(content)
    promote(monkeypatch, "--reason", "now")
    assert tags() == ["model-001"]


def test_without_a_remote_a_model_is_promoted(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(".dvc/config", "[core]\n    analytics = false\n")
    commit("No remote")
    promote(monkeypatch, "--reason", "now")
    assert tags() == ["model-001"]


def test_a_folder_without_scores_says_how_to_get_them(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("data/scores/gate.json").unlink()
    with pytest.raises(InputError, match=r"data/scores/gate.json is not there: `make repro` writes it"):
        promote(monkeypatch)


def test_only_the_root_of_a_git_repository_will_do(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(clone, "inner", ignore=shutil.ignore_patterns(".git", "inner"))
    monkeypatch.chdir("inner")
    with pytest.raises(RepositoryError, match=f"not the root of the git repository: run it in {clone}"):
        promote(monkeypatch)
    shutil.rmtree(clone / ".git")
    with pytest.raises(RepositoryError, match="this folder is not in a git repository"):
        promote(monkeypatch)


def test_git_is_quoted_when_it_refuses(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_COMMITTER_EMAIL", "")
    monkeypatch.setenv("GIT_COMMITTER_NAME", "")
    with pytest.raises(RepositoryError, match=r"`git tag` failed: .*(ident|tell me who you are)"):
        promote(monkeypatch, "--reason", "now")


def test_make_hands_a_reason_on_as_it_was_typed(tmp_path: Path) -> None:
    reason = """costs $5 more, "$(shell id)", `id` and it's $$fine"""
    (tmp_path / "Makefile").write_text(f'include {ROOT}/Makefile\nshow:\n\t@printf %s "$$REASON"\n')
    shown = subprocess.check_output(["make", "--silent", "show", f"REASON={reason}"], cwd=tmp_path, text=True)
    assert shown == reason
