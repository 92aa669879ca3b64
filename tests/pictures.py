"""Pictures that tests draw."""

import random
from pathlib import Path

from PIL import Image


def draw(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture of coloured patches, as different from that of another seed as chance makes it."""
    patches = Image.new("RGB", (6, 6))
    rng = random.Random(seed)
    patches.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(36)])
    return patches.resize(size, Image.Resampling.BICUBIC)


def save(path: Path, seed: int, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(seed, size).save(path)
