"""Run deploy/train.sh on the sample from end to end: stopped in training, started again on a fresh disk, then identify.

    python -m bench.rented [--epochs 8]

It takes what `make repro` made here, pushes it to Azurite (`make test` installs that), and makes a bare Git repository
of the last commit. A run with another seed is told to stop after its third epoch, its disk is deleted, and the same run
is started again; a second run makes `identify` of its branch, and one with a wrong key is refused. Status and time of
each, and what the log said, are printed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.azurite import Azurite

ROOT = Path(__file__).parents[1]
PATIENCE_SECONDS = 1800.0


def prepare(folder: Path) -> None:
    """Make folder/origin.git, whose DVC remote is Azurite, and push what stands in the cache."""
    clone = folder / "clone"
    commands = (
        f"git clone --quiet {ROOT} {clone}",
        f"dvc --cd {clone} cache dir --local {ROOT}/.dvc/cache",
        f"dvc --cd {clone} remote add --default azure azure://pictures",
        f"dvc --cd {clone} remote modify azure verify true",
        f"git -C {clone} commit --quiet --all --message Remote",
        f"dvc --cd {clone} push --quiet",
        f"git -C {clone} switch --quiet --create rented",
        f"git clone --quiet --bare {clone} {folder}/origin.git",
    )
    for command in commands:
        subprocess.run(command.split(" "), check=True)


def start(folder: Path, name: str, disk: str, **variables: str) -> subprocess.Popen[bytes]:
    """Start a run."""
    environment = os.environ | {
        "REPOSITORY": f"file://{folder}/origin.git",
        "COMMIT": "rented",
        "RUN": name,
        "OUT": str(folder / "out"),
        "WORK": str(folder / disk),
        **variables,
    }
    return subprocess.Popen([ROOT / "deploy/train.sh"], env=environment, stdout=subprocess.DEVNULL)


def end(folder: Path, name: str, process: subprocess.Popen[bytes], started: float) -> None:
    """Wait for a run, and print its status, its time, and what matters of its log."""
    status = process.wait()
    log = (folder / "out" / name / "log.txt").read_text(encoding="utf-8")
    said = log[log.rindex(f"== run {name} ") :].splitlines()  # of this try
    lines = [line for line in said if "== " in line or " epoch " in line or " error: " in line]
    print(f"{name}: status {status}, {time.perf_counter() - started:.0f} s", *lines, "", sep="\n  ", flush=True)


def measure(folder: Path, server: Azurite, epochs: int) -> None:
    """Run all."""
    settings = {"TARGETS": "export", "NUM_EPOCHS": str(epochs), "SETTINGS": "train.seed=8"}
    started = time.perf_counter()
    run, log = start(folder, "train", "first", **settings), folder / "out/train/log.txt"
    while not log.exists() or "epoch 3:" not in log.read_text(encoding="utf-8"):
        assert run.poll() is None
        assert time.perf_counter() - started < PATIENCE_SECONDS
        time.sleep(0.2)
    run.send_signal(signal.SIGTERM)
    end(folder, "train", run, started)
    shutil.rmtree(folder / "first")
    started = time.perf_counter()
    end(folder, "train", start(folder, "train", "second", **settings), started)
    started = time.perf_counter()
    identify = start(folder, "identify", "third", COMMIT="runs/train", TARGETS="identify")
    end(folder, "identify", identify, started)
    wrong = server.connection("AccountKey=d3Jvbmc=")
    started = time.perf_counter()
    end(folder, "stranger", start(folder, "stranger", "fourth", AZURE_STORAGE_CONNECTION_STRING=wrong), started)


def main() -> None:
    """Print what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=8)
    arguments = parser.parse_args()
    with TemporaryDirectory() as data, TemporaryDirectory() as place, Azurite(Path(data)) as server:
        folder = Path(place)
        server.service().create_container("pictures")
        os.environ["AZURE_STORAGE_CONNECTION_STRING"] = server.connection()
        os.environ["DVC_SITE_CACHE_DIR"] = str(folder / "site")
        os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        prepare(folder)
        measure(folder, server, arguments.epochs)


if __name__ == "__main__":
    main()
