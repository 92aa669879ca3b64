"""A small git and DVC repository with pictures to look at, in the working directory."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from repositories import commit, dvc, run, write

from stages.models.base import BASE_METRICS
from stages.shards.codec import encode
from stages.shards.tars import write_shard
from stages.tables.images import IMAGES
from stages.tables.review import REVIEW
from stages.tables.shards import INDEX

COLOURS = [(250 - 10 * number, 190, 20 * number) for number in range(13)]


def write_review(**columns) -> None:
    """Write a review table of 13 pictures named 0 to 12, all wrong; `columns` changes it."""
    values = dict.fromkeys(REVIEW.schema.names) | {"reason": "wrong", "split": "test", "truth": "a|b", "predicted": "c"}
    values |= {"confidence": 61.25, "path": "library/a|b/1.png", "rank": range(1, 14)}
    frame = pd.DataFrame({"image_id": [str(number) for number in range(13)]})
    REVIEW.write(frame.assign(**{**values, "image_id": frame["image_id"], **columns}))


def example(image_id: str) -> str:
    """Path of a picture, as the review table names one to be shown beside another."""
    return f"library/{image_id}.png"


def make(**columns) -> None:
    """Write 13 pictures of one colour each and their review table, put both under DVC, and commit."""
    write_review(**columns)
    write(".gitignore", "/build/\n")
    Path("data/shards").mkdir(parents=True)
    pictures = [encode(np.full((16, 16, 3), colour, dtype=np.uint8), "png") for colour in COLOURS]
    positions = write_shard(Path("data/shards/00000.tar"), [(f"{n}.png", data) for n, data in enumerate(pictures)])
    rows = [(str(number), "00000.tar", *position) for number, position in enumerate(positions)]
    INDEX.write(pd.DataFrame(rows, columns=INDEX.schema.names))
    images = pd.DataFrame({"image_id": [row[0] for row in rows], "path": [example(row[0]) for row in rows]})
    IMAGES.write(images.reindex(columns=IMAGES.schema.names))
    run("git", "init", "--quiet", "--initial-branch=main")
    dvc("init", "--quiet")
    write(BASE_METRICS, json.dumps({"held_out": {"num_pictures": 30, "top_1_accuracy": 0.925}}))
    dvc("add", "--quiet", "data/shards", "data/base", REVIEW.path, IMAGES.path)
    commit("A model")
