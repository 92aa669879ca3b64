"""Draw small pictures, copies that show the same, and files that are no whole picture."""

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.random import Generator
from PIL import Image

SIDE = 32  # pixels; that of the network's input, so that a shard holds the very pixels of a file
COLOURS: Mapping[str, tuple[int, int, int]] = {
    "ant": (200, 40, 30),
    "bee": (220, 190, 20),
    "cow": (30, 90, 200),
    "dog": (30, 170, 60),
    "elk": (130, 60, 170),
}
FORMATS: Mapping[str, dict[str, Any]] = {
    "png": {"format": "PNG"},
    "webp": {"format": "WEBP", "lossless": True},
    "jpg": {"format": "JPEG", "quality": 95},
}


def draw(rng: Generator, sub_class: str | None) -> Image.Image:
    """Draw a picture that no other resembles: coarse noise, tinted with the colour of its class if it has one."""
    noise = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8)).resize(
        (SIDE, SIDE), Image.Resampling.BICUBIC
    )
    return noise if sub_class is None else Image.blend(Image.new("RGB", noise.size, COLOURS[sub_class]), noise, 0.5)


def encode(picture: Image.Image, suffix: str, **options: Any) -> bytes:
    """Encode a picture in the format of a suffix."""
    buffer = io.BytesIO()
    picture.save(buffer, **FORMATS[suffix], **options)
    return buffer.getvalue()


def shows_the_same(content: bytes, rng: Generator) -> tuple[bytes, str]:
    """Encode a picture's pixels again in other bytes, as PNG or as a good JPEG; returns the suffix too."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    if rng.random() < 0.5:
        return encode(picture, "png", compress_level=int(rng.integers(1, 4))), "png"
    return encode(picture, "jpg"), "jpg"


def edit(content: bytes, rng: Generator) -> bytes:
    """Paint a square over a part of a picture; the bytes are those of a PNG."""
    picture = Image.open(io.BytesIO(content)).convert("RGB")
    picture.paste(tuple(rng.integers(0, 256, 3).tolist()), (2, 2, 12, 12))
    return encode(picture, "png")


def odd_file(rng: Generator, sub_class: str) -> tuple[str, bytes]:
    """Give the name and content of a file that is no whole picture."""
    whole = encode(draw(rng, sub_class), "jpg")
    number = rng.integers(1_000_000)
    return [
        (".DS_Store", b"\0\0\0\1Bud1" + rng.bytes(20)),
        (f"cut-{number}.jpg", whole[: len(whole) // 2]),
        (f"empty-{number}.png", b""),
        (f"text-{number}.jpg", b"not a picture " + rng.bytes(8).hex().encode()),
    ][rng.integers(4)]
