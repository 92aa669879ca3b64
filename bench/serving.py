"""Measure how far the exported model, which prepares pictures in its graph, answers as the pipeline's own preparation.

    python -m bench.serving PHOTOS [--number 1000] [--model data/model] [--size 64] [--epochs 6]

PHOTOS is a folder of folders of photographs. So many of them, spread evenly, are written in every kind of file that
people send: JPEG as it is, turned by EXIF, in CMYK, grey and progressive; PNG with alpha, with a palette, in 16 bits;
WebP, GIF, BMP; and TIFF and AVIF, which are refused. Each is answered by `serving_default`, which takes the file, and
by `pixels`, given what `stages/images` makes of the file. Without a model, a small network is trained on the folders.
The table has one row per kind: pictures, refused ones, how often the best class is the same, the largest difference of
any class's confidence in points of 0 to 100, and of any pixel in levels of 255.
"""

import hashlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from bench.harness import files_in, options, print_table
from stages.export import ServedModel
from stages.images.decode import decode
from stages.images.letterbox import letterbox
from stages.metrics.scaling import UNSCALED
from stages.models import files, networks
from stages.models.description import Description
from stages.models.files import TrainedModel
from stages.served import preparation

MAX_PIXELS = 100_000_000
TOGETHER = 50
Writer = Callable[[Image.Image, Image.Image], bytes]


def written(image: Image.Image, kind: str, **options: object) -> bytes:
    """Write a picture as a file."""
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def turned(image: Image.Image) -> bytes:
    """Write a JPEG with an EXIF tag whose value, 2 to 8, follows from the picture."""
    exif = Image.Exif()
    exif[0x0112] = 2 + hashlib.md5(image.tobytes(), usedforsecurity=False).digest()[0] % 7
    return written(image, "JPEG", exif=exif.tobytes())


def see_through(image: Image.Image, other: Image.Image) -> Image.Image:
    """Give a picture the brightness of another as its alpha."""
    clear = image.convert("RGBA")
    clear.putalpha(other.convert("L").resize(image.size))
    return clear


def deep(image: Image.Image) -> Image.Image:
    """Give a picture 16 bits of grey, the lower eight of them noise."""
    grey = np.asarray(image.convert("L"), np.uint16)
    noise = np.random.default_rng(0).integers(0, 256, grey.shape, np.uint16)
    return Image.fromarray(grey * 256 + noise)


KINDS: dict[str, Writer] = {
    "JPEG, turned by EXIF": lambda image, _: turned(image),
    "JPEG, CMYK": lambda image, _: written(image.convert("CMYK"), "JPEG"),
    "JPEG, grey": lambda image, _: written(image.convert("L"), "JPEG"),
    "JPEG, progressive, colour at half width": lambda i, _: written(i, "JPEG", progressive=True, subsampling=1),
    "PNG": lambda image, _: written(image, "PNG"),
    "PNG, alpha": lambda image, other: written(see_through(image, other), "PNG"),
    "PNG, palette": lambda image, _: written(image.quantize(64), "PNG"),
    "PNG, grey of 16 bits": lambda image, _: written(deep(image), "PNG"),
    "WebP": lambda image, _: written(image, "WEBP"),
    "WebP, alpha": lambda image, other: written(see_through(image, other), "WEBP"),
    "GIF": lambda image, _: written(image.quantize(200), "GIF"),
    "BMP": lambda image, _: written(image, "BMP"),
    "TIFF": lambda image, _: written(image, "TIFF"),
    "AVIF": lambda image, _: written(image, "AVIF", speed=10),
}


def prepared(data: bytes, size: int) -> NDArray[np.uint8]:
    """Prepare a file as the pipeline does."""
    return np.asarray(letterbox(decode(data, MAX_PIXELS).image, size))


