"""Draw a plot of dvc.yaml into a file, as `dvc plots show` draws it in a browser.

python -m docs.guide.plot coverage_over_threshold docs/guide/coverage.png
"""

import argparse
import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import vl_convert
from PIL import Image

SCALE = 1.5
COLOURS = 32  # enough for lines and letters; few colours make a small file


def specifications(*arguments: str) -> dict[str, dict[str, Any]]:
    """Return DVC's plots of the working folder as Vega-Lite, by name.

    Args:
        arguments: names of the plots; none for all.
    """
    command = [sys.executable, "-m", "dvc", "plots", "show", "--json", *arguments]
    answer = json.loads(subprocess.run(command, check=True, capture_output=True, encoding="utf-8").stdout)
    return {name: drawn[0]["content"] for name, drawn in answer["data"].items() if drawn}


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
