"""A small library with every odd file that people bring: each is a picture, or a row with an error."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from conftest import ROOT, write_no_embedding
from pictures import draw, save
from PIL import Image

from stages import dedup, fingerprint, merge, shard, split
from stages.shards.prepared import decode
from stages.shards.tars import ShardReader
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.images import IMAGES
from stages.tables.shards import FOLDER, INDEX
from stages.tables.splits import SPLITS

pytestmark = pytest.mark.slow

CLASSES = ('it\'s a "boot" #1', "кот, и пёс", "鳥 [x]: -y")
READABLE = ("cmyk.jpg", "sixteen.png", "palette.png", "animated.gif")
BROKEN = {
    "empty.jpg": "the file is empty",
    "text.jpg": "not a picture in one of the formats",
    "cut.jpg": "image file is truncated",
    "bomb.png": "30000 x 30000 pixels",
}


def write_library(folder: Path) -> None:
    for number, name in enumerate(CLASSES):
        for picture in range(8):
            save(folder / name / f"p {picture} «é».png", 100 * number + picture)
    odd = folder / CLASSES[0]
    draw(1000).convert("CMYK").save(odd / "cmyk.jpg")
    Image.fromarray(np.asarray(draw(1001).convert("L"), np.uint16) * 257).save(odd / "sixteen.png")
    draw(1002).convert("P").save(odd / "palette.png", transparency=3)
    draw(1003).save(odd / "animated.gif", save_all=True, append_images=[draw(1004), draw(1005)])
    (odd / "empty.jpg").touch()
    (odd / "text.jpg").write_text("no picture")
    draw(1006).save(odd / "whole.jpg")
    (odd / "cut.jpg").write_bytes((odd / "whole.jpg").read_bytes()[:-99])
    (odd / "whole.jpg").unlink()
    Image.new("1", (30_000, 30_000)).save(odd / "bomb.png")


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """The library after the data half of the pipeline."""
    root = tmp_path_factory.mktemp("odd")
    write_library(root / "data/library")
    for name in ("benchmarks", "unlabelled", "base", "decisions"):
        (root / "data" / name).mkdir()
    shutil.copy(ROOT / "params.yaml", root)
    params = yaml.safe_load((root / "params.yaml").read_text())
    params["split"] |= {"minimum": 5, "maximum": 20}
    (root / "params.yaml").write_text(yaml.safe_dump(params))
    (root / "data/classes.yaml").write_text(yaml.safe_dump({"merge": {"обувь": [CLASSES[0]]}}, allow_unicode=True))
    (root / "data/confused.csv").write_text("truth,predicted,weight\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        write_no_embedding()
        for stage in (fingerprint, dedup, merge, split, shard):
            stage.main()
    return root


@pytest.fixture
def library(prepared, monkeypatch):
    monkeypatch.chdir(prepared)


def names(paths: pd.Series) -> set[str]:
    return {Path(path).name for path in paths}


def test_what_cannot_be_read_is_a_row_with_the_reason_and_everything_else_is_used(library):
    rows = FINGERPRINTS.read().set_index("path")["error"].dropna()
    assert names(rows.index) == set(BROKEN)
    for path, error in rows.items():
        assert BROKEN[Path(path).name] in error
    images = IMAGES.read()
    assert names(images.loc[images["dropped"].notna(), "path"]) == set(BROKEN)
    assert set(images.loc[images["dropped"].notna(), "dropped"]) == {merge.UNREADABLE}


def test_folders_with_spaces_quotes_and_other_letters_are_classes(library):
    assert set(SPLITS.read()["class_name"]) == {"обувь", *CLASSES[1:]}


def test_every_readable_picture_is_in_the_shards_and_looks_like_itself(library):
    fingerprints = FINGERPRINTS.read()
    readable = fingerprints[fingerprints["error"].isna()]
    index = INDEX.read()
    assert set(index["image_id"]) == set(readable["image_id"])
    odd = readable[readable["path"].map(lambda path: Path(path).name).isin(READABLE)]
    assert len(odd) == len(READABLE)
    with ShardReader(FOLDER, index) as reader:
        for image_id in odd["image_id"]:
            assert decode(reader.encoded(image_id)).std() > 20  # neither white nor black, as clipped ones are
