"""Measure what it costs that colour profiles are ignored: answers to photos in Display P3 and Adobe RGB.

    python -m bench.profiles PHOTOS [--number 1000] [--model data/model] [--size 64] [--epochs 6]

PHOTOS is a folder of folders of photographs in sRGB. The numbers of each photo are changed to those that its colours
have in the wider space, as a camera would save them with that profile. The model sees these numbers as if they were
sRGB. Without a model, a small network is trained on the folders, as in `bench.serving`.
Source: the matrices of the sRGB, Display P3 and Adobe RGB (1998) specifications, white point D65.
"""

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from bench.harness import files_in, options, print_table
from bench.serving import train
from stages.images.letterbox import letterbox
from stages.models import files

SRGB_TO_XYZ = np.array(
    [[0.4124564, 0.3575761, 0.1804375], [0.2126729, 0.7151522, 0.0721750], [0.0193339, 0.1191920, 0.9503041]]
)
XYZ_TO_P3 = np.array(
    [[2.4934969, -0.9313836, -0.4027108], [-0.8294890, 1.7626641, 0.0236247], [0.0358458, -0.0761724, 0.9568845]]
)
XYZ_TO_ADOBE = np.array(
    [[2.0413690, -0.5649464, -0.3446944], [-0.9692660, 1.8760108, 0.0415560], [0.0134474, -0.1183897, 1.0154096]]
)
ADOBE_GAMMA = 2.19921875
Pixels = NDArray[np.uint8]


def to_display_p3(pixels: Pixels) -> Pixels:
    """Give the numbers of the same colours in Display P3, which has sRGB's curve."""
    linear = np.clip(_linear(pixels) @ (XYZ_TO_P3 @ SRGB_TO_XYZ).T, 0, 1)
    coded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(255 * coded).astype(np.uint8)


def to_adobe_rgb(pixels: Pixels) -> Pixels:
    """Give the numbers of the same colours in Adobe RGB (1998)."""
    linear = np.clip(_linear(pixels) @ (XYZ_TO_ADOBE @ SRGB_TO_XYZ).T, 0, 1)
    return np.rint(255 * linear ** (1 / ADOBE_GAMMA)).astype(np.uint8)


def _linear(pixels: Pixels) -> NDArray[np.float64]:
    coded = pixels / 255
    return np.where(coded <= 0.04045, coded / 12.92, ((coded + 0.055) / 1.055) ** 2.4)


def main() -> None:
    """Print the table."""
    asked = options(__doc__, "photos", number=1000, model=None, size=64, epochs=6)
    photos = files_in(asked.photos)
    model = files.load(asked.model) if asked.model else train(photos, asked.size, asked.epochs)
    chosen = photos[:: max(1, len(photos) // asked.number)][: asked.number]
    size = model.description.size
    plain = np.stack([letterbox(Image.open(path).convert("RGB"), size) for path in tqdm(chosen, "prepared")])
    own = model.network.predict(plain, verbose=0)["scores"]
    rows = []
    for name, change in (("Display P3", to_display_p3), ("Adobe RGB", to_adobe_rgb)):
        other = change(plain)
        levels = np.abs(other.astype(int) - plain).mean()
        scores = model.network.predict(other, verbose=0)["scores"]
        points = 100 * np.abs(scores - own).max(axis=1)
        same = (scores.argmax(axis=1) == own.argmax(axis=1)).mean()
        rows.append((name, levels, same, np.median(points), np.quantile(points, 0.95), points.max()))
    print(f"{model.description.network}, {size} px, {len(model.class_names)} classes, {len(chosen)} photos\n")
    head = ["photo saved in", "mean difference of a level", "same best class", "points of confidence: median"]
    print_table([*head, "95th percentile", "largest"], rows)


if __name__ == "__main__":
    main()
