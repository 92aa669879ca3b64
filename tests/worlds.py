"""A tiny prepared world: shards and tables as the data half leaves them, drawn by hand, in the working directory."""

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import yaml

from runtime.outputs import write_json
from stages.embeddings.vectors import units
from stages.models import determinism, files, networks
from stages.shards.codec import encode
from stages.shards.tars import write_shard
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.images import IMAGES
from stages.tables.pretrained import Published, paths
from stages.tables.shards import FOLDER, INDEX
from stages.tables.splits import SPLITS

SIZE = 16
# Compiling the augmentation takes longer than training.
PLAIN = {"mirror": False, "rotation": 0.0, "zoom": 0.0}
COLOURS = {"amber": (250, 190, 20), "blue": (20, 40, 230), "green": (30, 200, 60), "red": (240, 20, 20)}
COLOURS["yellow"] = COLOURS["amber"]
DIGEST = 64 * "0"  # of a graph that is not there


class Shards:
    """Stands for a ShardReader: image_id "3" is the picture number 3. Counts what is read."""

    def __init__(self, pictures, codec="webp"):
        self.encoded_pictures = [encode(pixels, codec) for pixels in pictures]
        self.num_read = 0

    def __contains__(self, image_id):
        return int(image_id) < len(self.encoded_pictures)

    def encoded(self, image_id):
        self.num_read += 1
        return self.encoded_pictures[int(image_id)]


def picture(class_name: str, number: int, size: int = SIZE) -> np.ndarray:
    """A field of the class's colour with some noise: easy to learn."""
    noise = np.random.default_rng([number, *class_name.encode()]).integers(-20, 21, (size, size, 3))
    return np.clip(np.array(COLOURS[class_name]) + noise, 0, 255).astype(np.uint8)


def write_world(classes=("amber", "blue"), train=8, validation=2, test=2, size=SIZE, pictures_in_shard=7, **changes):
    """Write params.yaml, data/shards, data/splits.parquet and data/images.parquet; `changes` are of section train."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["picture"]["side"] = size
    params["train"] |= {
        "batch_size": 8,
        "epochs": 1,
        "epochs_from_scratch": 2,
        "augmentation": PLAIN,
        "label_smoothing": 0.0,
        **changes,
    }
    params["evaluate"]["batch_size"] = 4
    Path("params.yaml").write_text(yaml.safe_dump(params))
    splits = ["train"] * train + ["validation"] * validation + ["test"] * test
    rows, contents = [], {}
    for class_name in classes:
        for number, split in enumerate(splits):
            data = encode(picture(class_name, number, size), "png")
            image_id = hashlib.md5(data, usedforsecurity=False).hexdigest()
            contents[image_id] = data
            rows.append({"image_id": image_id, "class_name": class_name, "split": split, "number": number})
    frame = pd.DataFrame(rows)
    SPLITS.write(frame)
    IMAGES.write(
        frame.assign(
            path=[f"library/{row.class_name}/{row.number}.png" for row in frame.itertuples()],
            sub_class=frame["class_name"],
            was=None,
            origin="real",
            set="library",
            group=frame["image_id"],
            group_size=1,
            dropped=None,
            phash=pd.array(range(len(frame)), dtype="UInt64"),
            faults=None,
            source=None,
            sources=None,
            said_same=None,
            confirmed=False,
        )
    )
    write_shards(contents, pictures_in_shard)
    embeddings = [[*COLOURS[row.class_name], 10 * row.number] for row in frame.itertuples()]
    write_embeddings(frame["image_id"], np.array(embeddings))
    describe_network()
    return frame


def use_precision(precision: str) -> None:
    """Let evaluate and identify calculate in a precision."""
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["evaluate"]["precision"] = precision
    Path("params.yaml").write_text(yaml.safe_dump(params))


def describe_network(network: str = "efficientnet_lite0", graph_sha256: str = DIGEST) -> None:
    """Write what is known of a frozen network, which is not there itself."""
    unknown = {"source": "test", "version": "1", "licence": None, "source_sha256": None, "weights_sha256": DIGEST}
    published = Published(network=network, **unknown, side=SIZE, graph_sha256=graph_sha256)
    paths(network).description.parent.mkdir(exist_ok=True)
    write_json(paths(network).description, published.model_dump())


def write_embeddings(image_ids, embeddings: np.ndarray) -> None:
    """Write data/embeddings: of shape (pictures, features), in the order of the image_ids."""
    order = np.argsort(image_ids)
    EMBEDDED.write(pd.DataFrame({"image_id": np.array(image_ids, object)[order]}))
    np.save(EMBEDDINGS, embeddings[order].astype(np.float16))


def write_shards(contents: dict[str, bytes], pictures_in_shard: int) -> None:
    """Pack encoded pictures by image_id, in the order given."""
    Path(FOLDER).mkdir(parents=True, exist_ok=True)
    names = list(contents)
    rows = []
    for number, first in enumerate(range(0, len(names), pictures_in_shard)):
        members = names[first : first + pictures_in_shard]
        positions = write_shard(
            Path(FOLDER) / f"{number:05d}.tar", [(f"{name}.png", contents[name]) for name in members]
        )
        rows += [
            {"image_id": name, "shard": f"{number:05d}.tar", "offset": offset, "size": size}
            for name, (offset, size) in zip(members, positions, strict=True)
        ]
    INDEX.write(pd.DataFrame(rows))


def write_model(
    folder: str, class_names: list[str], seed: int, size: int = SIZE, embedded_by: str | None = DIGEST
) -> None:
    """Write the small network as drawn at random, with the classes' colours as their means."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    determinism.enable(seed)
    network = networks.build("small", size, len(class_names))
    means = files.ClassMeans(units(np.array([[*COLOURS.get(name, (9, 9, 9)), 0] for name in class_names])), embedded_by)
    sub_classes = {name: [name] for name in class_names}
    files.save(Path(folder), network, class_names, sub_classes, (), means if embedded_by else None)


def write_base(class_names: list[str], size: int = SIZE, embedded_by: str | None = DIGEST) -> None:
    """Write a base: a model as drawn at random; its other files are empty."""
    write_model("data/base/model", class_names, seed=2, size=size, embedded_by=embedded_by)
    Path("data/base/shards").mkdir()
    for name in ("model/lineage.parquet", "shards/index.parquet", "metrics.json", "version.json"):
        Path("data/base", name).touch()


def digests(folder: str) -> dict[str, str]:
    """SHA-256 of every file of a folder, by name."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(Path(folder).rglob("*"))
        if path.is_file()
    }
