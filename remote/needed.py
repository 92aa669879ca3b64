"""Which objects commits need: what `.dvc` files and `dvc.lock` name, and every file of the folders among it."""

import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from remote.stores import Store, is_directory, md5_of
from runtime.digest import md5_of_bytes
from runtime.errors import RemoteError

if TYPE_CHECKING:
    from dvc.repo import Repo


@dataclass
class Needed:
    """What commits need.

    Attributes:
        objects: a mapping of object to a path that it is the content of.
        unread: those of the objects that list a folder, and that no side has whole: which files it has is not known.
        unmade: outputs of stages that were never run.
    """

    objects: dict[str, str] = field(default_factory=dict)
    unread: dict[str, str] = field(default_factory=dict)
    unmade: set[str] = field(default_factory=set)

    def named(self, oids: Sequence[str], most: int = 20) -> str:
        """List objects for a message, one line per object, in the order of their paths.

        Args:
            oids: the objects.
            most: lines; how many more there are is said.
        """
        lines = [f"\n- {path} ({oid})" for path, oid in sorted((self.objects[oid], oid) for oid in oids)]
        more = f"\n- and {len(lines) - most} more; `make verify` names all" if len(lines) > most else ""
        return "".join(lines[:most]) + more


def needed(
    repo: "Repo", stores: Sequence[Store], commits: Sequence[str], everything: bool = False, workspace: bool = True
) -> Needed:
    """Collect what the workspace and commits need.

    Args:
        repo: DVC's.
        stores: where lists of folders are read from, the first that has one whole.
        commits: anything that git knows for a commit.
        everything: also what is never pushed, such as what other repositories hold.
        workspace: or the commits alone.

    Raises:
        RemoteError: something was made by a version of DVC that hashed otherwise.
    """
    collected = Needed()
    for revision in repo.brancher(revs=list(commits)):
        if revision == "workspace" and not workspace:
            continue
        for out in repo.index.outs:
            if not out.use_cache or not (everything or (out.can_push and not out.stage.is_repo_import)):
                continue
            if not out.hash_info:
                collected.unmade.add(out.def_path)
                continue
            if out.hash_info.name != "md5":
                raise RemoteError(
                    f"{out.def_path} has a digest of kind {out.hash_info.name}, which DVC 2 made; md5 is expected. "
                    "`dvc cache migrate --dvc-files` digests it again."
                )
            add(collected, stores, out.hash_info.value, _path(repo, out))
    return collected


def with_files(oids: Collection[str], store: Store) -> set[str]:
    """Add to objects the files of those that list a folder and that a store has whole."""
    lists = filter(None, (_files([store], oid) for oid in oids if is_directory(oid)))
    return {*oids, *(file for files in lists for _, file in files)}


def _path(repo: "Repo", out: Any) -> str:
    return str(repo.fs.relpath(out.fs_path, repo.root_dir))


def add(collected: Needed, stores: Sequence[Store], oid: str, path: str) -> None:
    """Add an object, and the files of a folder that it lists."""
    if oid in collected.objects:
        return
    collected.objects[oid] = path
    if is_directory(oid):
        files = _files(stores, oid)
        if files is None:
            collected.unread[oid] = path
        for name, file in files or ():
            collected.objects.setdefault(file, f"{path}/{name}")


def _files(stores: Sequence[Store], oid: str) -> list[tuple[str, str]] | None:
    for content in _contents(stores, oid):
        if md5_of_bytes(content) == md5_of(oid):
            return [(entry["relpath"], entry["md5"]) for entry in json.loads(content)]
    return None


def _contents(stores: Sequence[Store], oid: str) -> Iterator[bytes]:
    for store in stores:
        content = store.read(oid)
        if content is not None:
            yield content
