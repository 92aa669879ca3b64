"""Publishing: whole or not at all, never over what is there, on folders, in memory and on Azure's protocol."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
import repositories
from repositories import commit, dvc, run, surroundings, write

from release import publish
from runtime.errors import InputError, RepositoryError

pytestmark = pytest.mark.slow

FILES = {
    "007/saved_model.pb": "graph",
    "007/variables/variables.index": "index",
    "007/variables/variables.data-00000-of-00001": "weights" * 1000,
    "007/assets.extra/tf_serving_warmup_requests": "",
    "classes.json": "[]\n",
    "release.json": "{}\n",
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose tags model-006 and model-007 name exports."""
    clone = tmp_path_factory.mktemp("publish") / "clone"
    clone.mkdir()
    with surroundings(clone):
        run("git", "init", "--quiet", "--initial-branch=main")
        write(".dvc/config", repositories.CONFIG)
        write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        for version in ("006", "007"):
            shutil.rmtree("data/export", ignore_errors=True)
            for name, content in FILES.items():
                write(f"data/export/{version}/{name.replace('007/', f'{version}/')}", content + version)
            dvc("add", "data/export")
            commit(f"Model {version}")
            run("git", "tag", f"model-{version}")
        write("data/export/008/008/saved_model.pb", "not promoted")
    return clone


@pytest.fixture
def clone(template: Path) -> Iterator[Path]:
    with surroundings(template):
        yield template


@pytest.fixture(params=["folder", "memory", "azure"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where models are published to: a URL."""
    if request.param == "folder":
        yield str(tmp_path / "models")
    elif request.param == "memory":
        yield "memory://models"
        fsspec.filesystem("memory").rm("/models", recursive=True)
    else:
        server = request.getfixturevalue("azurite")
        request.getfixturevalue("monkeypatch").setenv("AZURE_STORAGE_CONNECTION_STRING", server.connection())
        container = f"models-{tmp_path.name.replace('_', '-')}"[:60].strip("-")
        server.service().create_container(container)
        yield f"az://{container}/served"


def publish_to(monkeypatch: pytest.MonkeyPatch, url: str, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["publish", "--to", url, *arguments])
    publish.main()


def published(url: str) -> dict[str, bytes]:
    storage, folder = fsspec.core.url_to_fs(url, use_listings_cache=False)
    if not storage.exists(folder):
        return {}
    return {path.removeprefix(f"{folder}/"): storage.cat_file(path) for path in storage.find(folder)}


def whole(version: str) -> dict[str, bytes]:
    names = {name: name.replace("007/", f"{version}/") for name in FILES}
    return {f"{version}/{names[name]}": (content + version).encode() for name, content in FILES.items()}


def test_the_newest_promoted_export_is_copied_as_its_tag_names_it(
    clone: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish_to(monkeypatch, url)
    assert published(url) == whole("007")
    publish_to(monkeypatch, url, "--version", "6")
    assert published(url) == whole("006") | whole("007")
    assert not list(clone.glob("*.partial"))


def test_nothing_is_written_over_a_version(clone: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    publish_to(monkeypatch, url)
    with pytest.raises(RepositoryError, match=r"/007 is there already, and a version never changes"):
        publish_to(monkeypatch, url)
    assert published(url) == whole("007")


@pytest.mark.parametrize("moment", range(len(FILES)))
def test_what_fails_at_any_file_leaves_nothing_that_is_served_and_the_next_one_is_whole(
    clone: Path, url: str, moment: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    put, count = publish._put, iter(range(100))

    def failing(storage: object, file: Path, path: str) -> None:
        if next(count) == moment:
            raise OSError("the wire was cut")
        put(storage, file, path)

    with monkeypatch.context() as patch:
        patch.setattr(publish, "_put", failing)
        with pytest.raises(RepositoryError, match="cannot be written to: the wire was cut"):
            publish_to(monkeypatch, url)
    assert "007/007/saved_model.pb" not in published(url)
    publish_to(monkeypatch, url)
    assert published(url) == whole("007")


def test_a_file_that_arrived_otherwise_is_noticed_before_the_model_appears(
    clone: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put = publish._put

    def short(storage: object, file: Path, path: str) -> None:
        if path.endswith("index"):
            file.write_bytes(b"")
        put(storage, file, path)
        if path.endswith("index"):
            file.write_bytes(b"index")

    monkeypatch.setattr(publish, "_put", short)
    with pytest.raises(RepositoryError, match=r"did not receive what was sent: 007/variables/variables.index"):
        publish_to(monkeypatch, url)
    assert "007/007/saved_model.pb" not in published(url)


def test_a_tag_whose_export_is_another_version_s_is_refused_in_words(
    clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("git", "tag", "model-009", "model-007")
    try:
        with pytest.raises(
            RepositoryError, match="model-009 names no model in data/export/009, only 007 in data/export"
        ):
            publish_to(monkeypatch, str(tmp_path / "models"))
    finally:
        run("git", "tag", "--delete", "model-009")


def test_only_what_was_promoted_is_published(clone: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(RepositoryError, match="no tag model-008 here: only what was promoted is published"):
        publish_to(monkeypatch, str(tmp_path), "--version", "8")
    assert published(str(tmp_path)) == {}


@pytest.mark.parametrize(
    ("url", "message"),
    [(" ", "say where to: make publish TO="), ("nowhere://models", "nothing that a model can be")],
)
def test_a_place_that_is_none_is_refused_in_words(
    clone: Path, monkeypatch: pytest.MonkeyPatch, url: str, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        publish_to(monkeypatch, url)


def test_a_container_that_is_absent_or_a_wrong_key_is_said(
    clone: Path, azurite: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    import base64

    wrong = azurite.connection(f"AccountKey={base64.b64encode(b'another key').decode()}")
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", wrong)
    with pytest.raises(RepositoryError, match=r"az://refused cannot be written to: (.|\n)*AZURE_STORAGE_CONNECTION"):
        publish_to(monkeypatch, "az://refused")
