"""Measure how well near-duplicates are found, by people's judgement, next to other ways to find them.

    python -m bench.duplicates PICTURES [--plot docs/measurements/duplicates/judged.png]
    python -m bench.duplicates PICTURES --neighbours 500

PICTURES is the archive cifar10_near_duplicates, unpacked. Each way is fitted on one half of the pairs, chosen by a hash
of their names, and measured on the other: its cut, and of ours the radius and the weight of the colours too. Every pair
that nobody judged counts as false; then all is measured once more with the judgements of
docs/measurements/duplicates/judged.csv added.

With --neighbours, the pictures that were judged and so many others are embedded by the network of data/pretrained, and
what hashes find is compared with what hashes or neighbours find, as params.yaml has it.
"""

import csv
import hashlib
import io
from functools import partial
from pathlib import Path
from typing import NamedTuple

import imagehash
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from bench.alike import MOST_PIXELS, Candidates, best, candidates
from bench.embedded import NETWORK, embed
from bench.harness import files_in, in_processes, options, print_table, save_chart
from runtime import parameters
from stages.duplicates.copies import are_copies, compare_neighbours
from stages.embeddings.vectors import units
from stages.fingerprint import fingerprint
from stages.tables.pretrained import Published, read_published

JUDGED = Path("docs/measurements/duplicates/judged.csv")
AS_IT_IS = "ours, as params.yaml has it, nothing fitted"
DUPLICATE = 1  # 2: a look-alike, 0: neither
RADII, COLOURS = (12, 14, 16), (0.0, 0.03, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3)  # what ours is fitted over
SEED = 0
LONG_RADIUS = 80  # of the 256 bits of a long hash
Judgements = dict[tuple[str, str], int]


class Scores(NamedTuple):
    """A way to find duplicates: how sure it is of each pair, unnamed ones not at all."""

    name: str
    pairs: list[tuple[str, str]]
    score: NDArray[np.float64]


class Found(NamedTuple):
    """What a cut finds."""

    f1: float
    precision: float
    recall: float
    cut: float


def half_of(pair: tuple[str, str]) -> int:
    """Choose a pair's half by a hash of its names."""
    return hashlib.md5(" ".join(pair).encode(), usedforsecurity=False).digest()[0] % 2


def read_judgements(path: Path) -> Judgements:
    """Read what people judged, the smaller name of each pair first."""
    with path.open() as file:
        pairs = {tuple(sorted((row["image_a"], row["image_b"]))): row["judgment"] for row in csv.DictReader(file)}
        return {(a, b): int(judgment) for (a, b), judgment in pairs.items()}


def curve(scores: Scores, truth: Judgements, half: int | None) -> tuple[NDArray[np.float64], ...]:
    """Cuts from the highest, and F1, precision and recall of what scores at least each; of one half or all."""
    inside = np.array([half in (None, half_of(pair)) for pair in scores.pairs])
    right = np.array([truth.get(pair) == DUPLICATE for pair in scores.pairs])[inside]
    score = scores.score[inside]
    total = sum(judgement == DUPLICATE and half in (None, half_of(pair)) for pair, judgement in truth.items())
    order = np.argsort(-score, kind="stable")
    last = np.append(np.flatnonzero(np.diff(score[order])), len(order) - 1)  # of each score
    num_right, num_found = np.cumsum(right[order])[last], last + 1
    return score[order][last], 2 * num_right / (num_found + total), num_right / num_found, num_right / total


def best_cut(scores: Scores, truth: Judgements, half: int | None) -> Found:
    """Find the cut with the best F1."""
    cuts, f1, precision, recall = curve(scores, truth, half)
    row = int(np.argmax(f1))
    return Found(float(f1[row]), float(precision[row]), float(recall[row]), float(cuts[row]))


def at_cut(scores: Scores, truth: Judgements, half: int | None, cut: float) -> Found:
    """Measure a cut."""
    cuts, f1, precision, recall = curve(scores, truth, half)
    row = int(np.flatnonzero(cuts >= cut)[-1])
    return Found(float(f1[row]), float(precision[row]), float(recall[row]), cut)


