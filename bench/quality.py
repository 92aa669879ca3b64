"""Say how well the measures of quality find degraded copies of photos among the untouched ones.

    python -m bench.quality --photos FOLDER [--num 3000] [--limits min_sharpness=own ...]

Each photo is degraded one way at a time, saved as a JPEG again and judged as the pipeline does, by the limits of
params.yaml but for those that --limits sets: by default, what the comments there say of photographs. The limit "own" is
the one that the untouched photos' own distribution gives. Recall is the
share of the degraded copies that have the fault; precision the share of degraded ones among all that have it, with
one copy per photo. AUC compares measures without any limit: 0.5 is chance.
"""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter, ImageOps
from sklearn.metrics import roc_auc_score

from bench.harness import files_in, in_processes, options, print_table
from runtime import parameters
from stages.fingerprint import fingerprint
from stages.images.faults import find_faults, own_limit
from stages.images.fingerprint import grey_of
from stages.images.small import decode_small

PHOTOGRAPHS = ["min_sharpness=own", "min_highlights=0.45", "min_contrast=0.32"]
Change = Callable[[Image.Image], Image.Image]


def blurred(radius: float) -> Change:
    """Blur by Gauss's bell, of so many pixels at a longer side of 320."""
    return lambda image: image.filter(ImageFilter.GaussianBlur(radius * max(image.size) / 320))


def shaken(length: float) -> Change:
    """Smear sideways over so many pixels at a longer side of 320, as a moving hand does."""

    def smear(image: Image.Image) -> Image.Image:
        pixels = np.asarray(image, dtype=np.float32)
        number = round(length * max(image.size) / 320)
        moved = (np.roll(pixels, shift, axis=1) for shift in range(number))
        return Image.fromarray((sum(moved) / number).astype(np.uint8))

    return smear


def darkened(factor: float) -> Change:
    """Multiply all values."""
    return lambda image: image.point(lambda value: value * factor)


def washed_out(factor: float) -> Change:
    """Draw all values towards a light grey."""
    return lambda image: image.point(lambda value: value * factor + (1 - factor) * 190)


# name: fault that it should have, and the change
CHANGES: dict[str, tuple[str, Change]] = {
    **{f"blurred, sigma {radius} px": ("blurred", blurred(radius)) for radius in (1.5, 2, 3, 4)},
    "shaken, 9 px": ("blurred", shaken(9)),
    **{f"darkened to {factor}": ("dark", darkened(factor)) for factor in (0.5, 0.4, 0.3, 0.2)},
    **{f"washed out to {factor}": ("low_contrast", washed_out(factor)) for factor in (0.5, 0.4, 0.3, 0.2)},
    "washed out to 0.02": ("blank", washed_out(0.02)),
}
MEASURES = {
    "blurred": ("sharpness", "variance of Laplacian"),
    "dark": ("highlights", "brightness"),
    "low_contrast": ("contrast", "standard deviation"),
    "blank": ("contrast", "standard deviation"),
}


def measure(image: Image.Image) -> dict[str, object]:
    """Measure a picture as the pipeline does, and as others do."""
    buffer = BytesIO()
    image.save(buffer, "JPEG", quality=85)
    grey = grey_of(decode_small(buffer.getvalue(), 10**9).pixels).astype(np.float64)
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * grey[1:-1, 1:-1]
    others = {"variance of Laplacian": laplacian.var(), "standard deviation": grey.std()}
    return fingerprint(buffer.getvalue(), 10**9) | others


def measure_copies(path: Path) -> list[dict[str, object]]:
    """Measure the untouched photo, and each of its degraded copies."""
    with Image.open(path) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    return [measure(copy) for copy in (image, *(change(image) for _, change in CHANGES.values()))]


def has(faults: pd.Series, fault: str) -> pd.Series:
    """Tell which pictures have a fault."""
    return faults.fillna("").str.split(", ").map(lambda had: fault in had)


def judge(name: str, copies: pd.DataFrame, untouched: pd.DataFrame, limits: parameters.Quality) -> tuple[object, ...]:
    """Judge the photos degraded one way, and the untouched ones; returns a row of the table."""
    fault = CHANGES[name][0]
    right, false = (has(find_faults(photos, limits), fault) for photos in (copies, untouched))
    measures = pd.concat([untouched, copies])[list(MEASURES[fault])].astype(float).fillna(0)
    truth = np.repeat([0, 1], len(copies))
    ours, other = (roc_auc_score(truth, -measures[measure]) for measure in MEASURES[fault])
    precision = right.sum() / max(1, right.sum() + false.sum())
    return name, fault, right.mean(), precision, ours, f"{other:.3f} ({MEASURES[fault][1]})"


def main() -> None:
    """Print the table."""
    asked = options(__doc__, photos=Path, num=3000, limits=PHOTOGRAPHS)
    photos = files_in(asked.photos)[: asked.num]
    measured = zip(*in_processes(measure_copies, photos, 8), strict=True)
    untouched, *copies = (pd.DataFrame(rows) for rows in measured)
    given = dict(limit.split("=") for limit in asked.limits)
    # Copies are judged by the limit that the untouched photos give.
    values = {
        name: own_limit(untouched["sharpness"]) if value == "own" else float(value) for name, value in given.items()
    }
    limits = parameters.Quality(**(parameters.read(parameters.Quality).model_dump() | values))
    faults = find_faults(untouched, limits)
    print(f"{len(photos):,} photos; of the untouched ones are suspected:")
    print("  " + ", ".join(f"{fault} {has(faults, fault).mean():.1%}" for fault in MEASURES) + "\n")
    print_table(
        ["degraded", "fault", "recall", "precision", "AUC", "AUC of what else is used"],
        [judge(name, copy, untouched, limits) for name, copy in zip(CHANGES, copies, strict=True)],
    )


if __name__ == "__main__":
    main()
