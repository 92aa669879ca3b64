"""The settings for photographs as one choice, from what the pictures of a library are like.

What params.yaml comes with suits the sample: pictures of some 60 to 90 pixels, and a network that a CPU trains in a
minute. Photographs show more than that network sees.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from runtime.errors import InputError
from runtime.parameters import Scalar
from runtime.progress import progress
from runtime.regular_files import read_small
from runtime.wording import counted
from runtime.workers import num_cores
from stages.fingerprint import MAX_BYTES, fingerprint
from stages.tables.pretrained import FOLDER as PRETRAINED

NUM_MEASURED = 400  # pictures: enough for a quantile of 2 %
LEAST_SIDE = 128  # pixels of the shorter side, of the median picture: below, the network would see enlarged pictures
NETWORK, SIDE = "efficientnet_lite0", 224  # of the networks with published weights, one that a CPU can afford
# A limit is where this share of the library's own pictures are beyond it, and no stricter than photographs were found
# to need (docs/measurements/fingerprints.md): a good library is not searched for bad pictures that it does not have.
QUANTILE = 0.02
MIN_HIGHLIGHTS, MIN_CONTRAST = 0.45, 0.32
# A folder with more pictures than three quarters of the folders is cut down to that, so that few classes dominate.
MAXIMUM_QUANTILE = 0.75
NETWORK_SETTINGS: Mapping[str, Scalar] = {
    "picture.side": SIDE,
    "pretrained.network": NETWORK,
    "train.network": NETWORK,
    "train.weights": f"{PRETRAINED}/{NETWORK}.weights.h5",
    "shard.images": 10_000,
}
TRAINING_SETTINGS: Mapping[str, Scalar] = {
    "train.epochs_from_scratch": 20,
    "train.learning_rate_from_scratch": 0.002,
    "train.freeze_epochs": 1,
    "train.frozen_fraction": 0.3,
    "train.freeze_normalization": True,
    "train.body_learning_rate": 0.3,
    "train.augmentation.mirror": True,
    "train.augmentation.rotation": 10.0,
    "train.augmentation.zoom": 0.1,
}
# Where there is a GPU; smaller batches leave it idle between steps (docs/measurements/training.md).
GPU_SETTINGS: Mapping[str, Scalar] = {"train.precision": "bfloat16", "train.batch_size": 128}
_MEASURES = ("width", "height", "highlights", "contrast")


@dataclass(frozen=True)
class Choice:
    """Parameters that belong together.

    Attributes:
        values: by key of params.yaml.
        why: in words.
    """

    values: Mapping[str, Scalar]
    why: str

    def describe(self) -> str:
        """Say in one line what is set, and why."""
        settings = ", ".join(f"{key} {_written(value)}" for key, value in self.values.items())
        return f"{settings}: {self.why}"


def measure(folder: Path, files: Sequence[str], max_pixels: int) -> pd.DataFrame:
    """Measure some of a library's pictures, spread evenly over its files.

    Args:
        folder: of the library.
        files: in it.
        max_pixels: a picture with more is not decoded.

    Returns:
        Columns `width`, `height`, `highlights`, `contrast`; one row for each picture that can be read.
    """
    rows = np.unique(np.linspace(0, len(files) - 1, min(NUM_MEASURED, len(files)), dtype=int))
    paths = [folder / files[row] for row in rows]
    with ThreadPoolExecutor(num_cores()) as threads:
        measured = threads.map(partial(_measure, max_pixels=max_pixels), paths)
        read = [row for row in progress(measured, len(paths), "pictures measured") if "error" not in row]
    return pd.DataFrame(read, columns=list(_MEASURES)).astype(float)


def _measure(path: Path, max_pixels: int) -> dict[str, object]:
    try:
        return fingerprint(read_small(path, MAX_BYTES, ""), max_pixels)
    except InputError as error:
        return {"error": str(error)}


def shorter_side(measured: pd.DataFrame) -> float:
    """Give the shorter side of the median picture in pixels; 0 where none was measured."""
    return float(measured[["width", "height"]].min(axis=1).median()) if len(measured) else 0.0


def choices(measured: pd.DataFrame, counts: Mapping[str, int], minimum: int, has_gpu: bool = False) -> list[Choice]:
    """Choose parameters for a library of photographs.

    Args:
        measured: from `measure`.
        counts: files of each sub-class.
        minimum: `split.minimum`.
        has_gpu: whether this machine has one.
    """
    large = [count for count in counts.values() if count >= minimum]
    maximum = max(minimum, int(np.quantile(large, MAXIMUM_QUANTILE)) if large else minimum)
    num_larger = sum(count > maximum for count in large)
    cut = f"{counted(num_larger, 'folder has', 'folders have')} more; a tenth of each class tests"
    gpu = [Choice(GPU_SETTINGS, "this machine has a GPU; 256 is faster still where its memory allows it")]
    return [
        *gpu * has_gpu,
        Choice(NETWORK_SETTINGS, "a network that begins with weights of ImageNet, at the size that they are for"),
        Choice(TRAINING_SETTINGS, "it is fine-tuned; mirror is wrong where left and right differ, as in writing"),
        Choice(_limits(measured), f"at most {QUANTILE:.0%} of your pictures are below; empty: sharpness sets its own"),
        Choice({"split.maximum": maximum, "split.test_fraction": 0.1}, cut),
    ]


def _limits(measured: pd.DataFrame) -> dict[str, Scalar]:
    low = measured.assign(side=measured[["width", "height"]].min(axis=1)).quantile(QUANTILE).fillna(np.inf)
    return {
        "quality.min_sharpness": None,  # follows from how sharp the library's pictures are, run by run
        "quality.min_highlights": min(MIN_HIGHLIGHTS, _down(low["highlights"])),
        "quality.min_contrast": min(MIN_CONTRAST, _down(low["contrast"])),
        "quality.min_side": int(min(SIDE, low["side"])),
    }


def _down(value: float) -> float:
    return float(np.floor(100 * value) / 100)


def _written(value: Scalar) -> str:
    return "empty" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
