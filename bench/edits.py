"""Measure how many edited photos are found again, and how many untouched ones are taken for each other.

    python -m bench.edits PHOTOS [--plot docs/measurements/duplicates/edits.png]

PHOTOS is the clothing archive, unpacked. What the stage does is compared with the hash alone, in one run.
"""

import io
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from bench.alike import MOST_PIXELS, best, candidates, planes_of
from bench.harness import files_in, in_processes, options, print_table, save_chart
from runtime import parameters
from stages.duplicates.similarity import similarity
from stages.duplicates.turns import TURNS, turned_back
from stages.fingerprint import fingerprint

QUALITY = 90
RADII = np.arange(0, 21, 2)
CUTS = np.round(np.arange(0.80, 1.0001, 0.005), 3)
WAYS = ("bits that may differ, the hash alone", "least similarity, of pairs within the radius")
Edit = Callable[[Image.Image], Image.Image]


def cropped(image: Image.Image, fraction: float) -> Image.Image:
    """Cut off a fraction of the width and of the height, half of it on each side."""
    x, y = round(image.width * fraction / 2), round(image.height * fraction / 2)
    return image.crop((x, y, image.width - x, image.height - y))


EDITS: dict[str, Edit] = {
    "rescaled to a quarter": lambda image: image.resize((max(1, image.width // 4), max(1, image.height // 4))),
    "JPEG quality 10": lambda image: image,
    "brightness 0.6": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "brightness 1.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "mirrored": ImageOps.mirror,
    "half turn": lambda image: image.transpose(Image.Transpose.ROTATE_180),
    "quarter turn": lambda image: image.transpose(Image.Transpose.ROTATE_90),
    "quarter turn back": lambda image: image.transpose(Image.Transpose.ROTATE_270),
    "cropped by 2.5 % a side": partial(cropped, fraction=0.05),
    "turned by 3 degrees": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
    "cropped by 5 % a side": partial(cropped, fraction=0.10),
}
# The recall that a library needs: the aim, not a result.
AIMS = dict.fromkeys(EDITS, 0.99) | {
    "cropped by 2.5 % a side": 0.95,
    "turned by 3 degrees": 0.90,
    "cropped by 5 % a side": 0.60,
}


class Edited(NamedTuple):
    """How the copies of all photos by one edit compare with the photos: one row per turn, one column per photo."""

    distance: NDArray[np.int64]
    similarity: NDArray[np.float64]

    def alone(self, radius: int) -> float:
        """Share within a radius, as the copies stand."""
        return float((self.distance[0] <= radius).mean())

    def candidates(self, radius: int) -> float:
        """Share within a radius in some turn."""
        return float((self.distance <= radius).any(0).mean())

    def found(self, radius: int, cut: float) -> float:
        """Share within a radius and similar enough in one turn."""
        return float(((self.distance <= radius) & (self.similarity >= cut)).any(0).mean())


def encoded(image: Image.Image, quality: int = QUALITY) -> bytes:
    """Encode as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def fingerprints(path: Path) -> list[tuple[int, bytes]]:
    """Hash and thumbnail of a photo as it is, and of each edit, as the stage takes them of files."""
    data = path.read_bytes()
    with Image.open(io.BytesIO(data)) as opened:
        image = ImageOps.exif_transpose(opened).convert("RGB")
    files = [encoded(edit(image), 10 if name == "JPEG quality 10" else QUALITY) for name, edit in EDITS.items()]
    rows = (fingerprint(file, MOST_PIXELS) for file in (data, *files))
    return [(row["phash"], row["thumbnail"]) for row in rows]


def compare(photos: pd.DataFrame, copies: pd.DataFrame, params: parameters.Dedup) -> Edited:
    """Compare each photo with its copy in every turn."""
    count = len(photos)
    planes, rows = planes_of(pd.concat([photos, copies])), np.arange(count)
    forms = turned_back(photos["phash"].to_numpy(np.uint64))
    return Edited(
        np.bitwise_count(forms.T ^ copies["phash"].to_numpy(np.uint64)).astype(np.int64),
        np.stack(
            [similarity(planes, rows, rows + count, np.full(count, turn), params.colour) for turn in range(len(TURNS))]
        ),
    )


def pairs_by_hash(hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
    """Count the pairs within each radius from 0 to 64, as they stand."""
    counts = np.zeros(65, np.int64)
    for row in range(len(hashes)):
        counts += np.bincount(np.bitwise_count(hashes[row] ^ hashes[row + 1 :]), minlength=65)
    return np.cumsum(counts)


def recall_rows(edited: dict[str, Edited], radius: int) -> Iterator[dict[str, object]]:
    """Yield the recall of groups of edits, the least in each, by both ways."""
    groups = {
        "rescaled, JPEG 10, brighter, darker, grey (the least)": list(EDITS)[:5],
        "mirrored and turned by quarters (the least)": list(EDITS)[5:9],
        **{name: [name] for name in list(EDITS)[9:]},
    }
    for group, names in groups.items():
        members = [edited[name] for name in names]
        for x in RADII.tolist():
            yield {"way": WAYS[0], "edit": group, "x": x, "share": min(each.alone(x) for each in members)}
        for x in CUTS.tolist():
            yield {"way": WAYS[1], "edit": group, "x": x, "share": min(each.found(radius, x) for each in members)}


def plot(
    edited: dict[str, Edited],
    alone: NDArray[np.int64],
    similarity: NDArray[np.float64],
    params: parameters.Dedup,
    path: Path,
) -> None:
    """Draw recall over the radius of the hash alone, and over the least similarity; dashed, the untouched pairs."""
    rows = [*recall_rows(edited, params.distance)]
    rows += [{"way": WAYS[0], "x": x, "pairs": int(alone[x])} for x in RADII.tolist()]
    rows += [{"way": WAYS[1], "x": cut, "pairs": int((similarity >= cut).sum())} for cut in CUTS.tolist()]
    rows += [{"way": way, "mark": mark} for way, mark in zip(WAYS, (8, params.similarity), strict=True)]
    x = {"field": "x", "type": "quantitative", "title": None, "scale": {"zero": False}}
    share = {"field": "share", "type": "quantitative", "title": "edited photos that are found again"}
    pairs = {"field": "pairs", "type": "quantitative", "title": "pairs among untouched photos (dashed)"}
    layers = [
        ("datum.share != null", "line", {"x": x, "y": share, "color": {"field": "edit", "sort": None}}),
        (
            "datum.pairs > 0",
            {"type": "line", "strokeDash": [5, 4], "color": "black"},
            {"x": x, "y": pairs | {"scale": {"type": "log"}}},
        ),
        ("datum.mark != null", "rule", {"x": {"field": "mark", "type": "quantitative"}}),
    ]
    panel = {
        "width": 380,
        "height": 320,
        "layer": [{"transform": [{"filter": rows}], "mark": mark, "encoding": axes} for rows, mark, axes in layers],
        "resolve": {"scale": {"y": "independent"}},
    }
    panels = [{"title": way, "transform": [{"filter": {"field": "way", "equal": way}}], **panel} for way in WAYS]
    frame = pd.DataFrame(rows).astype(object)
    save_chart(path, frame.where(frame.notna(), None), {"hconcat": panels})


def report(
    edited: dict[str, Edited],
    untouched: int,
    alone: NDArray[np.int64],
    similarity: NDArray[np.float64],
    params: parameters.Dedup,
) -> None:
    """Print the shares that are found again, and how many untouched pairs are."""
    least = params.similarity
    rows: list[tuple[object, ...]] = [
        (name, AIMS[name], each.alone(8), each.candidates(params.distance), each.found(params.distance, least))
        for name, each in edited.items()
    ]
    counts = 10, alone[8], len(similarity), (similarity >= least).sum()
    print_table(
        ["edit", "aim", "hash alone, 8 bits", "within the radius, any turn", "found"],
        [*rows, (f"pairs among {untouched:,} untouched photos", *counts)],
    )
    num_pairs = untouched * (untouched - 1) / 2
    shares = ", ".join(f"{radius}: {alone[radius] / num_pairs:.1e}" for radius in (4, 8, 10, 12, 14))
    print(f"\nshare of all pairs within a radius: {shares}")


def main() -> None:
    """Run the command."""
    asked = options(__doc__, "photos", plot=None)
    params = parameters.read(parameters.Dedup)
    rows = in_processes(fingerprints, files_in(asked.photos))
    tables = [pd.DataFrame(column, columns=["phash", "thumbnail"]) for column in zip(*rows, strict=True)]
    edited = {name: compare(tables[0], table, params) for name, table in zip(EDITS, tables[1:], strict=True)}
    similarity = best(candidates(tables[0], params.distance), params.colour).to_numpy()
    alone = pairs_by_hash(tables[0]["phash"].to_numpy(np.uint64))
    report(edited, len(rows), alone, similarity, params)
    if asked.plot:
        plot(edited, alone, similarity, params, asked.plot)


if __name__ == "__main__":
    main()
