"""Two people, a week at a time: what they run, when it is killed, how they merge, and what is checked afterwards."""

import copy
import json
import re
import shutil
import signal
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.random import Generator

from bench.life import checks, pictures
from bench.life.people import BENCHMARKS, HEADER, Ledger, Person
from bench.life.world import STOPPED, Ended, LifeError, World, add_clone, new_world

PEOPLE = ("anna", "ben")
DATA_STAGES = ("python", "-m", "runtime.repro", "split", "shard")
REASON = "REASON=a simulated life"
FOLDERS = tuple(f"data/{name}" for name in checks.PICTURES)
# How often a killed command is compared with one that is not killed: by default every other time, seldom a long one.
COMPARED = {("make", "repro"): 0.3, ("make", "promote"): 0.3}
# Changes to params.yaml that make a run cheap.
CHEAP = {
    "minimum": "6",
    "maximum": "10",
    "staged_cap": "8",
    "images": "20",
    "epochs": "1",
    "epochs_from_scratch": "2",
    "rotation": "0.0",
    "zoom": "0.0",
    "batch_size": "16",
}


@dataclass
class Life:
    """A team and what it did so far.

    Attributes:
        world: its machines.
        ledger: what people did.
        people: by name.
        rng: chooses what happens.
        shared: MD5 by path relative to data/, as the origin's main branch has it.
        kill: chance that a command is killed.
        num_kills: how many were.
        seconds: what each command took last.
        split: of the last commit whose split was made.
        problems: what was found so far.
    """

    world: World
    ledger: Ledger
    people: dict[str, Person]
    rng: Generator
    shared: checks.Listing = field(default_factory=dict)
    kill: float = 0.0
    num_kills: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    split: checks.Splits | None = None
    problems: list[str] = field(default_factory=list)

    def copied(self, root: Path, seed: int) -> "Life":
        """Copy this life to another folder, where it goes on in a way of its own."""
        shutil.copytree(self.world.root, root, symlinks=True)
        ledger, rng = copy.deepcopy(self.ledger), np.random.default_rng(seed)
        people = {
            name: Person(name, root / name, rng, ledger, dict(each.base), dict(each.holds))
            for name, each in self.people.items()
        }
        return Life(World(root), ledger, people, rng, dict(self.shared), split=self.split, seconds=dict(self.seconds))

    def run(self, person: Person, *command: str, may_be_done: bool = False) -> Ended:
        """Run a command to its end; first, as chance has it, kill it, once or twice.

        Args:
            person: who.
            command: what.
            may_be_done: when killed late, the command has done all, and refuses to do it again.
        """
        if self.rng.random() >= self.kill:
            ended = self.world.run(person.name, *command)
            self.seconds[" ".join(command)] = ended.seconds
            return ended
        if self.rng.random() >= COMPARED.get(command[:2], 0.5):
            return self._kill_and_go_on(person, command, self.seconds.get(" ".join(command), 5.0), may_be_done)
        with self.world.twin() as other:
            seconds = other.run(person.name, *command).seconds
            expected = other.state(person.name)
        ended = self._kill_and_go_on(person, command, seconds, may_be_done)
        found = self.world.state(person.name)
        for what in sorted({*found, *expected}):
            if found.get(what) != expected.get(what):
                self.problems.append(
                    f"{' '.join(command)} killed and gone on with left another {what}: {found.get(what)!r}, "
                    f"not {expected.get(what)!r}"
                )
        return ended

    def _kill_and_go_on(self, person: Person, command: Sequence[str], seconds: float, may_be_done: bool) -> Ended:
        for _ in range(self.rng.integers(1, 3)):
            moment, which = seconds * self.rng.uniform(0.02, 1.02), STOPPED[self.rng.integers(2)]
            killed = self.world.run_and_kill(person.name, command, moment, signal.Signals(which))
            self.num_kills += 1
            self.problems += [f"{' '.join(command)}, killed, left a process: {stray}" for stray in killed.strays]
        if command[0] == "dvc":
            _remove_cut_off_lock(person.clone / ".dvc/tmp/rwlock")
        return self.world.run(person.name, *command, must=not may_be_done)

    def pull(self, person: Person) -> None:
        """`git pull && make pull`, with no commit of one's own."""
        self.world.run(person.name, "git", "pull", "--quiet", "--ff-only", "--tags", "origin", "main")
        self.run(person, "make", "pull")
        person.holds = checks.merged(person.base, person.holds, self.shared)
        person.base = dict(self.shared)
        self.check("pull", checks.check_pictures(person.clone, person.holds))

    def record(self, person: Person) -> None:
        """`dvc add`."""
        self.run(person, "dvc", "add", "--quiet", *FOLDERS)

    def share(self, person: Person, message: str, ran: str = "") -> None:
        """Commit and push; if the other was first, merge, run again, and push.

        Args:
            person: who.
            message: of the commit.
            ran: which stages ran: those up to "shards", "all", or none.
        """
        self.commit(person, message)
        if self.shared != person.base or self._is_behind(person):
            self.merge(person, ran)
        self.run(person, "make", "push")
        self.world.run(person.name, "git", "push", "--quiet", "origin", "HEAD:main")
        self.shared = dict(person.holds)
        person.base = dict(person.holds)
        self.check_shared(person, ran)

    def commit(self, person: Person, message: str) -> None:
        """Commit everything, if there is anything."""
        self.world.run(person.name, "git", "add", "--all")
        if self.world.git(person.name, "status", "--porcelain"):
            self.world.run(person.name, "git", "commit", "--quiet", "--message", message)

    def _is_behind(self, person: Person) -> bool:
        self.world.run(person.name, "git", "fetch", "--quiet", "--tags", "origin")
        return self.world.git(person.name, "rev-list", "HEAD..origin/main") != ""

    def merge(self, person: Person, ran: str) -> None:
        """Merge what the other pushed, as docs/guide/merging.md says."""
        merging = ("git", "pull", "--quiet", "--no-rebase", "--no-edit", "origin", "main")
        ended = self.world.run(person.name, *merging, must=False)
        unmerged = self.world.git(person.name, "diff", "--name-only", "--diff-filter=U").split()
        if ended.status and not unmerged:
            raise LifeError(f"{person.name}: git pull failed:\n{ended.output}")
        clashing = [path for path in unmerged if path in [f"{folder}.dvc" for folder in FOLDERS]]
        for path in clashing:
            self.world.run(person.name, "git", "checkout", "--theirs", path)
        if "params.yaml" in unmerged:
            self.world.run(person.name, "git", "checkout", "--theirs", "params.yaml")
        self.run(person, "make", "pull")
        if clashing:
            self._solve(person, clashing)
        else:
            person.holds = checks.merged(person.base, person.holds, self.shared)
        self.check("merge", checks.check_pictures(person.clone, person.holds))
        if ran:
            self.run(person, *(("make", "repro") if ran == "all" else DATA_STAGES))
        if unmerged or ran:
            self.commit(person, "Merge what the other did")

    def _solve(self, person: Person, clashing: Sequence[str]) -> None:
        """Put one's own files back into folders that have the other's; those that merged have both already."""
        folders = tuple(f"{path.removeprefix('data/').removesuffix('.dvc')}/" for path in clashing)
        there = checks.merged(person.base, person.holds, self.shared, prefer_ours=True)
        theirs = {path: digest for path, digest in self.shared.items() if path.startswith(folders)}
        there = {path: digest for path, digest in there.items() if not path.startswith(folders)} | theirs
        self.check("the other's", checks.check_pictures(person.clone, there))
        person.put_back(there, self.shared)
        self.record(person)
        self.world.run(person.name, "git", "add", *clashing)

    def promote(self, person: Person) -> None:
        """Promote, publish, open the next cycle and push it."""
        self.run(person, "make", "promote", REASON, may_be_done=True)
        tag = self.world.git(person.name, "tag", "--points-at", "HEAD").strip()
        if not re.fullmatch(r"model-\d{3}", tag):
            raise LifeError(f"promote left the tag {tag!r}")
        self.world.run(person.name, "git", "push", "--quiet", "origin", tag)
        self.run(person, "make", "publish", "TO=../published", may_be_done=True)
        self.run(person, "make", "next", may_be_done=True)
        self.share(person, "Nothing is left to commit")
        self.check("release", self._check_releases(person))

    def check(self, when: str, problems: Iterator[str]) -> None:
        """Remember problems."""
        self.problems += [f"{when}: {problem}" for problem in problems]

    def check_shared(self, person: Person, ran: str) -> None:
        """Check what is pushed, from outside."""
        clone, remote = person.clone, checks.Objects(self.world.root / "remote")
        named = self._tracked(person, "HEAD")
        kept_by_git = {path for path in named if self.world.git(person.name, "ls-files", path)}
        status = self.world.git(person.name, "status", "--porcelain")
        self.check("pictures", checks.check_pictures(clone, person.holds))
        self.check("commit", checks.check_commit(named, remote, kept_by_git, person.holds))
        self.check("tidiness", checks.check_tidy(clone, status, self.world.root / "remote"))
        self.check("dvc.lock", checks.check_lock(clone, ran == "all"))
        if ran:
            self._check_tables(person)
        if ran == "all":
            self.check("model", checks.check_model(clone))

    def _check_tables(self, person: Person) -> None:
        clone, contents = person.clone, self.ledger.contents
        self.check("fingerprints", checks.check_fingerprints(clone, person.holds, contents))
        self.check("shards", checks.check_shards(clone, contents))
        self.check("decisions", checks.check_decisions(clone))
        self.check("split", checks.check_splits(clone, self.ledger.same, person.holds))
        split = checks.read_splits(clone)
        if self.split:
            self.check("split", checks.check_stable(self.split, split))
        self.split = split

    def _check_releases(self, person: Person) -> Iterator[str]:
        remote, read = checks.Objects(self.world.root / "remote"), {}
        for tag in self.world.git(person.name, "tag", "--list", "model-*").split():
            version, named = int(tag.removeprefix("model-")), self._tracked(person, tag)
            yield from checks.check_release(version, named, remote, self.world.root / f"published/{version:03d}")
            read[version] = checks.read_lineage(named, remote)
        lineages, bases = ({version: each[number] for version, each in read.items()} for number in (0, 1))
        yield from checks.check_lineages(lineages, bases)

    def _tracked(self, person: Person, commit: str) -> dict[str, str]:
        return checks.tracked(lambda path: self.world.git(person.name, "show", f"{commit}:{path}"))


