"""Measure how many edited photos are found again, and how many untouched ones are taken for each other.

    python -m bench.edits PHOTOS [--every 1] [--plot docs/measurements/duplicates/edits.png]

PHOTOS is the clothing archive, unpacked. What the stage does is compared with the hash alone, in one run. A copy is
added to the untouched photos alone, and found if hashes or neighbours lead to its original and thumbnails agree. With
`--every 10` only each tenth photo is edited: embedding takes the time. data/pretrained holds the frozen network.
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
from bench.embedded import NETWORK, embed
from bench.harness import files_in, in_processes, options, print_table, save_chart
from runtime import parameters
from stages.duplicates.copies import LEAST_AGREEMENT, are_copies, compare_neighbours, looks_in
from stages.duplicates.neighbours import rounded
from stages.duplicates.registration import register
from stages.duplicates.similarity import similarity
from stages.duplicates.turns import TURNS, turned_back
from stages.embeddings.vectors import units
from stages.fingerprint import fingerprint
from stages.tables.pretrained import Published, read_published

QUALITY = 90
RADII = np.arange(0, 21, 2)
CUTS = np.round(np.arange(0.80, 1.0001, 0.005), 3)
WAYS = ("bits that may differ, the hash alone", "least similarity, of pairs within the radius")
Edit = Callable[[Image.Image], Image.Image]


def cropped(image: Image.Image, fraction: float) -> Image.Image:
    """Cut off a fraction of the width on the left and on the right, and of the height above and below."""
    x, y = round(image.width * fraction), round(image.height * fraction)
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
    "2.5 % off each side": partial(cropped, fraction=0.025),
    "turned by 3 degrees": lambda image: image.rotate(3, Image.Resampling.BICUBIC),
    "5 % off each side": partial(cropped, fraction=0.05),
    "10 % off each side": partial(cropped, fraction=0.10),
    "turned by 25 degrees": lambda image: image.rotate(25, Image.Resampling.BICUBIC),
}
# The recall that a library needs: the aim, not a result.
AIMS = dict.fromkeys(EDITS, 0.99) | {
    "2.5 % off each side": 0.95,
    "turned by 3 degrees": 0.90,
    "5 % off each side": 0.95,
    "10 % off each side": 0.80,
    "turned by 25 degrees": 0.60,
}


class Edited(NamedTuple):
    """How the copies by one edit compare with the photos.

    Attributes:
        distance: one row per turn, one column per copy.
        similarity: likewise.
        neighbour: one per copy: whether it and the photo are neighbours.
        registered: one per copy: the correlation of their edges, 0 where their colours disagree.
    """

    distance: NDArray[np.int64]
    similarity: NDArray[np.float64]
    neighbour: NDArray[np.bool_]
    registered: NDArray[np.float64]

    def alone(self, radius: int) -> float:
        """Share within a radius, as the copies stand."""
        return float((self.distance[0] <= radius).mean())

    def candidates(self, radius: int) -> float:
        """Share within a radius in some turn."""
        return float((self.distance <= radius).any(0).mean())

    def by_hash(self, radius: int, cut: float) -> NDArray[np.bool_]:
        """Which are within a radius and similar enough in one turn."""
        return ((self.distance <= radius) & (self.similarity >= cut)).any(0)

    def found(self, radius: int, similarity: float, edges: float) -> float:
        """Share that is found in either way."""
        return float((self.by_hash(radius, similarity) | self.neighbour & (self.registered >= edges)).mean())


def encoded(image: Image.Image, quality: int = QUALITY) -> bytes:
    """Encode as JPEG."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def looks(path: Path, edited: frozenset[Path], published: Published) -> list[dict[str, object]]:
    """What the stages take of a photo as it is, and of each edit."""
    data = path.read_bytes()
    files = [data]
    if path in edited:
        with Image.open(io.BytesIO(data)) as opened:
            image = ImageOps.exif_transpose(opened).convert("RGB")
        files += [encoded(edit(image), 10 if name == "JPEG quality 10" else QUALITY) for name, edit in EDITS.items()]
    columns = ("phash", "pixels", "thumbnail", "width", "height")
    rows = []
    for file in files:
        row = fingerprint(file, MOST_PIXELS)
        embedding = embed(file, published.graph_sha256, published.side)
        rows.append({name: row[name] for name in columns} | {"embedding": embedding})
    return rows


