"""Hide pictures of a small class, and pictures of no class, among unlabelled ones, and count how many come up first.

    python -m bench.identify SHARED/data --work FOLDER [--seeds 1 2]

The clothing photos of `bench/warm_start.py`, at 48 pixels. The unlabelled pictures are half of its test pictures,
members of `top`, a class of 33 pictures that is too small for the model, and half of the photos without clothes:

    throw-away   half of `top` is a class of the model, as with a lower split.minimum; the other half is hidden
    release      `top` is no class of the model, and all of it is hidden: perhaps a new class

Counted are right ones among the first 20 rows of `identified.parquet`, put in order by one of its columns. FOLDER keeps
what the networks say, so that the counting can be repeated without the training.
"""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.harness import options, print_frame
from bench.warm_start import InMemory, answers, divide, read, read_pictures
from stages.identify import best_classes, guesses, with_distances
from stages.suspects.neighbours import units

SMALL = "top"
FIRST = 20
QUANTILE = 0.95  # of params.yaml
NONE = "no class"


def gather(shared: Path, size: int, seed: int) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Read all pictures, and say what each shows and what it is for.

    Returns:
        The pixels, and the columns `truth` and `split`: train, validation, test, or unlabelled.
    """
    pixels, class_names = read(shared / "clothing.tar", size)
    folders = [f"library/{SMALL}{ending}/" for ending in ("", "_kids")]
    small, _ = read_pictures(shared / "clothing.tar", size, lambda name: name.startswith(tuple(folders)))
    none = read_pictures(shared / "out_of_scope.tar", size, lambda name: True)[0][::2]
    parts, split = divide(class_names, seed), np.empty(len(pixels), object)
    for name in ("train", "validation", "test"):
        split[parts[name]] = name
    split[np.random.default_rng(seed).permutation(parts["test"])[::2]] = "unlabelled"
    # Of the small class one half may be trained on.
    halves = np.where(np.random.default_rng([seed, 1]).permutation(len(small)) % 2, "train", "unlabelled")
    truth = [*class_names, *[SMALL] * len(small), *[NONE] * len(none)]
    frame = pd.DataFrame({"truth": truth, "split": [*split, *halves, *["unlabelled"] * len(none)]})
    return np.concatenate([pixels, small, none]), frame


def said(pixels: NDArray[np.uint8], frame: pd.DataFrame, seed: int) -> list[NDArray[np.float32]]:
    """Train on the pictures of `train`, and score and embed all."""
    names = sorted(set(frame.loc[frame["split"] == "train", "truth"]))

    def part(name: str) -> InMemory:
        rows = (frame["split"] == name).to_numpy()
        return InMemory(pixels[rows], np.array([names.index(each) for each in frame.loc[rows, "truth"]]), len(names))

    return answers(pixels, (part("train"), part("validation")), seed)


def identified(frame: pd.DataFrame, scores: NDArray[np.float32], embeddings: NDArray[np.float32]) -> pd.DataFrame:
    """Lay out the unlabelled pictures as `identify` does, with the truth."""
    names = sorted(set(frame.loc[frame["split"] == "train", "truth"]))
    unlabelled = (frame["split"] == "unlabelled").to_numpy()
    vectors = units(embeddings.astype(np.float16))
    table = guesses(np.flatnonzero(unlabelled).astype(str), *best_classes(scores[unlabelled]), names)
    table = with_distances(table, vectors[unlabelled], frame[~unlabelled], vectors[~unlabelled], QUANTILE)
    return table.assign(truth=frame.loc[unlabelled, "truth"].to_numpy())


def throw_away(table: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Count what comes up for the small class."""
    right, of_class = table["truth"] == SMALL, table["class_1"] == SMALL
    among = sum(table[f"confidence_{rank}"].where(table[f"class_{rank}"] == SMALL, 0.0) for rank in (1, 2, 3))
    yield row("throw-away", f"class_1 is {SMALL}, by confidence_1", table["confidence_1"].where(of_class, -1), right)
    yield row("throw-away", f"confidence in {SMALL} among the three best", among, right)
    yield row("throw-away", f"class_1 is {SMALL}, by distance", -table["distance"].where(of_class, 9), right)
    yield row("throw-away", "by chance", None, right)


def far(table: pd.DataFrame, run: str) -> Iterator[dict[str, object]]:
    """Count what comes up as far from everything."""
    for what, right in (
        ("no class", table["truth"] == NONE),
        (f"no class or {SMALL}", table["truth"].isin([NONE, SMALL])),
        (SMALL, table["truth"] == SMALL),
    ):
        yield row(run, f"{what}: by distance_to_any", table["distance_to_any"], right)
        yield row(run, f"{what}: by low confidence", -table["confidence_1"], right)
        novel = row(run, f"{what}: novel", None, right)
        yield novel | {"in the first 20": np.nan, "listed": table["novel"].sum(), "found": right[table["novel"]].sum()}
        yield row(run, f"{what}: by chance", None, right)


def row(run: str, order: str, key: pd.Series | None, right: pd.Series) -> dict[str, object]:
    """Count the right ones among the first, highest key first; without a key those that chance would give."""
    if key is None:
        first: float = FIRST * right.mean()
    else:
        first = right[key.sort_values(ascending=False, kind="stable").index[:FIRST]].sum()
    return {"run": run, "order": order, "in the first 20": first, "right ones": right.sum(), "pictures": len(right)}


def groups(table: pd.DataFrame) -> str:
    """Say what the largest groups of novel pictures hold."""
    sizes = table.dropna(subset="novel_group").groupby("novel_group")["truth"]
    lines = [f"{number}: {', '.join(f'{n} {name}' for name, n in of.value_counts().items())}" for number, of in sizes]
    return "; ".join(lines[:5]) or "none"


def measure(asked: Namespace, seed: int) -> Iterator[dict[str, object]]:
    """Train with one seed, in both runs, and count."""
    pixels, frame = gather(asked.shared, asked.size, seed)
    for run in ("throw-away", "release"):
        if run == "release":
            frame["split"] = frame["split"].mask(frame["truth"] == SMALL, "unlabelled")
        path = asked.work / f"identify-{run}-{seed}-{asked.size}.npz"
        if not path.exists():
            np.savez(path, *said(pixels, frame, seed))
        with np.load(path) as saved:
            table = identified(frame, *(saved[name] for name in saved.files))
        print(f"seed {seed}, {run}: {table['novel'].sum()} novel, largest groups {groups(table)}", flush=True)
        yield from throw_away(table) if run == "throw-away" else ()
        yield from far(table, run)


def main() -> None:
    """Print the table."""
    asked = options(__doc__, "shared", work=Path, seeds=[1, 2], size=48)
    asked.work.mkdir(parents=True, exist_ok=True)
    rows = pd.DataFrame([{"seed": seed, **each} for seed in asked.seeds for each in measure(asked, seed)])
    rows.to_csv(asked.work / "identify.csv", index=False)
    print_frame(rows.drop(columns="seed").groupby(["run", "order"], sort=False).mean().reset_index())


if __name__ == "__main__":
    main()
