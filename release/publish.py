"""Copy a promoted export to where TensorFlow Serving finds it: a container of blobs, a share, or a folder.

    python -m release.publish --to az://models [--version 7]

The export is the one that the tag names, out of DVC's cache or else its remote. It lands in TO/NNN: reports and label
map beside the SavedModel TO/NNN/NNN. TO is any URL that fsspec knows (`az://container/folder`, a path of a mounted
share). Credentials come from where fsspec's file system takes them, for Azure from the environment:
AZURE_STORAGE_CONNECTION_STRING; or AZURE_STORAGE_ACCOUNT_NAME and an identity.

No kind of storage moves a folder at once, so a version is there from when its `saved_model.pb` is: it is written last,
after the other files were counted, and TensorFlow Serving loads nothing without it. What an interrupted copy left
behind is removed by the next.

Reads: the tag model-NNN: its data/export/NNN
Writes: TO/NNN
"""

import argparse
import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
from fsspec.implementations.local import LocalFileSystem

from release.promote import promoted_versions, tag_name
from runtime.command import run
from runtime.errors import InputError, RepositoryError, is_storage_failure
from runtime.repository import git, require_root
from runtime.temporary import temporary_folder
from runtime.tracked_files import TrackedFiles
from runtime.wording import counted, listed
from stages.tables.exported import EXPORT

log = logging.getLogger(__name__)

LAST = "saved_model.pb"


def publish(files: Mapping[str, Path], storage: Any, folder: str) -> None:
    """Copy files so that the folder holds all of them, or no `saved_model.pb`.

    Args:
        files: to copy, by their paths below the folder; one of them is named `saved_model.pb`.
        storage: an fsspec file system.
        folder: on it.

    Raises:
        RepositoryError: the version is there already, or what arrived is not what was sent.
    """
    (last,) = (name for name in files if PurePosixPath(name).name == LAST)
    if storage.exists(f"{folder}/{last}"):
        raise RepositoryError(
            f"{folder} is there already, and a version never changes once it is published. For another model raise "
            "export.version in params.yaml, and promote that."
        )
    if storage.exists(folder):
        storage.rm(folder, recursive=True)
    for name in sorted(files.keys() - {last}):
        _put(storage, files[name], f"{folder}/{name}")
    _require_arrived({name: files[name] for name in files if name != last}, storage, folder)
    _put(storage, files[last], f"{folder}/{last}")


def _put(storage: Any, file: Path, path: str) -> None:
    storage.makedirs(storage._parent(path), exist_ok=True)
    if isinstance(storage, LocalFileSystem):
        # An object appears whole; a file grows, until it is renamed.
        storage.put_file(str(file), f"{path}.partial")
        Path(f"{path}.partial").rename(path)
    else:
        storage.put_file(str(file), path)


def _require_arrived(files: Mapping[str, Path], storage: Any, folder: str) -> None:
    storage.invalidate_cache()
    root = storage._strip_protocol(folder)
    arrived = {path.removeprefix(f"{root}/"): info["size"] for path, info in storage.find(root, detail=True).items()}
    sent = {name: file.stat().st_size for name, file in files.items()}
    if arrived != sent:
        differ = sorted(name for name in arrived.keys() | sent.keys() if arrived.get(name) != sent.get(name))
        raise RepositoryError(f"{folder} did not receive what was sent: {', '.join(differ)}. Publish once more.")


def _storage(url: str) -> tuple[Any, str]:
    try:
        storage, folder = fsspec.core.url_to_fs(url, use_listings_cache=False)
    except (ValueError, ImportError) as error:
        raise InputError(f"{url} is nothing that a model can be copied to: {error}. Try az://container.") from None
    return storage, folder.rstrip("/")


def main() -> None:
    """Run the command."""
    arguments = _arguments()
    require_root()
    version = _promoted(arguments.version)
    storage, folder = _storage(arguments.to)
    name = f"{version:03d}"

    with temporary_folder("publish") as aside:
        files = _fetch(tag_name(version), f"{EXPORT}/{name}", Path(aside))
        with _failures_explained(arguments.to):
            publish(files, storage, f"{folder}/{name}")

    num_files = counted(len(files), "file")
    log.info("publish: %s is %s/%s, %s", tag_name(version), arguments.to.rstrip("/"), name, num_files)


def _promoted(version: int | None) -> int:
    """Give the version to publish, the newest promoted one by default."""
    promoted = promoted_versions(git("tag", "--list").splitlines())
    version = version or max(promoted, default=0)
    if version not in promoted:
        raise RepositoryError(
            f"there is no tag {tag_name(version)} here: only what was promoted is published. `git fetch --tags` brings "
            "tags, `make promote` makes one."
        )
    return version


def _fetch(tag: str, export: str, folder: Path) -> dict[str, Path]:
    commit = TrackedFiles(tag)
    names = {path: str(PurePosixPath(path).relative_to(export)) for path in commit.find(export)}
    if not any(PurePosixPath(name).name == LAST for name in names.values()):
        others = sorted({PurePosixPath(path).relative_to(EXPORT).parts[0] for path in commit.find(EXPORT)})
        raise RepositoryError(
            f"{tag} names no model in {export}, only {listed(others) or 'nothing'} in {EXPORT}: its tag and its "
            "export.version differ. `make promote` sets tags; delete one that was set by hand, and promote again."
        )
    commit.fetch({path: folder / name for path, name in names.items()})
    return {name: folder / name for name in names.values()}


@contextmanager
def _failures_explained(url: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        if not is_storage_failure(error):
            raise
        raise RepositoryError(
            f"{url} cannot be written to: {error}. For Azure, AZURE_STORAGE_CONNECTION_STRING or "
            "AZURE_STORAGE_ACCOUNT_NAME with an identity say who you are. Nothing is served from what was copied."
        ) from error


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m release.publish", description="Copy a promoted export.")
    parser.add_argument("--to", required=True, help="a URL that fsspec knows, such as az://models")
    parser.add_argument("--version", type=int, help="the newest that was promoted by default")
    arguments = parser.parse_args()
    if not arguments.to.strip():
        raise InputError("say where to: make publish TO=az://models, or TO=a folder.")
    return arguments


if __name__ == "__main__":
    run(main)
