"""git and DVC as commands use them: run in the repository's root, and refused with a message that says what to do."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from runtime import child
from runtime.errors import RepositoryError
from runtime.regular_files import require_no_pipes
from runtime.wording import counted, listed


def git(*arguments: str, text: str | None = None) -> str:
    """Run git.

    Args:
        arguments: of the command.
        text: what it reads from its standard input.

    Returns:
        What it printed.

    Raises:
        RepositoryError: git refused; the message has its words.
    """
    command = ["git", "-c", "core.quotePath=false", *arguments]
    done = subprocess.run(command, input=text, capture_output=True, encoding="utf-8", errors="replace")
    if done.returncode:
        raise RepositoryError(f"`git {arguments[0]}` failed: {(done.stderr or done.stdout).strip()}")
    return done.stdout


def is_shallow() -> bool:
    """Say whether the clone has part of the history only.

    Raises:
        RepositoryError: git refused.
    """
    return git("rev-parse", "--is-shallow-repository").strip() == "true"


def remove_unreadable_lock() -> None:
    """Remove the list of what DVC uses where it is cut off: DVC was killed as it wrote it, and refuses from then on.

    DVC writes it under a guard of its own, which a living process holds; then nothing is removed.
    """
    from dvc.lock import LockError, make_lock
    from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK

    file = Path(".dvc/tmp") / RWLOCK_FILE
    try:
        with make_lock(str(file.with_name(RWLOCK_LOCK)), tmp_dir=str(file.parent)):
            json.loads(file.read_text(encoding="utf-8"))
    except ValueError:
        file.unlink(missing_ok=True)
    except (FileNotFoundError, LockError):
        pass


def dvc_add(folders: Sequence[str]) -> None:
    """Put folders under DVC, or update what DVC has of them; DVC's progress is shown on a terminal.

    Raises:
        RepositoryError: DVC refused, or a pipe lies in a folder.
    """
    require_no_pipes(*folders)
    remove_unreadable_lock()
    command = child.command_of("dvc", "add", *folders)
    words = None if sys.stderr.isatty() else subprocess.PIPE
    with child.tied() as parent:  # DVC must not go on when this command is killed: the next one undoes and adds again
        done = subprocess.run(command, stdin=parent, stdout=subprocess.PIPE, stderr=words)
    if done.returncode:
        said = (done.stderr or b"its words are above").decode(errors="replace").strip()
        raise RepositoryError(f"`dvc add {' '.join(folders)}` failed: {said}")


def folder_digest(folder: Path) -> str:
    """Digest a folder as DVC does in a .dvc file or dvc.lock: ends in `.dir`.

    Raises:
        RepositoryError: a pipe lies in it.
    """
    from dvc_data.hashfile.build import build
    from dvc_data.hashfile.db import HashFileDB
    from dvc_objects.fs import LocalFileSystem, MemoryFileSystem

    require_no_pipes(folder)
    nowhere = HashFileDB(MemoryFileSystem(), "memory://digests")
    digested = build(nowhere, str(folder.absolute()), LocalFileSystem(), "md5", dry_run=True)[2]
    return str(digested.hash_info.value)


def require_root() -> None:
    """Refuse to work anywhere but in the root of a git repository.

    Raises:
        RepositoryError: this folder is in no git repository, or is not its root.
    """
    try:
        root = git("rev-parse", "--show-toplevel").rstrip("\n")
    except RepositoryError:
        raise RepositoryError(
            "this folder is not in a git repository: git and DVC keep what was promoted, so run this in a clone "
            "(`git init`, then a commit, makes one of a plain copy)."
        ) from None
    if Path(root).resolve() != Path.cwd().resolve():
        raise RepositoryError(f"this is not the root of the git repository: run it in {root}.")


def require_a_commit() -> None:
    """Refuse a git repository without a commit, which DVCLive refuses in words of its own once training begins.

    Raises:
        RepositoryError: there is none.
    """
    inside = subprocess.run(["git", "rev-parse", "--git-dir"], capture_output=True).returncode == 0
    if inside and subprocess.run(["git", "rev-parse", "--verify", "HEAD"], capture_output=True).returncode:
        raise RepositoryError(
            "this git repository has no commit yet, and training asks for one. "
            "`git add --all && git commit --message 'Begin'` makes it; then `make repro`."
        )


def require_committed(paths: Sequence[str] = ()) -> None:
    """Refuse a tree with changes that are not committed, files unknown to git included.

    Args:
        paths: where to look; everywhere by default.

    Raises:
        RepositoryError: there are some.
    """
    changes = git("status", "--porcelain", "--untracked-files=all", "--", *paths).splitlines()
    if changes:
        files = counted(len(changes), "file is", "files are")
        raise RepositoryError(
            f"{files} changed and not committed: {listed([line[3:] for line in changes])}. "
            "Commit them, or take the changes back (`git status` shows them)."
        )
