"""Time the exact search of near hashes next to the alternatives, and take their peak memory.

    python -m bench.pairs [--sizes 60000 200000 1000000] [--repeats 3] [--alternatives PYTHON]

Hashes are drawn with a seed: half of the bits set, as in perceptual hashes, every tenth like the one before it but for
a few bits. All run in turn, each in a process of its own over all cores, with everything compiled before the clock
starts; the ratio is that of the medians. At 14 bits, the radius that the stage uses, unless the line says otherwise: a
band join at 14 would have bands of four bits. What finds all pairs must find the same number. What would run for hours
is timed on fewer hashes and scaled with their square. PYTHON has faiss-cpu and imagededup in addition to what this
repository needs (`pip install faiss-cpu`, `pip install --no-deps imagededup`); by default it is the one that runs this.
"""

import statistics
import sys
from collections.abc import Callable, Iterator
from functools import partial
from itertools import pairwise
from typing import NamedTuple
from unittest.mock import MagicMock

import numpy as np
from numpy.typing import NDArray

from bench.harness import in_turn, options, print_table, run, timed
from runtime.workers import over_shared
from stages.duplicates.pairs import Pairs, near_pairs
from stages.duplicates.turns import turned_back

Hashes = NDArray[np.uint64]
SEED = 4
RADIUS = 14
BAND_RADIUS = 8  # of the band join
PIECE = 1 << 28  # comparisons in a piece of work, as in stages/dedup.py


def draw(size: int) -> Hashes:
    """Draw hashes."""
    rng = np.random.default_rng(SEED)
    hashes = np.empty(size, np.uint64)
    for start in range(0, size, 10_000):
        block = hashes[start : start + 10_000]
        order = np.argsort(rng.random((len(block), 64), dtype=np.float32), axis=1)
        block[:] = np.packbits(order < 32, axis=1).view(np.uint64).ravel()
        block[10::10] = block[9:-1:10]
        for _ in range(6):
            block[10::10] ^= np.uint64(1) << rng.integers(0, 64, len(block[10::10]), dtype=np.uint64)
    return hashes


