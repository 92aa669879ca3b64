"""Checkpoints of one run: written whole, with a checksum, two of them kept, behind training, outside of the pipeline.

Losing one costs time, never another result: a run's folder is named by a digest of everything that it depends on.
"""

import copy
import hashlib
import json
import logging
import os
import shutil
import zipfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.outputs import sync_folder
from runtime.terminal import command_name

log = logging.getLogger(__name__)

# With DVC's own temporary files: ignored by git, on the local disk.
DEFAULT_FOLDER = ".dvc/tmp/retrain/checkpoints"
# The second newest is used when the newest is damaged.
NUM_KEPT = 2
# Runs that were abandoned leave theirs behind; more than a few would fill the disk.
NUM_RUNS_KEPT = 3
_ARRAYS = "arrays.npz"
_STATE = "state.json"


class Checkpoints:
    """The checkpoints of one run.

    Args:
        run: a digest of everything that the run's result depends on.
        folder: of all runs; by default what RETRAIN_CHECKPOINTS names, else `.dvc/tmp/retrain/checkpoints`.
    """

    def __init__(self, run: str, folder: Path | None = None) -> None:
        self._runs = folder or Path(os.environ.get("RETRAIN_CHECKPOINTS", DEFAULT_FOLDER))
        self._folder = self._runs / run
        self._writer = ThreadPoolExecutor(1, "checkpoints")
        self._being_written: Future[None] | None = None

    def save(self, number: int, arrays: Mapping[str, NDArray[Any]], state: object) -> None:
        """Begin to write one checkpoint, whole or not at all, and then to drop all but the newest two.

        The one before is finished first.

        Args:
            number: rises from checkpoint to checkpoint.
            arrays: plain arrays by name, which nobody changes any more.
            state: what JSON can hold; it may change afterwards.

        Raises:
            OSError: the one before could not be written.
        """
        self.finish()
        self._being_written = self._writer.submit(self._save, number, arrays, copy.deepcopy(state))

    def finish(self) -> None:
        """Wait until the last checkpoint is on the disk.

        Raises:
            OSError: it could not be written.
        """
        being_written, self._being_written = self._being_written, None
        if being_written is not None:
            being_written.result()

    def _save(self, number: int, arrays: Mapping[str, NDArray[Any]], state: object) -> None:
        path = self._folder / f"{number:09d}"
        partial = path.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        try:
            _write(partial, arrays, state)
        except OSError:
            # A full disk is not left fuller than it was.
            shutil.rmtree(partial, ignore_errors=True)
            raise
        shutil.rmtree(path, ignore_errors=True)
        partial.rename(path)
        sync_folder(self._folder)
        for old in self._newest_first()[NUM_KEPT:]:
            shutil.rmtree(old)
        self._drop_abandoned_runs()

    def latest(self) -> tuple[dict[str, NDArray[Any]], Any] | None:
        """Read the newest checkpoint that is whole.

        Returns:
            Its arrays and its state; None where there is none.

        Raises:
            OSError: the last one could not be written.
        """
        self.finish()
        for path in self._newest_first():
            try:
                state = json.loads((path / _STATE).read_text(encoding="utf-8"))
                if state["sha256"] != _digest(path / _ARRAYS, state["state"]):
                    raise ValueError("its checksum does not hold")
                with np.load(path / _ARRAYS, allow_pickle=False) as arrays:
                    return dict(arrays), state["state"]
            except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
                log.warning(
                    "%s: checkpoint %s is damaged (%s): the one before it is used, if there is one",
                    command_name(),
                    path,
                    error,
                )
        return None

    def remove(self) -> None:
        """Remove the checkpoints of this run.

        Raises:
            OSError: the last one could not be written.
        """
        self.finish()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _newest_first(self) -> list[Path]:
        return sorted(self._folder.glob("[0-9]*[0-9]"), reverse=True)

    def _drop_abandoned_runs(self) -> None:
        runs = sorted(self._runs.iterdir(), key=lambda path: path.stat().st_mtime, reverse=True)
        for run in runs[NUM_RUNS_KEPT:]:
            shutil.rmtree(run, ignore_errors=True)


def _write(folder: Path, arrays: Mapping[str, NDArray[Any]], state: object) -> None:
    with (folder / _ARRAYS).open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays)
        os.fsync(file.fileno())
    with (folder / _STATE).open("w", encoding="utf-8") as file:
        json.dump({"sha256": _digest(folder / _ARRAYS, state), "state": state}, file)
        file.flush()
        os.fsync(file.fileno())


def _digest(arrays: Path, state: object) -> str:
    with arrays.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256")
    digest.update(json.dumps(state, sort_keys=True).encode())
    return digest.hexdigest()
