"""Kill `make push` at many moments, delete objects, flip bits: is the remote whole after one more, is all named?

    python -m bench.push_killed [--moments 40] [--files 300] [--deletions 50] [--flips 100]

Runs against Azurite, which `make test` has installed. Each moment is a push to a new container, killed after a time
between nothing and somewhat more than an undisturbed push takes; then one is left to end, and the names and sizes of
what the container holds are compared with what an undisturbed push sent. A folder and a file are under DVC.
"""

import contextlib
import logging
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from azure.storage.blob import ContainerClient

from bench.harness import ROOT, options, print_table
from remote import push, verify
from runtime.errors import RemoteError
from tests.azurite import Azurite

CONFIG = """\
[core]
    analytics = false
    remote = cloud
['remote "cloud"']
    url = azure://{container}/dvc
    connection_string = "{connection}"
"""
OBJECTS = "dvc/files/md5/"


def git(*arguments: str) -> None:
    """Run git."""
    who = ("-c", "user.name=bench", "-c", "user.email=bench@example.org")
    subprocess.run(["git", *who, *arguments], check=True, capture_output=True)


def make_clone(number: int) -> int:
    """Make a clone in the working folder, with `number` files in a folder and one more file; returns its objects."""
    from dvc.repo import Repo

    rng = random.Random(1)
    git("init", "--quiet")
    Path(".dvc").mkdir()
    Path(".dvc/config").touch()
    Path(".dvc/.gitignore").write_text("/config.local\n/tmp\n/cache\n")
    Path("data/library").mkdir(parents=True)
    for index in range(number):
        Path(f"data/library/{index:05}.png").write_bytes(rng.randbytes(rng.randint(100, 20_000)))
    Path("data/model.h5").write_bytes(rng.randbytes(1_000_000))
    with Repo() as repo:
        repo.add(["data/library", "data/model.h5"])
    git("add", "--all")
    git("commit", "--quiet", "--message", "Pictures")
    return number + 2


def new_container(azurite: Azurite) -> ContainerClient:
    """Make a container, and let the clone push to it."""
    container = azurite.service().create_container(str(uuid4()))
    config = CONFIG.format(container=container.container_name, connection=azurite.connection())
    Path(".dvc/config.local").write_text(config)
    return container


def objects(container: ContainerClient) -> dict[str, str]:
    """Give a mapping of object to blob name."""
    names = container.list_blob_names(name_starts_with=OBJECTS)
    return {name.removeprefix(OBJECTS).replace("/", ""): name for name in names}


def sizes(container: ContainerClient) -> dict[str, int]:
    """Give a mapping of blob name to bytes."""
    return {blob.name: blob.size for blob in container.list_blobs()}


def start_push() -> subprocess.Popen[bytes]:
    """Start a push in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "remote.push"]
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def killed(azurite: Azurite, which: signal.Signals, moments: int, number: int) -> tuple[object, ...]:
    """Kill pushes at moments spread over how long one takes; returns a row of the table."""
    undisturbed = new_container(azurite)
    started = time.monotonic()
    assert start_push().wait() == 0
    seconds = time.monotonic() - started
    expected = sizes(undisturbed)
    assert len(expected) == number
    whole, ended, left = 0, 0, []
    for moment in range(moments):
        container = new_container(azurite)
        pushing = start_push()
        time.sleep(1.1 * seconds * (moment + 0.5) / moments)
        ended += pushing.poll() is not None
        pushing.send_signal(which)
        pushing.wait()
        left.append(len(objects(container)))
        whole += start_push().wait() == 0 and sizes(container) == expected
    between = sum(0 < count < number for count in left)
    return which.name, moments, ended, between, f"{whole} of {moments}"


def run(module: object, *arguments: str) -> str:
    """Run a command's main here; returns its error, or nothing."""
    sys.argv = ["bench", *arguments]
    try:
        module.main()  # type: ignore[attr-defined]
    except RemoteError as error:
        return str(error)
    return ""


def deleted(container: ContainerClient, chosen: Sequence[str]) -> tuple[int, int]:
    """Delete objects one at a time; returns how many were noticed, and how many a push brought back."""
    noticed = healed = 0
    before = objects(container)
    for oid in chosen:
        container.delete_blob(before[oid])
        message = run(verify, "--sample", "0.01")
        noticed += re.search(rf"remote cloud lacks 1 objects?:\n- \S+ \({oid}\)", message) is not None
        healed += run(push) == "" and objects(container) == before
    return noticed, healed


def flipped(content: bytes, bit: int) -> bytes:
    """Flip one bit."""
    changed = bytearray(content)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


def overwrite(path: Path, content: bytes) -> None:
    """Write a file, and leave its times and rights as they were."""
    stat = path.stat()
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(stat.st_mode)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def is_named(message: str, side: str, oid: str) -> bool:
    """Tell whether a message names an object as damaged, and no other."""
    return re.search(rf"^{side} has 1 damaged objects?:\n- \S+ \({oid}\)\n`", message) is not None


def flips_named(container: ContainerClient, chosen: Sequence[str], rng: random.Random) -> int:
    """Flip a bit of each object, in turns on the remote and here, and put it back; returns how many were named."""
    names = objects(container)
    count = 0
    for number, oid in enumerate(chosen):
        cached = Path(".dvc/cache/files/md5", oid[:2], oid[2:])
        whole = cached.read_bytes()
        changed = flipped(whole, rng.randrange(8 * len(whole)))
        if number % 2:
            container.upload_blob(names[oid], changed, overwrite=True)
            count += is_named(run(verify), "the remote cloud", oid)
            container.upload_blob(names[oid], whole, overwrite=True)
        else:
            overwrite(cached, changed)
            count += is_named(run(verify), "the cache", oid)
            overwrite(cached, whole)
    return count


def draw_objects(container: ContainerClient, number: int, rng: random.Random) -> list[str]:
    """Draw objects; the list of the folder and the single file are drawn again and again."""
    oids = sorted(objects(container), key=lambda oid: (not oid.endswith(".dir"), oid))
    model = max(objects(container), key=lambda oid: Path(".dvc/cache/files/md5", oid[:2], oid[2:]).stat().st_size)
    return [rng.choice([oids[0], model, *rng.sample(oids, 4)]) for _ in range(number)]


def main() -> None:
    """Print the tables."""
    asked = options(__doc__, moments=40, files=300, deletions=50, flips=100)
    logging.disable(logging.WARNING)
    rng = random.Random(1)
    with TemporaryDirectory() as data, TemporaryDirectory() as folder, contextlib.chdir(folder):
        number = make_clone(asked.files)
        with Azurite(Path(data)) as azurite:
            print_table(
                ["killed by", "pushes", "of them at their end", "left with a part", "whole after one push"],
                [killed(azurite, which, asked.moments, number) for which in (signal.SIGKILL, signal.SIGTERM)],
            )
            shutil.rmtree(".dvc/tmp", ignore_errors=True)
            container = new_container(azurite)
            assert run(push) == ""
            noticed, healed = deleted(container, draw_objects(container, asked.deletions, rng))
            print(f"\n{asked.deletions} objects deleted one at a time: {noticed} noticed, {healed} healed", flush=True)
            num_named = flips_named(container, draw_objects(container, asked.flips, rng), rng)
            print(f"{asked.flips} bits flipped one at a time: {num_named} named")


if __name__ == "__main__":
    main()
