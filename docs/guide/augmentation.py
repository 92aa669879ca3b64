"""Draw docs/guide/augmentation.jpg: what training sees of two photographs, by the parameters' defaults for photographs.

    python -m docs.guide.augmentation

The pictures are scikit-learn's own photographs, one tall and one wide, letterboxed as the stage `shard` does. The first
two rows show each as it is, then varied six times. The rows below show each kind of variation alone, three times as
strong.
"""

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from sklearn.datasets import load_sample_image

from stages.images.letterbox import letterbox
from stages.training.augmentation import augmentation

SIZE = 160
COLUMNS = 6
MARGIN = 4
PHOTOGRAPHS = {"mirror": True, "rotation": 10.0, "zoom": 0.1}
ALONE = (
    {"mirror": True, "rotation": 0.0, "zoom": 0.0},
    {"mirror": False, "rotation": 30.0, "zoom": 0.0},
    {"mirror": False, "rotation": 0.0, "zoom": 0.3},
)


def row(picture: NDArray[np.uint8], seed: int, chosen: dict[str, Any]) -> list[NDArray[np.uint8]]:
    """Return a picture as it is, and varied `COLUMNS` times."""
    varied = np.repeat(picture[None].astype(np.float32), COLUMNS, axis=0)
    for layer in augmentation(**chosen, seed=seed):
        varied = layer(varied, training=True)
    return [picture, *keras.ops.convert_to_numpy(varied).round().clip(0, 255).astype(np.uint8)]


def sheet(rows: list[list[NDArray[np.uint8]]]) -> Image.Image:
    """Set the pictures side by side on white, so that what is black is seen."""
    step = SIZE + MARGIN
    image = Image.new("RGB", (step * (COLUMNS + 1) + MARGIN, step * len(rows) + MARGIN), "white")
    for number, pictures in enumerate(rows):
        for column, picture in enumerate(pictures):
            image.paste(Image.fromarray(picture), (MARGIN + step * column, MARGIN + step * number))
    return image


def main() -> None:
    """Draw it."""
    wide = letterbox(Image.fromarray(load_sample_image("china.jpg")), SIZE)
    high = letterbox(Image.fromarray(load_sample_image("flower.jpg")).crop((160, 0, 480, 427)), SIZE)
    rows = [row(wide, 1, PHOTOGRAPHS), row(high, 2, PHOTOGRAPHS), *(row(wide, 3, chosen) for chosen in ALONE)]
    sheet(rows).save(Path("docs/guide/augmentation.jpg"), quality=85, optimize=True)


if __name__ == "__main__":
    main()
