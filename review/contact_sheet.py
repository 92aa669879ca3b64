"""A contact sheet: pictures in rows, each with its number, and small beside it what it should be compared with."""

import math
from collections.abc import Sequence

from PIL import Image, ImageDraw, ImageFont

SIDE = 176  # pixels of a picture
COLUMNS = 4
_GAP = 8
_PAPER, _ABSENT, _INK = "white", "#d0d0d0", "#202020"
_FONT_SIZE = 18


# The number of a picture, the picture, and those below it; None for one that is not here.
Shown = tuple[int, Image.Image | None, Sequence[Image.Image | None]]


def contact_sheet(pictures: Sequence[Shown]) -> Image.Image:
    """Draw the sheet.

    Args:
        pictures: the number, the picture and those to be shown below it, as many for each; None for one that is not
            here, which is drawn grey. At least one.

    Returns:
        An RGB picture of COLUMNS columns.
    """
    num_beside = max(len(examples) for _, _, examples in pictures)
    small = (SIDE - _GAP) // 2
    height = SIDE + (_GAP // 2 + small if num_beside else 0)
    columns, rows = min(COLUMNS, len(pictures)), math.ceil(len(pictures) / COLUMNS)
    sheet = Image.new("RGB", (columns * (SIDE + _GAP) + _GAP, rows * (height + _GAP) + _GAP), _PAPER)
    for index, (number, picture, examples) in enumerate(pictures):
        left = _GAP + index % COLUMNS * (SIDE + _GAP)
        top = _GAP + index // COLUMNS * (height + _GAP)
        sheet.paste(_square(picture, SIDE), (left, top))
        for column, example in enumerate(examples):
            sheet.paste(_square(example, small), (left + column * (small + _GAP), top + SIDE + _GAP // 2))
        _write_number(sheet, number, left, top)
    return sheet


def _square(picture: Image.Image | None, side: int) -> Image.Image:
    if picture is None:
        return Image.new("RGB", (side, side), _ABSENT)
    return picture.resize((side, side), Image.Resampling.LANCZOS)


def _write_number(sheet: Image.Image, number: int, left: int, top: int) -> None:
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.load_default(_FONT_SIZE)
    width = draw.textlength(str(number), font=font)
    draw.rectangle((left, top, left + width + 8, top + _FONT_SIZE + 6), fill=_PAPER)
    draw.text((left + 4, top + 1), str(number), fill=_INK, font=font)
