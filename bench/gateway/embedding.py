"""What the embedding that the log keeps adds to an answer of the newest export."""

import time
from pathlib import Path

import numpy as np

from bench.harness import print_table
from serving.models import Exports
from serving.onnx_model import OnnxModel
from stages.tables.exported import EXPORT

NUM_ANSWERS = 100  # of each kind


def embedding() -> None:
    """Print what an embedding adds to the processor time of an answer, of one thread."""
    export = Exports(Path(EXPORT)).newest()
    models = {"without": OnnxModel(export, 1, 1), "with": OnnxModel(export, 1, 1, embeds=True)}
    rng = np.random.default_rng(0)
    side = models["with"].side
    pictures = rng.integers(0, 256, (NUM_ANSWERS, side, side, 3), np.uint8)
    assert "embedding" in models["with"].answer_pixels(pictures[0])
    seconds: dict[str, list[float]] = {name: [] for name in models}
    for picture in pictures:
        for name, model in models.items():
            started = time.process_time()
            model.answer_pixels(picture)
            seconds[name].append(time.process_time() - started)
    rows = [(name, *(1000 * np.percentile(each, (25, 50, 75)))) for name, each in seconds.items()]
    print_table(["embedding", "first quartile ms", "median ms", "third quartile ms"], rows)
