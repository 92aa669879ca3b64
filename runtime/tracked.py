"""Folders under DVC: what each holds, and what its `.dvc` file says here, in Git's index and in the last commit.

A run of DVC takes the folder for the truth: afterwards the `.dvc` file says what the folder held, whatever it said
before. So a folder that was not brought up to a pulled `.dvc` file must stop the run, else a colleague's pictures are
lost.
"""

import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml

from runtime.errors import RepositoryError
from runtime.left_out import require_nothing_left_out
from runtime.regular_files import require_no_pipes
from runtime.repository import git
from runtime.wording import counted, listed

DATA = Path("data")
_PULL_FIRST = (
    "`make pull` fetches what it names. Pictures of yours that no commit has stay, "
    "and `dvc add` then records all of them."
)
# MD5 of each file by its path in the folder.
Listing = Mapping[str, str]


@dataclass(frozen=True)
class Tracked:
    """A folder under DVC.

    Attributes:
        folder: such as data/library.
        recorded: digest that its `.dvc` file names as it stands here.
        staged: the same in Git's index; None where Git has none, as in the two below.
        committed: the same in the last commit.
    """

    folder: Path
    recorded: str
    staged: str | None
    committed: str | None

    @property
    def file(self) -> Path:
        """The `.dvc` file."""
        return dvc_file(self.folder)

    @cached_property
    def older(self) -> list[str]:
        """Digests that earlier commits of this branch name and the last one does not, newest first."""
        return [digest for digest in _history(self.file) if digest != self.committed]

    @cached_property
    def known(self) -> list[str]:
        """Digests that any commit of this clone names, those of other branches and of reflogs too, newest first."""
        return _history(self.file, "--all", "--reflog")

    def where(self) -> str:
        """Say where Git has what the `.dvc` file says here."""
        if self.recorded == self.committed:
            return "as in the last commit"
        return "as in Git's index, not committed" if self.recorded == self.staged else "not committed"


def dvc_file(folder: Path) -> Path:
    """Name the `.dvc` file of a folder."""
    return folder.with_name(f"{folder.name}.dvc")


def tracked_folders(folders: Sequence[Path] | None = None) -> list[Tracked]:
    """Read the `.dvc` files of folders, by default of all below data/.

    Raises:
        RepositoryError: one is no `.dvc` file, as after a merge that ended in a conflict.
    """
    if folders is None:
        folders = [path.with_suffix("") for path in sorted(DATA.glob("*.dvc"))]
    return [
        Tracked(folder, digest, _in_git(f":{dvc_file(folder)}"), _in_git(f"HEAD:{dvc_file(folder)}"))
        for folder in folders
        if (digest := _recorded(dvc_file(folder))) is not None and digest.endswith(".dir")
    ]


class Contents:
    """What folders and DVC's cache of this clone hold; open it with `contents()`."""

    def __init__(self, repo: Any) -> None:
        self._repo = repo

    def of_folder(self, folder: Path) -> tuple[str, Listing]:
        """Digest a folder as DVC does; files that did not change since DVC saw them are not read.

        Returns:
            The digest as `.dvc` files have it, and the listing.

        Raises:
            RepositoryError: a pipe lies in it.
        """
        from dvc_data.hashfile.build import build
        from dvc_objects.fs import LocalFileSystem

        require_no_pipes(folder)
        arguments = (self._repo.cache.local, str(folder.absolute()), LocalFileSystem(), "md5")
        tree = build(*arguments, dry_run=True, ignore=self._repo.dvcignore)[2]
        return str(tree.hash_info.value), {"/".join(key): entry[1].value for key, entry in tree.as_dict().items()}

    def require_nothing_left_out(self, folder: Path) -> None:
        """Refuse what DVC leaves out of a folder, as `runtime.left_out` has it."""
        require_nothing_left_out(self._repo, [folder])

    def of_digest(self, digest: str) -> Listing | None:
        """Read the listing that a `.dvc` file names out of the cache; None where it is not there."""
        path = self._path(digest)
        if not path.is_file():
            return None
        try:
            return {entry["relpath"]: entry["md5"] for entry in json.loads(path.read_text(encoding="utf-8"))}
        except (ValueError, KeyError, TypeError):
            return None

    def has(self, digest: str) -> bool:
        """Say whether the cache has an object."""
        return self._path(digest).is_file()

    def _path(self, digest: str) -> Path:
        return Path(self._repo.cache.local.oid_to_path(digest))


