"""Edit training pictures and see which edits `score.near` recognises by their embeddings, after a run of the pipeline.

    python -m bench.near [--pictures 150]

Reads the model, predictions and pictures that stand in data/. An edit is found when the edited picture is within
`score.near` of the usual distance (the median over validation and test) to the nearest training picture. Beside it the
share of validation and test pictures that are listed: on a library without near-duplicates, false alarms.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageEnhance

from bench.warm_start import markdown
from stages.images.letterbox import letterbox
from stages.metrics.splits import EVALUATION_SPLITS
from stages.models import files
from stages.suspects.embeddings import read_embeddings
from stages.suspects.neighbours import units
from stages.tables.images import IMAGES
from stages.tables.model import FOLDER as MODEL
from stages.tables.predictions import ROWS

SHARES = (0.1, 0.25, 0.5)


def cropped(picture: Image.Image, margin: float) -> Image.Image:
    """Cut a share of each side's length off both ends."""
    across, down = int(margin * picture.width), int(margin * picture.height)
    return picture.crop((across, down, picture.width - across, picture.height - down))


EDITS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "none": lambda picture: picture,
    "half the size": lambda picture: picture.resize((max(8, picture.width // 2), max(8, picture.height // 2))),
    "a fifth brighter": lambda picture: ImageEnhance.Brightness(picture).enhance(1.2),
    "4 % cut off each side": lambda picture: cropped(picture, 0.04),
    "10 % cut off each side": lambda picture: cropped(picture, 0.1),
    "turned by 8 degrees": lambda picture: picture.rotate(8),
}


def main() -> None:
    """Run the measurement."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=150)
    number = parser.parse_args().pictures
    rows, images = ROWS.read(), IMAGES.read()
    vectors = read_embeddings(rows)
    training = vectors[(rows["split"] == "train").to_numpy()]
    judging = vectors[rows["split"].isin(EVALUATION_SPLITS).to_numpy()]
    trained = rows.loc[rows["split"] == "train", "image_id"]
    there = images[images["image_id"].isin(trained) & images["dropped"].isna() & (images["set"] == "library")]
    paths = there.drop_duplicates("image_id")["path"].sample(number, random_state=1)
    network = files.load(Path(MODEL)).network

    usual = 1 - (judging @ training.T).max(axis=1)
    found = [{"edit": "validation and test pictures, as they are", **shares(usual, np.median(usual))}]
    for name, edit in EDITS.items():
        pictures = [edit(Image.open(Path("data", path)).convert("RGB")) for path in paths]
        pixels = np.stack([letterbox(picture, network.input.shape[1]) for picture in pictures])
        embeddings = units(np.asarray(network.predict_on_batch(pixels)["embedding"]).astype(np.float16))
        found.append({"edit": name, **shares(1 - (embeddings @ training.T).max(axis=1), np.median(usual))})
    print(f"{number} of {len(trained)} training pictures, {len(judging)} of validation and test")
    print(markdown(pd.DataFrame(found)))


def shares(distances: np.ndarray, usual: float) -> dict[str, float]:
    """Say which share of the pictures is within each share of the usual distance."""
    return {f"within {share}": float((distances <= share * usual).mean()) for share in SHARES}


if __name__ == "__main__":
    main()
