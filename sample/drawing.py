"""Draw a handwritten digit over a background, in integers only, so that any machine draws the same pixels.

Pillow's resizing and its transform without interpolation reckon 8-bit pixels in fixed point; interpolated transforms,
sines and blurs with a fractional radius do not, and are not used.
"""

from random import Random

from PIL import Image

from sample.originals import FULL, Cells

# A digit is enlarged to a square of this side with a margin, leans there, and is then scaled to where it is drawn.
_SIDE = 192
_MARGIN = 32
# A pen's edge is sharper than eight cells can show.
_INK = [min(255, max(0, (value - 64) * 2)) for value in range(256)]


def draw_digit(cells: Cells, background: Image.Image, lean: int, rng: Random) -> Image.Image:
    """Draw a digit in light ink at a random position, size and lean over a background.

    Args:
        cells: 8 x 8, each 0 to 16.
        background: in mode RGB; it is not changed.
        lean: how far the upper edge may lean to either side, in 256ths of the height; side edges: two thirds.
        rng: is advanced.

    Returns:
        In mode RGB, of the background's size.
    """
    height = min(background.size) * rng.randrange(92, 116) // 100
    width = height * rng.randrange(90, 111) // 100
    slant, tilt = (rng.randrange(-most, most + 1) for most in (lean, lean * 2 // 3))
    mask = draw_mask(cells, (width, height), slant, tilt)
    # The mask has a margin of a sixth on every side; some of that may reach over the edge.
    left, upper = (
        rng.randrange(-drawn // 8, length - drawn + drawn // 8 + 1)
        for drawn, length in zip(mask.size, background.size, strict=True)
    )
    ink = (rng.randrange(200, 256), rng.randrange(200, 256), rng.randrange(200, 256))
    picture = background.copy()
    picture.paste(Image.new("RGB", mask.size, ink), (left, upper), mask)
    return picture


def draw_mask(cells: Cells, size: tuple[int, int], slant: int, tilt: int) -> Image.Image:
    """Draw a digit's ink.

    Args:
        cells: 8 x 8, each 0 to 16.
        size: width and height of the result.
        slant: how far the upper edge leans to the left of the lower one, in 256ths of the height; negative: right.
        tilt: how far the right edge is below the left one, in 256ths of the width; negative: above.

    Returns:
        In mode L: 0 without ink, 255 full of it.
    """
    small = Image.frombytes("L", (8, 8), bytes(min(255, cell * 256 // FULL) for row in cells for cell in row))
    large = Image.new("L", (_SIDE, _SIDE))
    inner = _SIDE - 2 * _MARGIN
    large.paste(small.resize((inner, inner), Image.Resampling.BICUBIC), (_MARGIN, _MARGIN))
    middle = _SIDE // 2
    # Multiples of 1/256, which floats hold exactly.
    matrix = (1, -slant / 256, slant * middle / 256, -tilt / 256, 1, tilt * middle / 256)
    leaning = large.transform(large.size, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST)
    return leaning.resize(size, Image.Resampling.BICUBIC).point(_INK)