def compare(photos: pd.DataFrame, edited: NDArray[np.int64], copies: pd.DataFrame, params: parameters.Dedup) -> Edited:
    """Compare copies with the photos that they are of, in every turn, and as neighbours among all photos."""
    originals, count = photos.iloc[edited], len(copies)
    both = pd.concat([originals, copies])
    planes, rows = planes_of(both), np.arange(count)
    forms = turned_back(originals["phash"].to_numpy(np.uint64))
    edges, colours, _ = register(looks_in(both), rows, rows + count).T
    return Edited(
        np.bitwise_count(forms.T ^ copies["phash"].to_numpy(np.uint64)).astype(np.int64),
        np.stack(
            [similarity(planes, rows, rows + count, np.full(count, turn), params.colour) for turn in range(len(TURNS))]
        ),
        are_neighbours(vectors_in(photos), edited, vectors_in(copies), params.neighbours),
        np.where(colours >= LEAST_AGREEMENT, edges, 0.0),
    )


def vectors_in(rows: pd.DataFrame) -> NDArray[np.float32]:
    """The embeddings of a table, of length 1."""
    return units(np.stack(rows["embedding"].to_list()))


def are_neighbours(
    vectors: NDArray[np.float32], edited: NDArray[np.int64], copies: NDArray[np.float32], number: int
) -> NDArray[np.bool_]:
    """Whether a copy is among the nearest of its photo, or the photo among those of the copy."""
    all_, own = rounded(vectors), rounded(vectors)[edited]
    cosine = (own * rounded(copies)).sum(1)
    nearer_to_photo = (own @ all_.T > cosine[:, None]).sum(1) - 1  # itself
    nearer_to_copy = (rounded(copies) @ all_.T > cosine[:, None]).sum(1)
    return np.minimum(nearer_to_photo, nearer_to_copy) < number


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
            yield {"way": WAYS[1], "edit": group, "x": x, "share": min(each.found(radius, x, x) for each in members)}


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


def untouched(photos: pd.DataFrame, params: parameters.Dedup) -> tuple[pd.Series, pd.Series]:
    """The similarity of untouched pairs within the radius, and the edges' correlation of neighbours; by their rows."""
    by_hash = best(candidates(photos, params.distance), params.colour)
    named = photos.assign(image_id=[f"{row:032x}" for row in range(len(photos))])
    compared = compare_neighbours(named, vectors_in(photos), params)
    copies = compared[are_copies(compared, params.model_copy(update={"edges": 0.0}))]
    return by_hash, copies.set_index(["first", "second"])["edges"]


def report(
    edited: dict[str, Edited],
    alone: NDArray[np.int64],
    similarities: tuple[pd.Series, pd.Series],
    params: parameters.Dedup,
) -> None:
    """Print the shares that are found again, and how many untouched pairs are."""
    radius, least = params.distance, params.similarity
    rows: list[tuple[object, ...]] = [
        (
            name,
            AIMS[name],
            each.alone(8),
            each.candidates(radius),
            float(each.by_hash(radius, least).mean()),
            float(each.neighbour.mean()),
            each.found(radius, least, params.edges),
        )
        for name, each in edited.items()
    ]
    by_hash, registered = similarities
    first, second = by_hash[by_hash >= least], registered[registered >= params.edges]
    counts = 10, alone[8], len(by_hash), len(first), len(second), len(first.index.union(second.index))
    columns = ["hash alone, 8 bits", "within the radius, any turn", "found by hash", "neighbours", "found"]
    print_table(["edit", "aim", *columns], [*rows, ("pairs among the untouched photos", *counts)])
    print("\nuntouched, by hash: " + _pairs(first) + "\nneighbours: " + _pairs(second))


def _pairs(found: pd.Series) -> str:
    return ", ".join(f"{a}-{b} {value:.3f}" for (a, b), value in found.items())


def print_shares(untouched: int, alone: NDArray[np.int64]) -> None:
    """Print how many pairs of unrelated photos are within some radii."""
    num_pairs = untouched * (untouched - 1) / 2
    shares = ", ".join(f"{radius}: {alone[radius] / num_pairs:.1e}" for radius in (4, 8, 10, 12, 14))
    print(f"\nshare of all pairs within a radius: {shares}")


def main() -> None:
    """Run the command."""
    asked = options(__doc__, "photos", every=1, plot=None)
    params, published = parameters.read(parameters.Dedup), read_published(NETWORK)
    paths = files_in(asked.photos)
    edited = np.arange(0, len(paths), asked.every)
    work = partial(looks, edited=frozenset(paths[row] for row in edited), published=published)
    rows = in_processes(work, paths)
    photos = pd.DataFrame([each[0] for each in rows])
    copies = (pd.DataFrame(each) for each in zip(*(rows[row][1:] for row in edited), strict=True))
    compared = {name: compare(photos, edited, table, params) for name, table in zip(EDITS, copies, strict=True)}
    similarities = untouched(photos, params)
    alone = pairs_by_hash(photos["phash"].to_numpy(np.uint64))
    report(compared, alone, similarities, params)
    print_shares(len(photos), alone)
    if asked.plot:
        highest = pd.concat(similarities).groupby(level=[0, 1]).max()
        plot(compared, alone, highest.to_numpy(), params, asked.plot)


if __name__ == "__main__":
    main()