@contextmanager
def contents() -> Iterator[Contents]:
    """Open this clone's DVC repository."""
    from dvc.repo import Repo

    with Repo() as repo:
        yield Contents(repo)


def require_recorded(may_be_absent: bool = False) -> None:
    """Refuse to run while a folder under DVC is not what its `.dvc` file says, or is older than the last commit's.

    Args:
        may_be_absent: a folder that is not here is passed over, as `dvc repro --allow-missing` does.

    Raises:
        RepositoryError: one differs; the message says what each side has and the ways out.
    """
    with contents() as held:
        for tracked in tracked_folders():
            if tracked.folder.is_dir():
                held.require_nothing_left_out(tracked.folder)
                digest, listing = held.of_folder(tracked.folder)
                if digest != tracked.recorded:
                    raise RepositoryError(_difference(tracked, listing, held))
                require_not_older(tracked, listing, held)
            elif not may_be_absent:
                raise RepositoryError(f"{tracked.folder} is not here: `make pull` fetches what {tracked.file} names.")


def changed_meanwhile(stages: Collection[str]) -> list[str]:
    """List the folders that a stage of the run found other than their `.dvc` files say.

    DVC digests what a stage reads after the stage: `dvc.lock` then vouches for pictures that came too late to be read.

    Args:
        stages: of the run; what `dvc.lock` says of others may be of an earlier commit.
    """
    lock = Path("dvc.lock")
    entries = yaml.safe_load(lock.read_text(encoding="utf-8"))["stages"] if lock.is_file() else {}
    read = {(dep["path"], dep.get("md5")) for name in stages for dep in entries.get(name, {}).get("deps", [])}
    recorded = {str(tracked.folder): tracked.recorded for tracked in tracked_folders()}
    return sorted({path for path, digest in read if recorded.get(path, digest) != digest})


def require_not_reverted(folders: Sequence[Path]) -> None:
    """Refuse folders that were recorded over a pulled `.dvc` file: what a stage can see, which runs after DVC did so.

    Args:
        folders: that the stage reads; those without a `.dvc` file, as outside of a DVC repository, are passed over.

    Raises:
        RepositoryError: one is older than the last commit's; the message says the way out.
    """
    changed = [tracked for tracked in tracked_folders(folders) if tracked.recorded != tracked.committed]
    if changed:
        with contents() as held:
            for tracked in changed:
                require_not_older(tracked, held.of_folder(tracked.folder)[1], held)


def require_all_under_dvc(folders: Sequence[Path]) -> None:
    """Refuse what DVC leaves out of folders; those without a `.dvc` file, as outside of a repository, are passed over.

    Raises:
        RepositoryError: there is something; the message names it.
    """
    tracked = [folder for folder in folders if dvc_file(folder).is_file()]
    if tracked:
        with contents() as held:
            for folder in tracked:
                held.require_nothing_left_out(folder)


def require_not_older(tracked: Tracked, listing: Listing, held: Contents) -> None:
    """Refuse a folder that lacks what the last commit added to it: it was recorded over a pulled `.dvc` file.

    Args:
        tracked: the folder, whose `.dvc` file names what it holds.
        listing: of the folder.
        held: by this clone.

    Raises:
        RepositoryError: the folder is that of an earlier commit, or lacks pictures that never were in this clone.
    """
    if tracked.committed is None or tracked.recorded == tracked.committed:
        return
    if tracked.recorded in tracked.older:
        why = f"{tracked.folder} is what an earlier commit had, not what the last one has"
    elif never_here := _never_here(tracked, listing, held):
        why = f"{tracked.folder} lacks what the last commit has and this clone never had: {never_here}"
    else:
        return
    raise RepositoryError(
        f"{why}. This is what happens when a run follows `git pull` without `make pull`: {tracked.file} now names the "
        f"old pictures. `git checkout HEAD -- {tracked.file}`, then `make pull`, brings the last commit's; pictures of "
        f"yours that no commit has stay. If the folder is right as it is, commit {tracked.file} first."
    )


