"""Draw a plot of dvc.yaml into a file, as `make plots` draws it for a browser.

python -m docs.guide.plot coverage_over_threshold docs/guide/coverage.png
"""

import argparse
from io import BytesIO
from pathlib import Path

import vl_convert
from PIL import Image

from review.plots import specifications

SCALE = 1.5
COLOURS = 32  # enough for lines and letters; few colours make a small file


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser("python -m docs.guide.plot", description="Draw a plot of dvc.yaml into a file.")
    parser.add_argument("name")
    parser.add_argument("path", type=Path)
    arguments = parser.parse_args()

    drawn = vl_convert.vegalite_to_png(specifications(arguments.name)[arguments.name], scale=SCALE)

    with Image.open(BytesIO(drawn)) as image:
        image.convert("RGB").quantize(COLOURS).save(arguments.path, optimize=True)


if __name__ == "__main__":
    main()