def founded(root: Path, train: bool = True) -> Life:
    """Begin a life: a library, a first model, promoted, and the second cycle open in two clones.

    Args:
        root: of the world.
        train: False does without a model, which takes a tenth of the time.
    """
    ledger, rng = Ledger(), np.random.default_rng(0)
    world = new_world(root, PEOPLE)
    anna, ben = (Person(name, world.clone(name), rng, ledger) for name in PEOPLE)
    life = Life(world, ledger, {each.name: each for each in (anna, ben)}, rng)
    _write_beginning(anna)
    world.run(anna.name, "dvc", "add", "--quiet", *FOLDERS, "data/base")
    life.commit(anna, "Pictures")
    world.run(anna.name, "git", "push", "--quiet", "origin", "HEAD:main")
    life.run(anna, *(("make", "repro") if train else DATA_STAGES))
    life.share(anna, "A first run", "all" if train else "shards")
    if train:
        life.promote(anna)
    add_clone(world, ben.name)
    ben.base, ben.holds = dict(life.shared), dict(life.shared)
    life.pull(ben)
    return life


def begun(root: Path) -> Life:
    """Take up a life as `founded` left it."""
    contents = {
        digest: (root / PEOPLE[0] / "data" / path).read_bytes()
        for path, digest in checks.on_disk(root / PEOPLE[0] / "data").items()
    }
    ledger, rng = Ledger(contents, count=len(contents)), np.random.default_rng(0)
    listing = checks.on_disk(root / PEOPLE[0] / "data")
    people = {name: Person(name, root / name, rng, ledger, dict(listing), dict(listing)) for name in PEOPLE}
    return Life(World(root), ledger, people, rng, listing, split=checks.read_splits(root / PEOPLE[0]))


