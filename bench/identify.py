"""Hide pictures of a small class, and pictures of no class, among unlabelled ones, and count how many come up first.

    python -m bench.identify SHARED/data --work FOLDER [--seeds 1 2]

The clothing photos of `bench/warm_start.py`, at 48 pixels. The unlabelled pictures are half of its test pictures,
members of `top`, a class of 33 pictures that is too small for the model, and half of the photos without clothes:

    throw-away   half of `top` is a class of the model, as with a lower split.minimum; the other half is hidden
    release      `top` is no class of the model, and all of it is hidden: perhaps a new class

Counted are right ones among the first 20 rows of `identified.parquet`, put in order by one of its columns. FOLDER keeps
what the networks say, so that the counting can be repeated without the training.
"""

import argparse
import tarfile
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image

from bench.warm_start import InMemory, answers, divide, markdown, read
from stages.identify import best_classes, guesses, with_distances
from stages.images.letterbox import letterbox
from stages.suspects.neighbours import units

SMALL = "top"
FIRST = 20
QUANTILE = 0.95  # of params.yaml
NONE = "no class"


def read_where(path: Path, size: int, wanted: Callable[[str], bool]) -> NDArray[np.uint8]:
    """Prepare the pictures of a tar whose names are wanted, in the order of their names."""
    pixels = []
    with tarfile.open(path) as tar:
        for member in sorted((m for m in tar if m.isfile() and wanted(m.name)), key=lambda m: m.name):
            data = tar.extractfile(member)
            assert data is not None
            pixels.append(letterbox(Image.open(BytesIO(data.read())).convert("RGB"), size))
    return np.stack(pixels)


def gather(shared: Path, size: int, seed: int) -> tuple[NDArray[np.uint8], pd.DataFrame]:
    """Read all pictures, and say what each shows and what it is for.

    Returns:
        The pixels, and the columns `truth` and `split`: train, validation, test, or unlabelled.
    """
    pixels, class_names = read(shared / "clothing.tar", size)
    small = read_where(shared / "clothing.tar", size, lambda name: name.split("/")[1] in (SMALL, f"{SMALL}_kids"))
    none = read_where(shared / "out_of_scope.tar", size, lambda name: True)[::2]
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
    """Lay out the unlabelled pictures as `identify` does, with the truth beside."""
    names = sorted(set(frame.loc[frame["split"] == "train", "truth"]))
    unlabelled = (frame["split"] == "unlabelled").to_numpy()
    vectors = units(embeddings.astype(np.float16))
    found = guesses(np.flatnonzero(unlabelled).astype(str), *best_classes(scores[unlabelled]), names)
    found = with_distances(found, vectors[unlabelled], frame[~unlabelled], vectors[~unlabelled], QUANTILE)
    return found.assign(truth=frame.loc[unlabelled, "truth"].to_numpy())


def throw_away(found: pd.DataFrame) -> Iterator[dict[str, object]]:
    """Count what comes up for the small class."""
    right, of_class = found["truth"] == SMALL, found["class_1"] == SMALL
    among = sum(found[f"confidence_{place}"].where(found[f"class_{place}"] == SMALL, 0.0) for place in (1, 2, 3))
    yield row("throw-away", f"class_1 is {SMALL}, by confidence_1", found["confidence_1"].where(of_class, -1), right)
    yield row("throw-away", f"confidence in {SMALL} among the three best", among, right)
    yield row("throw-away", f"class_1 is {SMALL}, by distance", -found["distance"].where(of_class, 9), right)
    yield row("throw-away", "by chance", None, right)


def far(found: pd.DataFrame, run: str) -> Iterator[dict[str, object]]:
    """Count what comes up as far from everything."""
    for what, right in (
        ("no class", found["truth"] == NONE),
        (f"no class or {SMALL}", found["truth"].isin([NONE, SMALL])),
        (SMALL, found["truth"] == SMALL),
    ):
        yield row(run, f"{what}: by distance_to_any", found["distance_to_any"], right)
        yield row(run, f"{what}: by low confidence", -found["confidence_1"], right)
        novel = row(run, f"{what}: novel", None, right)
        yield novel | {"in the first 20": np.nan, "listed": found["novel"].sum(), "found": right[found["novel"]].sum()}
        yield row(run, f"{what}: by chance", None, right)


def row(run: str, order: str, key: pd.Series | None, right: pd.Series) -> dict[str, object]:
    """Count the right ones among the first, highest key first; without a key those that chance would give."""
    if key is None:
        first: float = FIRST * right.mean()
    else:
        first = right[key.sort_values(ascending=False, kind="stable").index[:FIRST]].sum()
    return {"run": run, "order": order, "in the first 20": first, "right ones": right.sum(), "pictures": len(right)}


def groups(found: pd.DataFrame) -> str:
    """Say what the largest groups of novel pictures hold."""
    sizes = found.dropna(subset="novel_group").groupby("novel_group")["truth"]
    lines = [f"{number}: {', '.join(f'{n} {name}' for name, n in of.value_counts().items())}" for number, of in sizes]
    return "; ".join(lines[:5]) or "none"


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, help="folder with clothing.tar and out_of_scope.tar")
    parser.add_argument("--work", type=Path, required=True, help="folder for predictions")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--size", type=int, default=48)
    asked = parser.parse_args()
    asked.work.mkdir(parents=True, exist_ok=True)
    rows = []
    for seed in asked.seeds:
        pixels, frame = gather(asked.shared, asked.size, seed)
        for run in ("throw-away", "release"):
            if run == "release":
                frame["split"] = frame["split"].mask(frame["truth"] == SMALL, "unlabelled")
            path = asked.work / f"identify-{run}-{seed}-{asked.size}.npz"
            if not path.exists():
                np.savez(path, *said(pixels, frame, seed))
            with np.load(path) as saved:
                found = identified(frame, *(saved[name] for name in saved.files))
            counted = [*throw_away(found)] * (run == "throw-away") + [*far(found, run)]
            rows += [{"seed": seed, **each} for each in counted]
            print(f"seed {seed}, {run}: {found['novel'].sum()} novel, largest groups {groups(found)}", flush=True)
    table = pd.DataFrame(rows)
    table.to_csv(asked.work / "identify.csv", index=False)
    print(markdown(table.drop(columns="seed").groupby(["run", "order"], sort=False).mean().reset_index()))


if __name__ == "__main__":
    main()
