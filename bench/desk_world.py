"""A made-up library for the measurements of the desk: files, and the tables that a run would write about them."""

import hashlib
import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.lib.format import open_memmap
from PIL import Image

from stages.tables import predictions
from stages.tables.duplicates import DUPLICATES
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.review import REVIEW
from stages.tables.table import Table

NUM_DRAWN = 8  # the files of all pictures are these, each with a number behind its end
NUM_FEATURES = 64
NUM_UNLABELLED = 5  # one in so many
NUM_REVIEWED = 4  # of the others, likewise
NUM_PAIRS = 40  # likewise: has a near-duplicate


def write_world(num_pictures: int, num_classes: int, width: int, height: int) -> list[str]:
    """Write `data/` in the working folder, without decisions.

    Args:
        num_pictures: of library and unlabelled together.
        num_classes: of one folder each.
        width: of a picture in pixels.
        height: likewise.

    Returns:
        Names of the classes.
    """
    rng, names = np.random.default_rng(0), [f"class_{number:04d}" for number in range(num_classes)]
    Path("data/classes.yaml").touch()
    drawn = [_jpeg(rng, width, height) for _ in range(NUM_DRAWN)]
    rows = []
    for number in range(num_pictures):
        folder = "unlabelled" if number % NUM_UNLABELLED == 0 else f"library/{names[rng.integers(num_classes)]}"
        data, path = drawn[number % NUM_DRAWN] + b"%09d" % number, Path("data", folder, f"{number:09d}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        rows.append((f"{folder}/{path.name}", hashlib.md5(data, usedforsecurity=False).hexdigest(), len(data)))
    files = pd.DataFrame(rows, columns=["path", "image_id", "bytes"])
    files = files.assign(width=width, height=height, format="JPEG", sharpness=0.5, chroma=0.5)
    _write(FINGERPRINTS, files)
    is_labelled = files["path"].str.startswith("library/")
    labelled = files[is_labelled].assign(class_name=files.loc[is_labelled, "path"].str.split("/").str[1])
    _write_labelled(labelled, names, rng)
    _write_unlabelled(files[~is_labelled], names, rng)
    _write_embeddings(files, rng)
    return names


def _jpeg(rng: np.random.Generator, width: int, height: int) -> bytes:
    """Draw what a camera's file weighs: soft colours with noise."""
    soft = Image.fromarray(rng.integers(0, 255, (9, 12, 3), np.uint8)).resize((width, height), Image.Resampling.BICUBIC)
    pixels = np.asarray(soft, np.int16) + rng.integers(-12, 13, (height, width, 1), np.int16)
    buffer = BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def _write(table: Table, frame: pd.DataFrame) -> None:
    """Write a table of which a frame has some columns; the others are null."""
    table.write(frame.assign(**{name: None for name in table.schema.names if name not in frame}))


def _write_labelled(files: pd.DataFrame, names: Sequence[str], rng: np.random.Generator) -> None:
    """Write what a run says of labelled pictures: each was taken for some class, a part is to be reviewed."""
    same = files.assign(sub_class=files["class_name"], set="library", origin="real", group=files["image_id"])
    _write(IMAGES, same)
    taken = rng.integers(len(names), size=len(files))
    rows = files[["image_id", "path"]].assign(truth=files["class_name"], split="test", confidence=90.0)
    rows = rows.assign(predicted=np.array(names)[taken], row=taken).sort_values("image_id", ignore_index=True)
    _write(predictions.ROWS, rows)
    scores = open_memmap(predictions.SCORES, "w+", np.float32, (len(rows), len(names)))
    scores[np.arange(len(rows)), rows["row"]] = 0.9
    Path(predictions.CLASSES).write_text(json.dumps(list(names)), encoding="utf-8")
    review = rows.sample(frac=1 / NUM_REVIEWED, random_state=0)
    _write(REVIEW, review.assign(rank=range(1, len(review) + 1), reason="wrong_and_confident"))
    chosen = files["image_id"].iloc[: len(files) // NUM_PAIRS * 2].to_numpy().reshape(-1, 2)
    ids = np.sort(chosen, axis=1)
    pairs = pd.DataFrame({"image_a": ids[:, 0], "image_b": ids[:, 1], "keep": ids[:, 0]})
    pairs = pairs.assign(kind="near", distance=3, similarity=0.97, turn="none", label_conflict=False)
    DUPLICATES.write(pairs[DUPLICATES.schema.names])


def _write_unlabelled(files: pd.DataFrame, names: Sequence[str], rng: np.random.Generator) -> None:
    """Write what a run says of unlabelled pictures."""
    known = files[["image_id", "path"]].assign(confidence_1=rng.uniform(20, 99, len(files)))
    known = known.assign(confidence_2=0.9, confidence_3=0.1, distance=0.2, distance_to_any=0.2)
    for rank in (1, 2, 3):
        known[f"class_{rank}"] = np.array(names)[rng.integers(len(names), size=len(files))]
    for name in ("high", "low", "wanted", "look_alike", "novel"):
        known[name] = False
    _write(IDENTIFIED, known)


def _write_embeddings(files: pd.DataFrame, rng: np.random.Generator) -> None:
    EMBEDDED.write(files[["image_id"]].sort_values("image_id", ignore_index=True))
    np.save(EMBEDDINGS, rng.normal(size=(len(files), NUM_FEATURES)).astype(np.float16))
