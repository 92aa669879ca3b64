"""Which commits Git keeps, here and at origin, and every object that any commit of this clone ever named."""

import re

from runtime.errors import RepositoryError
from runtime.repository import git, is_shallow

# Refs that name the newest entry of a list; the others stand in the reflog alone.
_LISTS = ("refs/stash", "refs/exps/stash", "refs/exps/celery", "refs/exps/apply")
_OBJECT = re.compile(r"^[+-].*?\bmd5: ([0-9a-f]{32}(?:\.dir)?)$", re.MULTILINE)
_FILES = ("*.dvc", "*dvc.lock")


def tips() -> list[str]:
    """Fetch, and list the commits that all branches, tags and experiments point at, here and at the origins.

    Raises:
        RepositoryError: the clone is shallow, or fetching failed.
    """
    if is_shallow():
        raise RepositoryError(
            "this clone is shallow, so it does not know every tag: `git fetch --unshallow --tags`, or use another."
        )
    git("fetch", "--all", "--tags", "--quiet")
    return git("rev-list", "--no-walk", "--all").split()


def put_aside() -> list[str]:
    """List the commits of all stashes and queued experiments, with those of the index and of files unknown to Git."""
    lists = git("for-each-ref", "--format=%(refname)", *_LISTS).split()
    found = [git("log", "--walk-reflogs", "--format=%H %P", ref, "--").split() for ref in lists]
    return sorted({commit for commits in found for commit in commits})


def named_in(commits: list[str]) -> dict[str, str]:
    """List the objects that commits name, each with the file that names it; a commit need not be a DVC repository."""
    if not commits:
        return {}
    grep = ("grep", "--extended-regexp", r"\bmd5: [0-9a-f]{32}(\.dir)?$", *commits, "--", *_FILES)
    return {line.rpartition(" ")[2]: line.split(":")[1] for line in _lines(*grep)}


def at_origins() -> list[str]:
    """List the commits that branches of Git's remotes point at, as fetched last, newest first."""
    return git("for-each-ref", "--sort=-committerdate", "--format=%(objectname)", "refs/remotes").split()


def ever_named() -> set[str]:
    """List the objects that `.dvc` files and `dvc.lock` of any commit name, those of reflogs too."""
    return set(_OBJECT.findall(git("log", "--all", "--reflog", "--patch", "-m", "--format=", "--", *_FILES)))


def names_of(commits: list[str], oid: str) -> list[str]:
    """Say which of some commits name an object, as people name them: "main", "tags/model-001", "stash"."""
    lines = _lines("grep", "--files-with-matches", "--fixed-strings", oid, *commits, "--", *_FILES)
    found = dict.fromkeys(line.partition(":")[0] for line in lines)
    return [git("name-rev", "--name-only", "--always", commit).strip() for commit in found]


def _lines(*arguments: str) -> list[str]:
    try:
        return git(*arguments).splitlines()
    except RepositoryError:
        return []  # `git grep` fails where it finds nothing
