"""Measure tests of two samples of embeddings: which is quiet while nothing changes, and loud on the day of a change.

    python -m bench.drift [--worlds 20] [--per-day 200]

Each world is a made-up network with pictures of one day and of the time before it. Its classes and confidences do not
change, or (in one row) other classes are asked for. A test is loud where it would be called a change as one of 120 of a
report: 20 weeks, each beside the held-out pictures and the time before it, in three figures.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from bench.harness import options, print_table, timed
from serving.usage import drift, embeddings
from serving.usage.embeddings import Embeddings, less_means
from tests.looks import Network

NUM_TESTS = 120
CHANGES: dict[str, dict[str, float]] = {
    "nothing": {},
    "other classes are asked for": {},
    "all pictures look a little different": {"look": 1.0},
    "all vary more": {"wide": 1.25},
    "one in five looks different": {"others": 0.2},
}
PERMUTATIONS, MOST = 100, 600
Drawn = tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.bool_]]


def within_classes(one: Embeddings, other: Embeddings) -> float:
    """The test of the report."""
    return embeddings.differ(*embeddings.of_same_classes(one, other)).p_value or 0.0


def each_number(one: Embeddings, other: Embeddings) -> float:
    """Kolmogorov and Smirnov's test of each number, less the mean of its class; by Bonferroni."""
    numbers, _, is_first = together(one, other)
    values = [stats.ks_2samp(each[is_first], each[~is_first], method="asymp").pvalue for each in numbers.T]
    return min(1.0, len(values) * min(values))


def energy(one: Embeddings, other: Embeddings) -> float:
    """Energy distance (Szekely and Rizzo 2004), who is in which sample drawn anew within classes."""
    numbers, strata, is_first = together(one, other)
    apart = distances(numbers)
    first = drawn_again(strata, is_first)
    weights = first / first.sum(axis=0) - (1 - first) / (1 - first).sum(axis=0)
    return p_of(-np.einsum("ij,ij->j", weights, apart @ weights))


def neighbours(one: Embeddings, other: Embeddings) -> float:
    """How many of five nearest neighbours are of the same sample (Schilling 1986), drawn anew likewise."""
    numbers, strata, is_first = together(one, other)
    apart = distances(numbers)
    np.fill_diagonal(apart, np.inf)
    nearest = np.argpartition(apart, 5, axis=1)[:, :5]
    first = drawn_again(strata, is_first)
    return p_of(np.array([(each[nearest] == each[:, None]).mean() for each in first.T]))


TESTS: dict[str, Callable[[Embeddings, Embeddings], float]] = {
    "ranks within classes": within_classes,
    "each number alone": each_number,
    "energy distance": energy,
    "nearest neighbours": neighbours,
}


def together(one: Embeddings, other: Embeddings) -> Drawn:
    """Put two samples together: numbers less their class means, numbers of the classes, who is in the first."""
    first, second = embeddings.of_same_classes(one, other)
    names = np.concatenate([first.class_names, second.class_names]).astype(str)
    strata = np.unique(names, return_inverse=True)[1]
    numbers = np.concatenate([first.numbers, second.numbers]).astype(float)
    return less_means(numbers, strata), strata, np.arange(len(names)) < len(first.numbers)


def distances(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Measure how far all are from each other."""
    squares = (numbers**2).sum(axis=1)
    return np.sqrt(np.maximum(squares[:, None] + squares - 2 * numbers @ numbers.T, 0))


def drawn_again(strata: NDArray[np.intp], is_first: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Give who is in the first sample, and PERMUTATIONS times who might be: columns of ones and zeros."""
    rng, by_stratum = np.random.default_rng(0), np.argsort(strata, kind="stable")
    columns = [is_first.astype(float)]
    for _ in range(PERMUTATIONS):
        column = np.empty(len(strata))
        column[by_stratum] = is_first[np.lexsort((rng.random(len(strata)), strata))]
        columns.append(column)
    return np.column_stack(columns)


def p_of(values: NDArray[np.float64]) -> float:
    """Say how likely the first value or a larger one is beside the others, by a gamma distribution of their moments.

    So many tests ask for chances far below one in PERMUTATIONS.
    """
    others = values[1:]
    shape = 4 / max(stats.skew(others), 0.05) ** 2
    return float(stats.gamma.sf((values[0] - others.mean()) / others.std() * np.sqrt(shape) + shape, shape))


def measure(num_classes: int, num_worlds: int, per_day: int) -> None:
    """Print how many worlds each test was loud in, and what it costs."""
    loud = {(change, name): 0 for change in CHANGES for name in TESTS}
    seconds = dict.fromkeys(TESTS, 0.0)
    usual = 1 / np.arange(1, num_classes + 1)
    for seed in range(num_worlds):
        rng = np.random.default_rng(seed)
        network = Network(num_classes, rng)
        before = network.embeddings(rng, drift.MOST_EMBEDDINGS, usual / usual.sum())
        for change, looks in CHANGES.items():
            asked = np.roll(usual, 2) if change.startswith("other classes") else usual
            day = network.embeddings(rng, per_day, asked / asked.sum(), **looks)
            for name, test in TESTS.items():
                most = None if test in (within_classes, each_number) else MOST
                values: list[float] = []
                few = Embeddings(before.class_names[:most], before.numbers[:most])
                seconds[name] += timed(lambda: values.append(test(day, few))).processor  # noqa: B023
                loud[change, name] += values[0] < drift.ALPHA / NUM_TESTS
    columns = [f"{num_classes} classes, {per_day} pictures: loud in", *TESTS]
    rows: list[list[object]] = [[change, *(loud[change, name] for name in TESTS)] for change in CHANGES]
    rows.append(["processor ms of a test", *(1000 * each / num_worlds / len(CHANGES) for each in seconds.values())])
    print_table(columns, rows)


def main() -> None:
    """Run the measurements."""
    given = options(__doc__, worlds=20, per_day=200)
    for num_classes in (12, 200):
        measure(num_classes, given.worlds, given.per_day)


if __name__ == "__main__":
    main()
