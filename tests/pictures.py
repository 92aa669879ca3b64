"""Pictures that tests draw."""

import random
from io import BytesIO
from pathlib import Path

from PIL import Image

from stages.duplicates.thumbnail import thumbnail
from stages.images.fingerprint import grey_of, perceptual_hash
from stages.images.small import small_pixels


def draw(seed: int, size: tuple[int, int] = (40, 30)) -> Image.Image:
    """A picture of coloured patches, as different from that of another seed as chance makes it."""
    patches = Image.new("RGB", (6, 6))
    rng = random.Random(seed)
    patches.putdata([tuple(rng.randrange(256) for _ in range(3)) for _ in range(36)])
    return patches.resize(size, Image.Resampling.BICUBIC)


def save(path: Path, seed: int, size: tuple[int, int] = (40, 30)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draw(seed, size).save(path)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def hash_of(image: Image.Image) -> int:
    return perceptual_hash(grey_of(small_pixels(image)))


def thumbnail_of(image: Image.Image) -> bytes:
    pixels = small_pixels(image)
    return thumbnail(pixels, grey_of(pixels))
