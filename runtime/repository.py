"""git and DVC as commands use them: run in the repository's root, and refused with a message that says what to do."""

import json
import logging
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from runtime import child
from runtime.errors import RepositoryError
from runtime.outputs import whole
from runtime.regular_files import require_no_pipes
from runtime.wording import counted, listed

log = logging.getLogger(__name__)

_LOCK = Path("dvc.lock")
_GUARDS = Path(".dvc/tmp")  # which DVC holds while it writes


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


def mend_cut_off_files() -> None:
    """Remove the list of what DVC uses, and bring back the last commit's dvc.lock, where they are cut off.

    A living process that writes them holds a guard of DVC's; then nothing is touched. Of the stages that ended before
    DVC was killed, its run cache has what they wrote.
    """
    from dvc.lock import LockError, make_lock
    from dvc.rwlock import RWLOCK_FILE, RWLOCK_LOCK

    files = (
        (_GUARDS / RWLOCK_FILE, RWLOCK_LOCK, _is_cut_off_list, Path.unlink),
        (_LOCK, "lock", _is_cut_off_lock, _bring_back),
    )
    for path, guard, is_cut_off, mend in files:
        # Looked at before the guard is taken too: another DVC would be refused while it is held.
        if _GUARDS.is_dir() and path.exists() and is_cut_off(path):
            with suppress(LockError), make_lock(str(_GUARDS / guard), tmp_dir=str(_GUARDS)):
                if path.exists() and is_cut_off(path):
                    mend(path)


def _is_cut_off_list(path: Path) -> bool:
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError:
        return True
    return False


def _is_cut_off_lock(path: Path) -> bool:
    """Say whether a dvc.lock ends early; one with Git's marks of a conflict is not, and waits for its owner."""
    from dvc.schema import COMPILED_LOCKFILE_SCHEMA
    from dvc.utils.serialize import ParseError, parse_yaml
    from voluptuous import Invalid

    text = path.read_text(encoding="utf-8", errors="replace")
    if any(line.startswith("<<<<<<< ") for line in text.splitlines()):
        return False
    try:
        COMPILED_LOCKFILE_SCHEMA(parse_yaml(text, str(path)))
    except (ParseError, Invalid):
        return True
    return not text.endswith("\n")


def _bring_back(path: Path) -> None:
    try:
        committed = git("show", f"HEAD:{path}")
    except RepositoryError:
        path.unlink()  # no commit has one: DVC writes it anew
        return
    with whole(path) as partial:
        partial.write_text(committed, encoding="utf-8")
    log.warning("%s was cut off by a run that was killed. It is the last commit's again.", path)


def dvc(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """Run DVC, after what an earlier one left cut off is mended; whether it refused is for the caller to see.

    Args:
        arguments: of the command.
    """
    mend_cut_off_files()
    command = [sys.executable, "-m", "dvc", *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace")


def dvc_add(folders: Sequence[str]) -> None:
    """Put folders under DVC, or update what DVC has of them; DVC's progress is shown on a terminal.

    Raises:
        RepositoryError: DVC refused, or a pipe lies in a folder.
    """
    require_no_pipes(*folders)
    mend_cut_off_files()
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
