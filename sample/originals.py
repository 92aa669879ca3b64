"""The handwriting that the sample is made of: scikit-learn's 1,797 digits of 8 x 8 cells, and a rendered zero.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998.
"""

from sklearn.datasets import load_digits

Cells = tuple[tuple[int, ...], ...]

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
FULL = 16  # the ink of a cell that is covered whole
# A bar through a seven reaches at least this many cells that are inked at least half.
_BAR_CELLS = 4

# A zero as a screen shows it; rendered digits are regular, handwriting is not.
RENDERED_ZERO: Cells = tuple(
    tuple(FULL if cell == "#" else 0 for cell in row)
    for row in (
        "..####..",
        ".##..##.",
        ".##..##.",
        ".##..##.",
        ".##..##.",
        ".##..##.",
        ".##..##.",
        "..####..",
    )
)


def load_originals() -> list[list[Cells]]:
    """Load the handwritten digits.

    Returns:
        Per digit, 0 to 9, its originals from the most typical to the least: by the squared distance of their cells
        from the digit's mean, in integers, so that the order is the same on any machine.
    """
    images, digits = load_digits(return_X_y=True)
    originals: list[list[Cells]] = [[] for _ in NAMES]
    for cells, digit in zip(images.astype(int).tolist(), digits.tolist(), strict=True):
        originals[digit].append(tuple(tuple(cells[start : start + 8]) for start in range(0, 64, 8)))
    return [_by_typicality(group) for group in originals]


def has_bar(cells: Cells) -> bool:
    """Tell whether a seven has a bar through its stem."""
    return max(sum(cell >= FULL // 2 for cell in row) for row in cells[3:6]) >= _BAR_CELLS


def _by_typicality(group: list[Cells]) -> list[Cells]:
    flat = [[cell for row in cells for cell in row] for cells in group]
    sums = [sum(column) for column in zip(*flat, strict=True)]

    def distance(number: int) -> tuple[int, int]:
        return sum((len(group) * cell - total) ** 2 for cell, total in zip(flat[number], sums, strict=True)), number

    return [group[number] for number in sorted(range(len(group)), key=distance)]