def fingerprints(path: Path) -> dict[str, object]:
    """What the stage takes of a file, and what the alternatives need."""
    data = path.read_bytes()
    image = Image.open(io.BytesIO(data)).convert("RGB")
    small = np.asarray(image.resize((16, 16), Image.Resampling.LANCZOS), np.float64).ravel()
    return fingerprint(data, MOST_PIXELS) | {
        "long_hash": np.packbits(imagehash.phash(image, hash_size=16).hash).view(np.uint64),
        "colours": (small - small.mean()) / max(1e-9, float(small.std())),
    }


def ways(rows: pd.DataFrame, names: list[str], params: parameters.Dedup) -> tuple[list[Scores], list[Scores]]:
    """Score the pairs: by the alternatives, and by ours as params.yaml has it and with every radius and weight."""
    near = candidates(rows, max(RADII))
    upright = Candidates(*(column[near.turn == 0] for column in near))
    pairs = _named(names, upright.first, upright.second)
    colours = np.stack(rows["colours"].to_list())
    correlation = (colours[upright.first] * colours[upright.second]).mean(1)
    correlation[upright.distance > params.distance] = -1
    alternatives = [
        Scores("hash alone, 64 bits", pairs, -upright.distance.astype(float)),
        Scores("hash alone, 256 bits", *_long(np.stack(rows["long_hash"].to_list()), names)),
        Scores(f"{params.distance} bits, then correlation of 16 x 16 colours", pairs, correlation),
    ]
    settings = [(params.distance, params.colour), *((radius, colour) for radius in RADII for colour in COLOURS)]
    ours = [
        Scores(f"ours ({radius} bits, colours {colour})", *_ours(names, near, radius, colour))
        for radius, colour in settings
    ]
    return alternatives, ours


def _ours(
    names: list[str], near: Candidates, radius: int, colour: float
) -> tuple[list[tuple[str, str]], NDArray[np.float64]]:
    similarity = best(Candidates(*(column[near.distance <= radius] for column in near)), colour)
    first, second = (similarity.index.get_level_values(level).to_numpy() for level in (0, 1))
    return _named(names, first, second), similarity.to_numpy()


def _named(names: list[str], first: NDArray[np.int64], second: NDArray[np.int64]) -> list[tuple[str, str]]:
    return [(names[a], names[b]) for a, b in zip(first.tolist(), second.tolist(), strict=True)]


def _long(hashes: NDArray[np.uint64], names: list[str]) -> tuple[list[tuple[str, str]], NDArray[np.float64]]:
    pairs, scores = [], []
    for row in range(len(hashes)):
        distance = np.bitwise_count(hashes[row] ^ hashes[row + 1 :]).sum(1, dtype=np.int64)
        near = np.flatnonzero(distance <= LONG_RADIUS)
        pairs += [(names[row], names[row + 1 + other]) for other in near]
        scores.append(-distance[near].astype(float))
    return pairs, np.concatenate(scores)


def report(alternatives: list[Scores], ours: list[Scores], truth: Judgements, params: parameters.Dedup) -> None:
    """Print what each way reaches: fitted on a half and measured on the other, both ways round, and fitted on all."""
    base = best_cut(alternatives[0], truth, None).f1
    rows = []
    for scores in alternatives:
        halves = [at_cut(scores, truth, 1 - half, best_cut(scores, truth, half).cut) for half in (0, 1)]
        rows.append(_row(scores.name, halves, best_cut(scores, truth, None), base))
    fitted = [max(ours, key=lambda scores, half=half: best_cut(scores, truth, half).f1) for half in (0, 1, None)]
    halves = [at_cut(fitted[half], truth, 1 - half, best_cut(fitted[half], truth, half).cut) for half in (0, 1)]
    chosen = "; ".join(scores.name.removeprefix("ours ") for scores in fitted)
    rows.append(_row(f"ours, fitted {chosen}", halves, best_cut(fitted[2], truth, None), base))
    *halves, everything = [at_cut(ours[0], truth, half, params.similarity) for half in (1, 0, None)]
    rows.append(_row(AS_IT_IS, halves, everything, base))
    columns = ["fitted on one half, F1 on the other", "the other way round", "best F1 on all", "times the hash alone"]
    print_table(["way", *columns], rows)


def _row(name: str, halves: list[Found], everything: Found, base: float) -> tuple[object, ...]:
    cells = [
        f"{found.f1:.3f} (precision {found.precision:.2f}, recall {found.recall:.2f}, from {found.cut:.3f})"
        for found in (*halves, everything)
    ]
    return name, *cells, everything.f1 / base


