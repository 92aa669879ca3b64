"""Show that plain `dvc push`, killed while it collects, makes the next one skip files and report success.

    python bench/plain_push_loses.py [--files 3000] [--azure CONNECTION_STRING]

Needs DVC and git, nothing of this repository. The remote is a folder, or with --azure a new container. A push is killed
once its index in the site cache has some rows and before it has all; the next one is left to end. Then `dvc status -c`
is asked, and the objects on the remote are counted. What there should be: the files, and the list of their folder.
"""

import argparse
import contextlib
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

DVC = [sys.executable, "-m", "dvc"]
COLLECTED = """
with recursive below(id, has_value) as (
    select id, has_value from nodes where name = 'push'
    union all select nodes.id, nodes.has_value from nodes join below on nodes.pid = below.id
)
select count(*) from below where has_value
"""


def run(*command: str) -> str:
    """Run a command; returns what it printed."""
    return subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout.strip()


def make(number: int, url: str, connection: str) -> None:
    """Make a repository with a folder of small files under DVC in the working folder."""
    rng = random.Random(1)
    run("git", "init", "--quiet")
    run(*DVC, "init", "--quiet")
    run(*DVC, "remote", "add", "--default", "store", url)
    if connection:
        run(*DVC, "remote", "modify", "--local", "store", "connection_string", connection)
    Path("data").mkdir()
    for index in range(number):
        Path("data", f"{index:05}").write_bytes(rng.randbytes(200))
    run(*DVC, "add", "--quiet", "data")


def collected(site: Path) -> int:
    """Count what pushes have written to DVC's index so far."""
    for file in site.glob("repo/*/index/data/db.db"):
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(file, timeout=0.01)) as database:
            return int(database.execute(COLLECTED).fetchone()[0])
    return 0


def push_and_kill(site: Path, number: int, which: signal.Signals) -> int:
    """Push, and kill it while it collects; returns how many rows its index was left with, all if it was too late."""
    push = subprocess.Popen([*DVC, "push", "--quiet"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while push.poll() is None and not 0 < collected(site) < number:
        time.sleep(0.002)
    push.send_signal(which)
    push.wait()
    return collected(site)


def stored(url: str, connection: str) -> int:
    """Count the objects on the remote."""
    if not connection:
        return sum(1 for _ in Path(url).glob("files/md5/??/*"))
    from azure.storage.blob import ContainerClient

    with ContainerClient.from_connection_string(connection, url.removeprefix("azure://")) as container:
        return sum(1 for _ in container.list_blob_names())


def trial(number: int, connection: str, which: signal.Signals) -> str:
    """Kill a push, push again; returns a row of the table."""
    url = str(Path("../remote").absolute())
    if connection:
        from azure.storage.blob import BlobServiceClient

        url = f"azure://{uuid4()}"
        with BlobServiceClient.from_connection_string(connection) as service:
            service.create_container(url.removeprefix("azure://"))
    site = Path("../site").absolute()
    os.environ["DVC_SITE_CACHE_DIR"] = str(site)
    make(number, url, connection)
    rows = push_and_kill(site, number, which)
    again = subprocess.run([*DVC, "push"], capture_output=True, encoding="utf-8")
    told = (again.stdout or again.stderr).strip().splitlines()[-1]
    status = run(*DVC, "status", "-c").splitlines()[-1]
    return (
        f"| {which.name} | {rows} | {again.returncode}, {told} | {status} | {stored(url, connection)} of {number + 1} |"
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=3000)
    parser.add_argument("--azure", default="", help="connection string; Azurite's will do")
    arguments = parser.parse_args()
    print(run(*DVC, "--version"), "on", "Azure" if arguments.azure else "a folder")
    print("| killed by | rows in its index | the next push | dvc status -c | objects on the remote |")
    print("| --- | ---: | --- | --- | ---: |")
    for which in (signal.SIGKILL, signal.SIGTERM):
        with TemporaryDirectory() as folder:
            Path(folder, "clone").mkdir()
            with contextlib.chdir(Path(folder, "clone")):
                print(trial(arguments.files, arguments.azure, which))


if __name__ == "__main__":
    main()
