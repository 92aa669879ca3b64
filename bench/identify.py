"""Hide pictures of a small class, and pictures of no class, among unlabelled ones, and count how many come up first.

    python -m bench.identify SHARED/data --work FOLDER [--seeds 1 2 3]

Photographs of clothes. Labelled are nine tenths of the pictures of each class and 16 of `top`, a class of 33 that is
too small for the model. Unlabelled are the other tenth, the other 17 of `top`, and half of the photographs without
clothes. Counted are right ones among the first 20 rows of `identified.parquet`, in the order of its columns.

ImageNet's own pictures flatter a network that was trained on ImageNet. So a second kind of strangers, from SHARED/data
too: the small pictures of CIFAR-10 (animals and vehicles, 32 pixels).
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from bench.embedded import Photographs, read_embedded
from bench.harness import options, print_frame
from stages.identify import with_distances
from stages.suspects.candidates import find_candidates
from stages.suspects.neighbours import Embedded

SMALL, KNOWN_SMALL = "top", 16
FIRST, QUANTILE = 20, 0.95  # the last of params.yaml
NUM_STRANGERS = 464
KINDS = {"ImageNet": "out_of_scope.tar", "CIFAR-10": "cifar10_near_duplicates.tar"}


def divided(clothes: Photographs, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows of the labelled and of the unlabelled clothes."""
    rng = np.random.default_rng(seed)
    rows = rng.permutation(np.flatnonzero(clothes.labels != ""))
    small = clothes.labels[rows] == SMALL
    others, tops = rows[~small], rows[small]
    num_hidden = len(others) // 10
    return np.concatenate([others[num_hidden:], tops[:KNOWN_SMALL]]), np.concatenate(
        [others[:num_hidden], tops[KNOWN_SMALL:]]
    )


def identified(clothes: Photographs, strangers: Photographs, seed: int) -> pd.DataFrame:
    """Lay out the unlabelled pictures as `identify` does, with the truth; the model's classes play no part."""
    labelled, hidden = divided(clothes, seed)
    names = np.unique(clothes.labels[labelled])
    classes = np.searchsorted(names, clothes.labels[labelled])
    known = Embedded(clothes.vectors[labelled], classes, np.arange(len(labelled)))
    drawn = np.random.default_rng([seed, 1]).permutation(len(strangers.paths))[:NUM_STRANGERS]
    vectors = np.concatenate([clothes.vectors[hidden], strangers.vectors[drawn]])
    table = pd.DataFrame({"class_1": names[0]}, index=range(len(vectors)))
    small = np.flatnonzero(names == SMALL)
    table["small"] = find_candidates(vectors, known, np.arange(len(labelled)) % 5, len(names), small).wanted[:, 0]
    table["candidate"] = names[find_candidates(vectors, known, np.arange(len(labelled)) % 5, len(names), small).best]
    table = with_distances(table, vectors, known, names.tolist(), QUANTILE)
    return table.assign(truth=[*clothes.labels[hidden], *["stranger"] * len(drawn)])


def measure(clothes: Photographs, strangers: Photographs, kind: str, seed: int) -> dict[str, object]:
    """Count."""
    table = identified(clothes, strangers, seed)
    stranger, small = table["truth"] == "stranger", table["truth"] == SMALL
    novel, in_scope = table["novel"], table[~stranger]
    named = in_scope[in_scope["truth"] != SMALL]
    groups = table[table["novel_group"].notna()].groupby("novel_group")["truth"]
    return {
        "strangers": kind,
        "seed": seed,
        f"{SMALL} in the first {FIRST}, clothes only": small[table["small"][~stranger].nlargest(FIRST).index].sum(),
        "of": small.sum(),
        "clothes": len(in_scope),
        "with the strangers": small[table["small"].nlargest(FIRST).index].sum(),
        "with the strangers, novel ones left out": small[table["small"][~novel].nlargest(FIRST).index].sum(),
        "others named": (named["candidate"] == named["truth"]).mean(),
        "area under the curve of distance_to_any": roc_auc_score(stranger, table["distance_to_any"]),
        "novel that are strangers": stranger[novel].mean(),
        "strangers that are novel": novel[stranger].mean(),
        "groups of novel ones": len(groups),
        "groups of one kind alone": groups.agg(lambda truth: len(set(truth)) == 1).mean() if len(groups) else np.nan,
    }


def rows(shared: Path, work: Path, seeds: list[int]) -> Iterator[dict[str, object]]:
    """Measure with each kind of strangers and each seed."""
    clothes = read_embedded(shared / "clothing.tar", work)
    for kind, archive in KINDS.items():
        strangers = read_embedded(shared / archive, work)
        yield from (measure(clothes, strangers, kind, seed) for seed in seeds)


def main() -> None:
    """Print the table."""
    asked = options(__doc__, "shared", work=Path, seeds=[1, 2, 3])
    table = pd.DataFrame(list(rows(asked.shared, asked.work, asked.seeds)))
    table.to_csv(asked.work / "identify.csv", index=False)
    table.index = table["strangers"] + ", seed " + table["seed"].astype(str)
    print_frame(table.drop(columns=["strangers", "seed"]).T.rename_axis("what").reset_index())


if __name__ == "__main__":
    main()