def report_neighbours(
    rows: pd.DataFrame, names: list[str], truths: dict[str, Judgements], params: parameters.Dedup
) -> None:
    """Print what hashes find, and what hashes or neighbours find."""
    by_hash = best(candidates(rows, params.distance), params.colour)
    first, second = (by_hash.index[by_hash >= params.similarity].get_level_values(level).to_numpy() for level in (0, 1))
    hashed = set(_named(names, first, second))
    named = rows.assign(image_id=[f"{row:032x}" for row in range(len(rows))])
    compared = compare_neighbours(named, units(np.stack(rows["embedding"].to_list())), params)
    copies = compared[are_copies(compared, params)]
    either = hashed | set(_named(names, copies["first"].to_numpy(), copies["second"].to_numpy()))
    cells = []
    for title, truth in truths.items():
        total = sum(value == DUPLICATE for value in truth.values())
        for way, found in (("hashes", hashed), ("hashes or neighbours", either)):
            right, judged = (sum(test(truth.get(pair)) for pair in found) for test in (_is_right, _is_judged))
            cells.append(
                (title, way, len(found), right, judged - right, len(found) - judged, 2 * right / (len(found) + total))
            )
    print_table(["truth", "way", "pairs", "right", "wrong", "not judged", "F1"], cells)


def _is_right(judgement: int | None) -> bool:
    return judgement == DUPLICATE


def _is_judged(judgement: int | None) -> bool:
    return judgement is not None


def embedded(path: Path, published: Published) -> dict[str, object]:
    """What the stages take of a file."""
    data = path.read_bytes()
    return fingerprint(data, MOST_PIXELS) | {"embedding": embed(data, published.graph_sha256, published.side)}


def plot(compared: list[Scores], truths: dict[str, Judgements], cut: float, path: Path) -> None:
    """Draw precision over recall, and a point where params.yaml cuts the last of the ways."""
    curves = []
    for title, truth in truths.items():
        for scores in compared:
            _, _, precision, recall = curve(scores, truth, None)
            curves.append(pd.DataFrame({"recall": recall, "precision": precision, "way": scores.name, "truth": title}))
        found = at_cut(compared[-1], truth, None, cut)
        curves.append(pd.DataFrame({"recall": [found.recall], "precision": found.precision, "way": AS_IT_IS}))
        curves[-1]["truth"] = title
    encoding = {
        "x": {"field": "recall", "type": "quantitative"},
        "y": {"field": "precision", "type": "quantitative"},
        "order": {"field": "recall"},
        "color": {"field": "way", "sort": None},
    }
    point = {"mark": "point", "transform": [{"filter": {"field": "way", "equal": AS_IT_IS}}]}
    panel = {"width": 380, "height": 320, "encoding": encoding, "layer": [{"mark": "line"}, point]}
    save_chart(
        path,
        pd.concat(curves),
        {"facet": {"column": {"field": "truth", "title": None, "sort": [*truths]}}, "spec": panel},
    )


def main() -> None:
    """Run the command."""
    asked = options(__doc__, "pictures", plot=None, neighbours=0)
    params = parameters.read(parameters.Dedup)
    paths = {path.relative_to(asked.pictures).as_posix(): path for path in files_in(asked.pictures)}
    judged = read_judgements(asked.pictures / "duplicates.csv")
    completed = judged | read_judgements(JUDGED)
    truths = {"what nobody judged is false": judged, "completed": completed}
    if asked.neighbours:
        known = {name for pair in completed for name in pair}
        others = np.random.default_rng(SEED).choice(sorted(paths.keys() - known), asked.neighbours, replace=False)
        names = sorted(known.union(others))
        work = partial(embedded, published=read_published(NETWORK))
        rows = pd.DataFrame(in_processes(work, [paths[name] for name in names]))
        report_neighbours(rows, names, truths, params)
        return
    names = list(paths)
    rows = pd.DataFrame(in_processes(fingerprints, list(paths.values()), 64))
    alternatives, ours = ways(rows, names, params)
    for title, truth in truths.items():
        print(f"\n{title}: {sum(value == DUPLICATE for value in truth.values())} duplicates\n")
        report(alternatives, ours, truth, params)
    if asked.plot:
        titles = {"What nobody judged counts as false": judged, "Completed by judging what is found": completed}
        plot([*alternatives, ours[0]], titles, params.similarity, asked.plot)


if __name__ == "__main__":
    main()