def train(photos: list[Path], size: int, epochs: int) -> TrainedModel:
    """Train a small network to tell the folders apart."""
    class_names = sorted({path.parent.name for path in photos})
    pixels = np.stack([prepared(path.read_bytes(), size) for path in tqdm(photos, "prepared")])
    targets = np.array([class_names.index(path.parent.name) for path in photos])
    keras.utils.set_random_seed(0)
    network = networks.build("small", size, len(class_names))
    model = keras.Model(network.input, network.output["scores"])
    model.compile(keras.optimizers.Adam(0.002), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(pixels, targets, batch_size=32, epochs=epochs, verbose=2)
    sub_classes = {name: [name] for name in class_names}
    description = Description(format=1, network="small", size=size, weights_sha256=64 * "0", sub_classes=sub_classes)
    return TrainedModel(network, description, class_names)


class Differences:
    """How two answers of the same pictures differ.

    Args:
        served: the model.
        prepare: prepares an encoded picture in the graph.
    """

    def __init__(self, served: ServedModel, prepare: Callable[[tf.Tensor], tf.Tensor]) -> None:
        self._served, self._graph = served, prepare
        self.refused, self.words = 0, ""
        self.same: list[bool] = []
        self.confidence: list[float] = []
        self.pixel: list[int] = []

    def add(self, pictures: list[bytes]) -> None:
        """Answer pictures both ways."""
        taken, levels = [], []
        for data in pictures:
            try:
                levels.append(self._graph(tf.constant(data)).numpy().astype(np.int16))
                taken.append(data)
            except tf.errors.InvalidArgumentError as error:
                self.refused += 1
                self.words = str(error)
        if not taken:
            return
        theirs = np.stack([prepared(data, self._served.size) for data in taken])
        ours, own = (
            answer["scores"].numpy()
            for answer in (self._served.image_bytes(tf.constant(taken)), self._served.pixels(tf.constant(theirs)))
        )
        self.same += (ours.argmax(axis=1) == own.argmax(axis=1)).tolist()
        self.confidence += (100 * np.abs(ours - own).max(axis=1)).tolist()
        self.pixel += np.abs(np.stack(levels) - theirs).max(axis=(1, 2, 3)).tolist()

    def figures(self) -> tuple[object, ...]:
        """Lay out as a row of the table."""
        counts = len(self.same) + self.refused, self.refused
        if not self.same:
            return *counts, None, None, None, None
        quantile = float(np.quantile(self.confidence, 0.99))
        return *counts, f"{np.mean(self.same):.4f}", max(self.confidence), quantile, max(self.pixel)


def compare(served: ServedModel, chosen: list[Path]) -> dict[str, Differences]:
    """Answer photos in every kind of file."""
    prepare = tf.function(
        lambda data: preparation.prepare(data, served.size, MAX_PIXELS), input_signature=[tf.TensorSpec((), tf.string)]
    )
    kinds = {name: Differences(served, prepare) for name in ("JPEG, as it is", *KINDS)}
    for start in tqdm(range(0, len(chosen), TOGETHER), "answered"):
        paths = chosen[start : start + TOGETHER]
        images = [Image.open(path).convert("RGB") for path in paths]
        kinds["JPEG, as it is"].add([path.read_bytes() for path in paths])
        for name, write in KINDS.items():
            kinds[name].add([write(image, images[number - 1]) for number, image in enumerate(images)])
    return kinds


def report(kinds: dict[str, Differences]) -> None:
    """Print the table, and what was refused in which words."""
    print_table(
        ["kind", "pictures", "refused", "top-1 the same", "confidence, most", "of 99 in 100", "pixel, most"],
        [(name, *differences.figures()) for name, differences in kinds.items()],
    )
    same = np.concatenate([differences.same for differences in kinds.values()])
    most = max(max(differences.confidence, default=0.0) for differences in kinds.values())
    print(f"\n{len(same)} files are answered, {same.mean():.5f} with the same top-1, confidences within {most:.3f}.")
    for name, differences in kinds.items():
        if differences.refused:
            print(f"{name}: {differences.words.splitlines()[0]}")


def main() -> None:
    """Print the table."""
    asked = options(__doc__, "photos", number=1000, model=None, size=64, epochs=6)
    photos = files_in(asked.photos)
    model = files.load(asked.model) if asked.model else train(photos, asked.size, asked.epochs)
    chosen = photos[:: max(1, len(photos) // asked.number)][: asked.number]
    kinds = compare(ServedModel(model, 1, MAX_PIXELS, UNSCALED), chosen)
    network, size = model.description.network, model.description.size
    print(f"{network}, {size} px, {len(model.class_names)} classes, {len(chosen)} photos\n")
    report(kinds)


if __name__ == "__main__":
    main()
