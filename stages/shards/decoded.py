"""Decoded pictures of one run on the local disk: the second epoch and those after it need not decode again.

The file has no name: it goes when the process ends, however it ends. So it cannot be stale or left behind, and a killed
run decodes once more. Losing it costs time, never another result.
"""

import logging
import os
import shutil
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from runtime.terminal import command_name

log = logging.getLogger(__name__)

# Next to the checkpoints: ignored by git, on the local disk.
DEFAULT_FOLDER = ".dvc/tmp/retrain/decoded"
# Of the disk, left for whatever else is written during a run.
FREE_FRACTION = 0.1


class DecodedPictures:
    """Keeps the pixels of pictures, for any thread; open it with `with`. Without room it keeps nothing.

    Args:
        image_ids: whose pixels may be kept.
        num_bytes: of each picture.
        folder: of the file; by default what RETRAIN_DECODED names, else `.dvc/tmp/retrain/decoded`. An empty
            RETRAIN_DECODED keeps nothing.
    """

    def __init__(self, image_ids: Sequence[str], num_bytes: int, folder: Path | None = None) -> None:
        self._num_bytes = num_bytes
        self._image_ids = image_ids
        self._folder = os.environ.get("RETRAIN_DECODED", DEFAULT_FOLDER) if folder is None else str(folder)
        self._file: IO[bytes] | None = None
        self._offsets: dict[str, int] = {}
        self._checksums: dict[str, int] = {}

    def __enter__(self) -> Self:
        if self._folder and self._image_ids:
            try:
                self._reserve(self._num_bytes * len(self._image_ids))
            except OSError as error:
                self._give_up(error)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._offsets.clear()
        if self._file is not None:
            self._file.close()

    def load(self, image_id: str, pixels: NDArray[np.uint8]) -> bool:
        """Fetch the pixels of a picture, if they are kept and as they were.

        Args:
            image_id: of the picture.
            pixels: what to fill, contiguous; where the answer is no, its content does not matter.
        """
        if (checksum := self._checksums.get(image_id)) is None or self._file is None:
            return False
        try:
            os.preadv(self._file.fileno(), [pixels.data], self._offsets[image_id])
        except OSError as error:
            return self._give_up(error)
        if zlib.crc32(pixels.data) != checksum:
            log.warning(
                "%s: decoded picture %s in %s changed on the disk: it is decoded again",
                command_name(),
                image_id,
                self._folder,
            )
            return False
        return True

    def store(self, image_id: str, pixels: NDArray[np.uint8]) -> None:
        """Keep the pixels of a picture, if there is room for it."""
        if (offset := self._offsets.get(image_id)) is None or self._file is None:
            return
        try:
            os.pwrite(self._file.fileno(), pixels.data, offset)
        except OSError as error:
            self._give_up(error)
        else:
            self._checksums[image_id] = zlib.crc32(pixels.data)

    def _reserve(self, needed: int) -> None:
        Path(self._folder).mkdir(parents=True, exist_ok=True)
        disk = shutil.disk_usage(self._folder)
        spare = max(0, disk.free - int(FREE_FRACTION * disk.total))
        if needed > spare:
            log.warning(
                "%s: %s has no room for %d decoded pictures: they take %d MB, %d MB may be used (a tenth of the disk "
                "stays free). Every epoch decodes them again. RETRAIN_DECODED names a folder on another disk.",
                command_name(),
                self._folder,
                len(self._image_ids),
                needed / 1e6,
                spare / 1e6,
            )
            return
        self._file = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by __exit__
        # All at once, not page by page: two runs that start together cannot both count on the same room.
        os.posix_fallocate(self._file.fileno(), 0, needed)
        offsets = range(0, needed, self._num_bytes)
        self._offsets = dict(zip(self._image_ids, offsets, strict=True))

    def _give_up(self, error: OSError) -> bool:
        log.warning(
            "%s: %s keeps no decoded pictures (%s): every epoch decodes them again", command_name(), self._folder, error
        )
        self._offsets, self._checksums = {}, {}
        return False
