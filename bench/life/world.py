"""A team's machines: a Git origin, a DVC remote in a folder, one clone per person; commands there, killed or not."""

import contextlib
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.harness import ROOT
from runtime.errors import RetrainError

LEFT_OUT = ("tests/", "bench/", "docs/", "data/", ".github/", "dvc.lock")  # of the product: none of them is run
MARK = "RETRAIN_LIFE"  # variable by which the processes of a world are known
WAIT_SECONDS = 30.0  # for processes to end after what started them
STOPPED = (signal.SIGKILL, signal.SIGTERM)
CONFIG = """\
[core]
    analytics = false
    check_update = false
    remote = store
[cache]
    type = "reflink,copy"
    verify = true
['remote "store"']
    url = ../../remote
"""


class LifeError(RetrainError):
    """A command ended as it must not."""


@dataclass(frozen=True)
class Ended:
    """How a command ended: exit status, all that it printed, seconds by the clock, and processes that it left."""

    status: int
    output: str
    seconds: float
    strays: Sequence[str] = ()


@dataclass(frozen=True)
class World:
    """A folder with `origin`, `remote`, `published` and a clone of each person."""

    root: Path

    def clone(self, person: str) -> Path:
        """Give the folder of a person's clone."""
        return self.root / person

    def run(self, person: str, *command: str, must: bool = True) -> Ended:
        """Run a command in a person's clone, to its end.

        Raises:
            LifeError: it failed and must not, or left processes.
        """
        ended = self.run_and_kill(person, command)
        if must and ended.status:
            raise LifeError(f"{person}: {' '.join(command)} ended with {ended.status}:\n{ended.output[-3000:]}")
        if ended.strays:
            raise LifeError(f"{person}: {' '.join(command)} left processes: {ended.strays}")
        return ended

    def run_and_kill(
        self, person: str, command: Sequence[str], seconds: float | None = None, which: signal.Signals = signal.SIGKILL
    ) -> Ended:
        """Run a command in a person's clone; after some seconds, if they are given, send its process group a signal."""
        started = time.monotonic()
        with (self.root / "output.txt").open("w+b") as output:
            process = subprocess.Popen(
                command,
                cwd=self.clone(person),
                env=self.environment(person),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, which)
                process.wait()
            except BaseException:
                os.killpg(process.pid, signal.SIGKILL)
                raise
            took = time.monotonic() - started
            strays = self.end_strays()
            output.seek(0)
            return Ended(process.returncode, output.read().decode(errors="replace"), took, strays)

    def environment(self, person: str) -> dict[str, str]:
        """Give the variables of a person's commands: nobody else's settings, and a mark to know the processes by."""
        path = {"PATH": os.pathsep.join([str(self.clone(person) / ".venv/bin"), os.environ["PATH"]])}
        ours = {"HOME", "LANG", "TMPDIR", "TF_CPP_MIN_LOG_LEVEL"}
        who = {"NAME": person, "EMAIL": f"{person}@example.org"}
        return (
            {name: value for name, value in os.environ.items() if name in ours}
            | {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}
            | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "GIT_MERGE_AUTOEDIT": "no"}
            | {f"DVC_{name}_DIR": str(self.root / "dvc" / person) for name in ("SITE_CACHE", "GLOBAL_CONFIG")}
            | {"DVC_NO_ANALYTICS": "1", MARK: str(self.root)}
            | path
        )

    def end_strays(self) -> list[str]:
        """Wait for the processes of this world; end and name those that stay."""
        deadline = time.monotonic() + WAIT_SECONDS
        while (alive := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.05)
        for number in alive:
            with contextlib.suppress(ProcessLookupError):
                os.kill(number, signal.SIGKILL)
        return list(alive.values())

    def _processes(self) -> dict[int, str]:
        found, wanted = {}, f"{MARK}={self.root}".encode()
        for folder in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if wanted in (folder / "environ").read_bytes().split(b"\0"):
                    found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    @contextlib.contextmanager
    def twin(self) -> Iterator["World"]:
        """Give a copy of this world, for as long as the block takes."""
        with TemporaryDirectory(dir=self.root.parent) as folder:
            copy = Path(folder) / "twin"
            shutil.copytree(self.root, copy, symlinks=True)
            yield World(copy)

    def state(self, person: str) -> dict[str, str]:
        """Describe what a command can change: the clone's data, commit and tags, the remote, what is published."""
        clone = self.clone(person)
        git = {
            "files that Git shows as changed": self.git(person, "status", "--porcelain"),
            "tree of the commit": self.git(person, "rev-parse", "HEAD^{tree}"),
            "subject of the commit": self.git(person, "log", "-1", "--format=%s"),
            "tags": self.git(person, "for-each-ref", "--format=%(refname) %(*tree) %(contents)", "refs/tags"),
        }
        data = digests(clone / "data") | digests(clone, "params.yaml") | digests(clone, "dvc.lock")
        elsewhere = {
            f"{name}/{path}": digest
            for name in ("remote", "published")
            for path, digest in digests(self.root / name).items()
        }
        partial = {str(path.relative_to(clone)): "partial" for path in clone.glob("*.partial")}
        return git | data | elsewhere | partial

    def git(self, person: str, *arguments: str) -> str:
        """Run Git in a person's clone and give what it printed."""
        command = ["git", *arguments]
        return subprocess.run(
            command, cwd=self.clone(person), env=self.environment(person), check=True, capture_output=True, text=True
        ).stdout


def digests(folder: Path, pattern: str = "**/*") -> dict[str, str]:
    """Map each file below a folder to the MD5 of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
        for path in sorted(folder.glob(pattern))
        if path.is_file()
    }


def new_world(root: Path, people: Sequence[str]) -> World:
    """Make a world whose origin has the product without pictures and results, and whose first person has a clone."""
    world = World(root)
    for name in ("origin", "remote", "published"):
        (root / name).mkdir(parents=True)
    subprocess.run(["git", "init", "--quiet", "--bare", "--initial-branch=main", str(root / "origin")], check=True)
    add_clone(world, people[0])
    _copy_product(world.clone(people[0]))
    (world.clone(people[0]) / ".dvc/config").write_text(CONFIG, encoding="utf-8")
    return world


def add_clone(world: World, person: str) -> None:
    """Clone the origin for a person, with the environment of this interpreter."""
    clone = world.clone(person)
    subprocess.run(["git", "clone", "--quiet", "origin", person], cwd=world.root, check=True, capture_output=True)
    world.git(person, "remote", "set-url", "origin", "../origin")  # a twin has an origin of its own
    (world.root / "dvc" / person).mkdir(parents=True)
    (clone / ".venv").mkdir()
    for path in Path(sys.prefix).iterdir():
        (clone / ".venv" / path.name).symlink_to(path)
    (clone / ".venv/ready").unlink(missing_ok=True)
    (clone / ".git/info/exclude").write_text("/.venv\n", encoding="utf-8")
    (clone / ".venv/ready").touch()
    _age_lock(clone)


def _age_lock(clone: Path) -> None:
    """Let `make` find the environment newer than its lock."""
    if (clone / "requirements.lock").is_file():
        os.utime(clone / "requirements.lock", (0, 0))


def _copy_product(clone: Path) -> None:
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    for name in subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.splitlines():
        if not name.startswith(LEFT_OUT) and (ROOT / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, clone / name)
    _age_lock(clone)
