"""Small clones with a few files under DVC and a remote on Azurite, for tests of what passes between the two."""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from azure.storage.blob import ContainerClient
from azurite import Azurite
from repositories import commit, run, surroundings, write

CACHE = Path(".dvc/cache/files/md5")
CONFIG = """\
[core]
    analytics = false
    remote = cloud
[cache]
    type = "reflink,copy"
    verify = true
['remote "cloud"']
    url = azure://{container}/dvc
    verify = true
"""


@dataclass(frozen=True)
class World:
    """A clone, and the container that it pushes to."""

    clone: Path
    container: ContainerClient

    def objects(self) -> dict[str, str]:
        """Give a mapping of object to blob name."""
        names = [blob.name for blob in self.container.list_blobs(name_starts_with="dvc/files/md5/")]
        return {name.removeprefix("dvc/files/md5/").replace("/", ""): name for name in names}

    def read(self, name: str) -> bytes:
        return self.container.download_blob(name).readall()

    def flip(self, name: str, bit: int) -> None:
        """Flip one bit of a blob."""
        self.container.upload_blob(name, flipped(self.read(name), bit), overwrite=True)


def flipped(content: bytes, bit: int) -> bytes:
    """Flip the bit of that number, counted around."""
    changed = bytearray(content)
    changed[bit // 8 % len(changed)] ^= 1 << bit % 8
    return bytes(changed)


def cached(oid: str) -> Path:
    """Give the path of an object in the cache."""
    return CACHE / oid[:2] / oid[2:]


def in_cache() -> dict[str, int]:
    """Give a mapping of every object of the cache to its bytes."""
    return {f"{file.parent.name}{file.name}": file.stat().st_size for file in CACHE.glob("*/*")}


def overwrite(path: Path, content: bytes) -> None:
    """Change a file as a failing disk does: its times and rights stay."""
    stat = path.stat()
    path.chmod(0o644)
    path.write_bytes(content)
    path.chmod(stat.st_mode)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def another_clone(clone: Path, azurite: Azurite, name: str = "other", *options: str) -> Path:
    """Clone a clone again, and let it use the remote."""
    run("git", "clone", "--quiet", *options, clone.as_uri(), str(clone.parent / name))
    (clone.parent / name / ".dvc/config.local").write_text(local_config(azurite))
    return clone.parent / name


def put_under_dvc(*paths: str) -> None:
    """`dvc add`, in this process: ten times as fast as a process of its own."""
    from dvc.repo import Repo

    with Repo() as repo:
        repo.add(list(paths))


def write_pictures(folder: str, number: int, seed: int) -> None:
    """Write files that are no pictures, but of their sizes' kind."""
    rng = random.Random(seed)
    for index in range(number):
        path = write(f"{folder}/{index % 3}/{index:04}.png", "")
        path.write_bytes(rng.randbytes(rng.randint(1, 4000)))


@contextmanager
def world(folder: Path, azurite: Azurite, pictures: int = 5) -> Iterator[World]:
    """Make a clone in `folder/clone` with a folder and a file under DVC, committed; works in it."""
    clone = folder / "clone"
    clone.mkdir(parents=True)
    container = f"c-{uuid4()}"
    client = azurite.service().create_container(container)
    with surroundings(clone):
        write(".dvc/config", CONFIG.format(container=container))
        write(".dvc/.gitignore", "/config.local\n/tmp\n/cache\n")
        write(".dvc/config.local", local_config(azurite))
        run("git", "init", "--quiet", "--initial-branch=main")
        write_pictures("data/library", pictures, seed=1)
        write("data/model.h5", "weights")
        put_under_dvc("data/library", "data/model.h5")
        commit("Pictures")
        yield World(clone, client)


def local_config(azurite: Azurite) -> str:
    return f'[\'remote "cloud"\']\n    connection_string = "{azurite.connection()}"\n'
