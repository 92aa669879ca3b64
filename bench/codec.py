"""Measure lossless codecs for prepared pictures: time to encode, time to decode, and bytes.

    python -m bench.codec PICTURES [--number 200] [--size 299]

PICTURES is a folder of photographs. Each is prepared as the stage `shard` does, then encoded and decoded with every
setting, in another order each time, so that whatever else the machine does falls on all of them alike. Times are of the
processor, not of the clock. The ratios are to the first row, which is what `stages/shards/codec.py` does.
"""

import argparse
import random
import time
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.shards.codec import OPTIONS

Setting = tuple[str, dict[str, object]]
MAX_PIXELS = 100_000_000


def settings() -> dict[str, Setting]:
    """Name every setting that is measured; ours comes first."""
    found: dict[str, Setting] = {"webp, ours": ("WEBP", OPTIONS["webp"]), "png, ours": ("PNG", OPTIONS["png"])}
    for method in (0, 1, 2, 4):
        for quality in (0, 50, 75):
            options = {"lossless": True, "method": method, "quality": quality, "exact": True}
            found[f"webp method {method} quality {quality}"] = ("WEBP", options)
    return found | {f"png level {level}": ("PNG", {"compress_level": level}) for level in (1, 2, 3, 4, 6, 9)}


def decode_by_pillow(data: bytes) -> NDArray[np.uint8]:
    """Decode a prepared picture, as `stages.shards.prepared.decode` does with TensorFlow's kernels."""
    with Image.open(BytesIO(data), formats=("WEBP", "PNG")) as image:
        return np.asarray(image.convert("RGB"))


def measure(pixels: NDArray[np.uint8], setting: Setting) -> NDArray[np.float64]:
    """Encode and decode one picture.

    Returns:
        Seconds to encode, seconds to decode, bytes.
    """
    buffer = BytesIO()
    started = time.process_time()
    Image.fromarray(pixels, "RGB").save(buffer, setting[0], **setting[1])
    encoded = time.process_time()
    again = decode_by_pillow(buffer.getvalue())
    decoded = time.process_time()
    assert np.array_equal(again, pixels)
    return np.array([encoded - started, decoded - encoded, buffer.tell()])


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--number", type=int, default=200)
    parser.add_argument("--size", type=int, default=299)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.pictures.rglob("*") if path.is_file())
    rng = random.Random(0)
    chosen = rng.sample(paths, min(arguments.number, len(paths)))
    totals = {name: np.zeros(3) for name in settings()}
    for path in chosen:
        pixels = letterbox(decode(path.read_bytes(), MAX_PIXELS).image, arguments.size)
        for name, setting in rng.sample(list(settings().items()), len(totals)):
            totals[name] += measure(pixels, setting)
    print(f"{len(chosen)} pictures of {arguments.size} px, Pillow {Image.__version__}; a picture, and times ours\n")
    print("| setting | encode ms | | decode ms | | kB | |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    ours = next(iter(totals.values()))
    for name, total in totals.items():
        figures = zip(total / len(chosen) * [1e3, 1e3, 1e-3], total / ours, strict=True)
        print(f"| {name} | " + " | ".join(f"{figure:.1f} | {ratio:.2f}" for figure, ratio in figures) + " |")


if __name__ == "__main__":
    main()
