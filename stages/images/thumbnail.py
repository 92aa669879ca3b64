"""A picture in 384 bytes: what tells near-duplicates from look-alikes, long after the file was read."""

from PIL import Image

SIDE = 16  # of the brightness, in pixels
CHROMA_SIDE = 8  # of each of the two colour planes: eyes and cameras see colour half as fine
NUM_BYTES = SIDE * SIDE + 2 * CHROMA_SIDE * CHROMA_SIDE


def thumbnail(image: Image.Image) -> bytes:
    """Shrink a picture to a square, whatever its shape.

    Pillow resamples in integers, so that the bytes are the same on every machine.

    Args:
        image: upright, in mode RGB.

    Returns:
        NUM_BYTES bytes, row by row: brightness (SIDE x SIDE), then blueness and redness, (CHROMA_SIDE x CHROMA_SIDE)
        each.
    """
    # By whole numbers first, down to three times the size or more: nearly twice as fast, and hardly another picture.
    small = image.resize((SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=3.0).convert("YCbCr")
    brightness, blue, red = small.split()
    chroma = (plane.resize((CHROMA_SIDE, CHROMA_SIDE), Image.Resampling.BOX) for plane in (blue, red))
    return b"".join(plane.tobytes() for plane in (brightness, *chroma))