def _write_beginning(person: Person) -> None:
    for sub_class in pictures.COLOURS:
        for _ in range(4 if sub_class == "elk" else 16):
            _draw(person, f"library/{sub_class}", sub_class)
        for benchmark in BENCHMARKS:
            _draw(person, f"benchmarks/{benchmark}/{sub_class}", sub_class)
    for folder in ("benchmarks/out_of_scope", "unlabelled"):
        for _ in range(4):
            _draw(person, folder, None)
    data = person.clone / "data"
    for folder in ("base", "decisions"):
        (data / folder).mkdir()
    for name in PEOPLE:
        (data / f"decisions/{name}.csv").write_text(HEADER, encoding="utf-8")
    (data / "classes.yaml").touch()
    (data / "confused.csv").write_text("truth,predicted,weight\nant,bee,0.5\n", encoding="utf-8")
    _make_cheap(person.clone / "params.yaml")


def _draw(person: Person, folder: str, sub_class: str | None) -> None:
    suffix = str(person.rng.choice(list(pictures.FORMATS)))
    person.put(f"{folder}/{person.new_name(suffix)}", pictures.encode(pictures.draw(person.rng, sub_class), suffix))


def _remove_cut_off_lock(path: Path) -> None:
    """As docs/guide/remote.md says: where `dvc` itself is killed, nothing of ours runs before it is called again."""
    try:
        json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        pass
    except ValueError:
        path.unlink()


def _make_cheap(params: Path) -> None:
    text = params.read_text(encoding="utf-8")
    for key, value in CHEAP.items():
        text = re.sub(rf"^( +{key}:) \S+", rf"\1 {value}", text, flags=re.MULTILINE)
    params.write_text(text, encoding="utf-8")