def ours(hashes: Hashes, forms: NDArray[np.uint64], radius: int) -> int:
    """Search as the stage `dedup` does; the pairs are kept."""
    step = max(1, PIECE // forms.size)
    pieces = range(0, len(hashes), step)
    search = partial(_piece, forms, hashes, radius, step)
    return sum(len(pairs.first) for pairs in list(over_shared(search, pieces, "pieces")))


def _piece(forms: NDArray[np.uint64], hashes: Hashes, radius: int, step: int, start: int) -> Pairs:
    return near_pairs(forms, hashes, radius, start, min(start + step, len(hashes)))


def as_they_stand(hashes: Hashes) -> int:
    """Ours, of pictures as they stand."""
    return ours(hashes, hashes[:, None], RADIUS)


def in_every_turn(hashes: Hashes) -> int:
    """Ours, in all eight turns."""
    return ours(hashes, turned_back(hashes), RADIUS)


def faiss_flat(hashes: Hashes) -> int:
    """Let faiss compare all with all, each pair twice."""
    import faiss

    codes = hashes.view(np.uint8).reshape(-1, 8)
    index = faiss.IndexBinaryFlat(64)
    index.add(codes)
    limits, _, _ = index.range_search(codes, RADIUS + 1)
    return (int(limits[-1]) - len(hashes)) // 2


def faiss_multi_hash(hashes: Hashes) -> int:
    """Use faiss's index of four tables of 16 bits, with every code within 3 bits looked up: exact at 14 or 15."""
    import faiss

    codes = hashes.view(np.uint8).reshape(-1, 8)
    index = faiss.IndexBinaryMultiHash(64, 4, 16)
    index.nflip = RADIUS // 4
    index.add(codes)
    limits, _, _ = index.range_search(codes, RADIUS + 1)
    return (int(limits[-1]) - len(hashes)) // 2


def band_join(hashes: Hashes) -> int:
    """Nine bands in numpy: hashes within 8 bits have one in common."""
    close = []
    bounds = np.linspace(0, 64, BAND_RADIUS + 2).astype(int)
    for low, high in pairwise(bounds.tolist()):
        band = hashes >> np.uint64(low) & np.uint64((1 << (high - low)) - 1)
        order = np.argsort(band, kind="stable")
        ends = np.searchsorted(band[order], np.arange((1 << (high - low)) + 1))
        for first, last in pairwise(ends.tolist()):
            members = np.sort(order[first:last])
            for start in range(0, len(members), 256):
                rows = members[start : start + 256]
                near = np.bitwise_count(hashes[rows, None] ^ hashes[None, members[start:]]) <= BAND_RADIUS
                a, b = np.nonzero(near)
                close.append((rows[a] * len(hashes) + members[start:][b])[rows[a] < members[start:][b]])
    return len(np.unique(np.concatenate(close)))


def imagededup(hashes: Hashes) -> int:
    """Search as `find_duplicates` of imagededup does by default."""
    # Its networks, which need torch, take no part.
    sys.modules["imagededup.utils.models"] = MagicMock()
    from imagededup.handlers.search.retrieval import HashEval

    names = {str(number): f"{value:016x}" for number, value in enumerate(hashes.tolist())}
    search = HashEval(names, names, _distance, verbose=False, threshold=RADIUS)
    return sum(map(len, search.retrieve_results().values())) // 2


def _distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


# Name, function, and the most hashes it is timed on.
CONTENDERS: dict[str, tuple[Callable[[Hashes], int], int]] = {
    "ours": (as_they_stand, 10**9),
    "ours, all eight turns": (in_every_turn, 10**9),
    "faiss IndexBinaryFlat": (faiss_flat, 10**9),
    "faiss IndexBinaryMultiHash": (faiss_multi_hash, 20_000),
    "band join in numpy, radius 8": (band_join, 200_000),
    "imagededup, as it comes": (imagededup, 5_000),
}
NOT_ALL_OF_THESE = ("ours, all eight turns", "band join in numpy, radius 8")


class Search(NamedTuple):
    """What one run of a contender took: seconds by the clock once all is compiled, pairs, and megabytes at the peak."""

    seconds: float
    pairs: int
    megabytes: float


def one(name: str, size: int) -> None:
    """Time one contender, and print seconds and pairs."""
    function, _ = CONTENDERS[name]
    hashes, pairs = draw(size), []
    function(hashes[:300])
    cost = timed(lambda: pairs.append(function(hashes)))
    print(cost.clock, pairs[0])


def search(name: str, size: int, python: str) -> Search:
    """Run one contender in a process of its own."""
    cost = run(python, "-m", "bench.pairs", "--one", name, "--sizes", str(min(size, CONTENDERS[name][1])))
    seconds, pairs = cost.output.split()
    return Search(float(seconds), int(pairs), cost.peak_bytes / 1e6)


def race(size: int, repeats: int, python: str) -> Iterator[tuple[object, ...]]:
    """Run all contenders at one size, in turn; yields a row for each."""
    runs = in_turn({name: partial(search, name, size, python) for name in CONTENDERS}, repeats)
    scaled = {name: (size / min(size, most)) ** 2 for name, (_, most) in CONTENDERS.items()}
    medians = {name: statistics.median(run.seconds for run in runs[name]) * scaled[name] for name in CONTENDERS}
    for name, factor in scaled.items():
        row = size, name, medians[name], medians[name] / medians["ours"]
        if factor > 1:
            yield size, f"{name} (scaled from {min(size, CONTENDERS[name][1]):,})", *row[2:], None, None
            continue
        pairs = runs[name][0].pairs
        assert name in NOT_ALL_OF_THESE or pairs == runs["ours"][0].pairs, (name, runs)
        yield *row, pairs, round(max(run.megabytes for run in runs[name]))


def main() -> None:
    """Print the table."""
    asked = options(__doc__, sizes=[60_000, 200_000, 1_000_000], repeats=3, alternatives=sys.executable, one="")
    if asked.one:
        one(asked.one, *asked.sizes)
        return
    for size in asked.sizes:
        rows = race(size, asked.repeats, asked.alternatives)
        print_table(["hashes", "search", "s", "times ours", "pairs", "peak MB"], rows)


if __name__ == "__main__":
    main()