def _never_here(tracked: Tracked, listing: Listing, held: Contents) -> str | None:
    """Say what the last commit has that this clone cannot have deleted, since it never had it."""
    committed = held.of_digest(str(tracked.committed))
    if committed is None:
        known = next(filter(None, map(held.of_digest, tracked.older)), {})
        return f"the list {tracked.committed}" if _share_files(known, listing) else None
    if not _share_files(committed, listing):
        return None  # another library altogether, as after `make adopt`
    here = set(listing.values())
    absent = [path for path, digest in committed.items() if digest not in here and not held.has(digest)]
    return f"{counted(len(absent), 'file')} ({listed(absent)})" if absent else None


def _share_files(one: Listing, other: Listing) -> bool:
    return not set(one.values()).isdisjoint(other.values())


def _difference(tracked: Tracked, listing: Listing, held: Contents) -> str:
    """Say what each side has, and what to do: `dvc add` alone would drop what the other side brought."""
    named = held.of_digest(tracked.recorded)
    lines = [f"{tracked.folder} is not what {tracked.file} says, so nothing was run."]
    if named is None:
        lines.append(f"- {tracked.folder} holds {counted(len(listing), 'file')}.")
        lines.append(f"- {tracked.file}, {tracked.where()}, names {tracked.recorded}, which this clone never had.")
        return "\n".join([*lines, _PULL_FIRST])
    only_here = [path for path, digest in listing.items() if named.get(path) != digest]
    only_named = [path for path, digest in named.items() if listing.get(path) != digest]
    lines.append(f"- {tracked.folder} holds {counted(len(listing), 'file')}{_of_which(only_here, 'new or changed')}.")
    absent = f"{counted(len(named), 'file')}{_of_which(only_named, 'absent or changed here')}"
    lines.append(f"- {tracked.file}, {tracked.where()}, names {absent}.")
    if not all(held.has(named[path]) for path in only_named):
        return "\n".join([*lines, _PULL_FIRST])
    lines.append(f"If the folder is right, because you changed it: `dvc add {tracked.folder}` records it.")
    lines.append(f"If {tracked.file} is right, because you pulled, merged or checked out a commit: `make pull`.")
    return "\n".join(lines)


def _of_which(paths: list[str], kind: str) -> str:
    return f", {len(paths):,} of them {kind}: {listed(paths)}" if paths else ""


def _recorded(file: Path) -> str | None:
    try:
        return _digest_in(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (yaml.YAMLError, KeyError, IndexError, TypeError):
        raise RepositoryError(
            f"{file} is no .dvc file of one folder. After a merge that ended in a conflict, docs/guide/merging.md says "
            f"what to take; `git checkout HEAD -- {file}` brings the last commit's back."
        ) from None


def _digest_in(text: str) -> str:
    return str(yaml.safe_load(text)["outs"][0]["md5"])


def _in_git(name: str) -> str | None:
    """Read the digest in a `.dvc` file of Git, named as `git show` does; None where there is none."""
    try:
        return _digest_in(git("show", name))
    except (RepositoryError, yaml.YAMLError, KeyError, IndexError, TypeError):
        return None


def _history(file: Path, *commits_of: str) -> list[str]:
    """List the digests that commits gave a `.dvc` file, newest first; by default the commits of this branch."""
    commits = git("log", "--format=%H", *commits_of, "--", str(file)).split()
    return [digest for commit in commits if (digest := _in_git(f"{commit}:{file}")) is not None]
