"""Draw docs/usage.png: parts of two pages that `make demo` leaves, side by side.

    make demo && python -m docs.usage

Needs Chromium or Chrome.
"""

from io import BytesIO
from pathlib import Path

from PIL import Image

from bench.browser import browsing

PAGES = Path("build/demo/usage").resolve()
PARTS = ("index.html#days", "accuracy.html")
SIZE = (900, 740)  # of each


def draw() -> Image.Image:
    """Open both pages, and set what they show side by side."""
    with browsing() as browser:
        page = browser.new_page(viewport={"width": SIZE[0], "height": SIZE[1]}, color_scheme="light")
        both = Image.new("RGB", (2 * SIZE[0], SIZE[1]))
        for number, name in enumerate(PARTS):
            page.goto(f"file://{PAGES}/{name}")
            page.evaluate("scrollBy(0, -40)")  # the edge of the part too
            both.paste(Image.open(BytesIO(page.screenshot())), (number * SIZE[0], 0))
    return both


if __name__ == "__main__":
    draw().quantize(128).save("docs/usage.png", optimize=True)
