"""Make photos to measure on, in any number, from the shared photos of clothes, by seeded edits.

A photo of 1,280 px is one of 320 px enlarged four times, with fine detail laid over it: the high frequencies of a
mosaic of sixteen photos. An enlarged photo alone has almost no fine detail, and a file of little more than half the
bytes, which decide how long it takes to decode. The benchmarks print them.
"""

import random
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter

from bench.harness import files_in, in_processes

ENLARGED = 4
# Of the photos of clothes as they are.
QUALITY = 90


def edit(path: Path, rng: random.Random) -> Image.Image:
    """Give a photo another content: cropped by up to a tenth per side, brighter or darker by up to a tenth."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    left, upper, right, lower = (rng.uniform(0, 0.1) for _ in range(4))
    box = (left * image.width, upper * image.height, (1 - right) * image.width, (1 - lower) * image.height)
    gain = rng.uniform(0.9, 1.1)
    return image.resize(image.size, Image.Resampling.BICUBIC, box).point(lambda value: value * gain)


def enlarge(image: Image.Image, others: Sequence[Image.Image]) -> Image.Image:
    """Enlarge a photo four times and lay the fine detail of a mosaic of others over it."""
    large = image.resize((image.width * ENLARGED, image.height * ENLARGED), Image.Resampling.LANCZOS)
    mosaic = Image.new("RGB", large.size)
    for number in range(ENLARGED**2):
        tile = others[number % len(others)].resize(image.size)
        mosaic.paste(tile, (number % ENLARGED * image.width, number // ENLARGED * image.height))
    smooth = np.asarray(mosaic.filter(ImageFilter.BoxBlur(2)), dtype=np.float32)
    detail = (np.asarray(mosaic, dtype=np.float32) - smooth) * 0.5
    return Image.fromarray(np.clip(np.asarray(large) + detail, 0, 255).astype(np.uint8))


def make(number: int, sources: Sequence[Path], folder: Path, large: int | None) -> Path:
    """Write the photo of a number; the first len(sources) of 320 px are the untouched files.

    Args:
        number: of the photo, which is also the seed of its edits.
        sources: photos of 320 px.
        folder: to write to: 500 folders of classes.
        large: quality of a JPEG of 1,280 px; None for one of 320.
    """
    path = folder / f"{number % 500:03d}" / f"{number:06d}.jpg"
    path.parent.mkdir(parents=True, exist_ok=True)
    source = sources[number % len(sources)]
    if number < len(sources) and not large:
        path.write_bytes(source.read_bytes())
        return path
    rng = random.Random(number)
    image = edit(source, rng) if number >= len(sources) else Image.open(source).convert("RGB")
    if large:
        image = enlarge(image, [Image.open(other).convert("RGB") for other in rng.sample(list(sources), 4)])
    image.save(path, quality=large or QUALITY)
    return path


def make_library(folder: Path, num: int, sources: Sequence[Path], large: int | None) -> list[Path]:
    """Write `num` photos below a folder, or take those that stand there.

    Returns:
        Their paths, sorted.
    """
    if len(files_in(folder)) < num:
        in_processes(partial(make, sources=sources, folder=folder, large=large), range(num), 32)
    return files_in(folder)[:num]
