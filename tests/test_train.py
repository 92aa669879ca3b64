import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT
from worlds import digests, write_base, write_model, write_world

from stages import train
from stages._checkpoint import Checkpoints
from stages._decoded import DEFAULT_FOLDER
from stages._errors import BaseError, InputError, TrainingError
from stages.models import batches, files
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.splits import SPLITS

FILES = ["classes.json", "history.csv", "lineage.parquet", "model.json", "model.weights.h5"]
COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"]


def process() -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3"}
    return subprocess.Popen([sys.executable, "-m", "stages.train"], env=environment, stderr=subprocess.PIPE, text=True)


def make_base() -> None:
    """Make the base of what stands in data/model."""
    Path("data/base/shards").mkdir(parents=True)
    Path("data/model").rename("data/base/model")
    for name in ("shards/index.parquet", "metrics.json", "version.json"):
        Path("data/base", name).touch()


def history() -> pd.DataFrame:
    return pd.read_csv("data/model/history.csv")


def test_one_epoch_of_eight_pictures(workspace):
    rows = write_world(train=4, validation=1, test=0, epochs_from_scratch=1)
    train.main()
    assert sorted(path.name for path in Path("data/model").iterdir()) == FILES
    assert json.loads(Path("data/model/classes.json").read_text()) == ["amber", "blue"]
    assert files.load(Path("data/model")).description.sub_classes == {"amber": ["amber"], "blue": ["blue"]}
    assert list(history()) == COLUMNS
    assert history()["epoch"].tolist() == [1]
    trained = LINEAGE.read()
    assert trained["image_id"].tolist() == sorted(rows.loc[rows["split"] == "train", "image_id"])
    assert sorted(path.name for path in workspace.iterdir()) == [".dvc", "data", "dvclive", "params.yaml"]
    assert not list(Path(".dvc/tmp/retrain/checkpoints").iterdir())
    logged = pd.read_csv("dvclive/plots/metrics/val_loss.tsv", sep="\t")
    assert logged["val_loss"].tolist() == pytest.approx(history()["val_loss"], abs=1e-4)


def test_a_killed_run_that_is_run_again_ends_with_the_bytes_of_one_that_was_not(workspace, caplog):
    write_world(epochs_from_scratch=25, augmentation={"mirror": True, "rotation": 10.0, "zoom": 0.1})
    killed = process()
    while not (found := list(Path(".dvc/tmp/retrain/checkpoints").glob("*/00000[1-9]"))) and killed.poll() is None:
        time.sleep(0.002)
    killed.send_signal(signal.SIGKILL)
    killed.communicate()
    assert found
    assert not Path("data/model").exists()

    resumed = process()
    _, log = resumed.communicate()
    assert resumed.returncode == 0, log
    assert "goes on after epoch" in log
    after_the_kill = digests("data/model")
    assert len(history()) == 25
    assert not list(Path(".dvc/tmp/retrain/checkpoints").iterdir())
    assert len(pd.read_csv("dvclive/plots/metrics/loss.tsv", sep="\t")) == 25

    with caplog.at_level(logging.INFO):
        train.main()
    assert "goes on after epoch" not in caplog.text
    assert digests("data/model") == after_the_kill


def test_the_same_pictures_train_the_same_model_whatever_holds_them_and_however_many_threads_decode(
    workspace, monkeypatch
):
    made = []
    for pictures_in_shard, num_threads, decoded in ((7, 2, DEFAULT_FOLDER), (3, 5, ""), (100, 1, "elsewhere")):
        shutil.rmtree("data/shards", ignore_errors=True)
        write_world(train=20, epochs_from_scratch=3, pictures_in_shard=pictures_in_shard)
        monkeypatch.setattr(batches, "num_cores", lambda number=num_threads: number)
        monkeypatch.setenv("RETRAIN_DECODED", decoded)
        train.main()
        made.append(digests("data/model"))
    assert made[0] == made[1] == made[2]


def test_a_warm_start_goes_on_from_the_base_and_remembers_what_it_was_trained_on(workspace):
    old = write_world(classes=("amber", "blue"), epochs_from_scratch=10)
    train.main()
    from_scratch = history()
    make_base()
    new = write_world(classes=("blue", "green"), epochs=1, learning_rate=1e-6)
    train.main()
    assert len(history()) == 1
    assert json.loads(Path("data/model/classes.json").read_text()) == ["blue", "green"]
    assert history()["loss"][0] < from_scratch["loss"][0] + 1
    trained = pd.concat([rows.loc[rows["split"] == "train", "image_id"] for rows in (old, new)])
    assert LINEAGE.read()["image_id"].tolist() == sorted(set(trained))
    base, model = (files.load(Path(folder)) for folder in ("data/base/model", "data/model"))
    before, after = (each.network.get_layer("scores").get_weights()[0] for each in (base, model))
    assert np.allclose(before[:, 1], after[:, 0], atol=1e-4)


def test_the_best_epoch_by_validation_loss_is_kept(workspace, monkeypatch):
    seen = {}

    def spy(self, number, arrays, state):
        weights = [values for name, values in arrays.items() if name.startswith("variable")]
        seen[number] = {values.tobytes() for values in weights}

    monkeypatch.setattr(Checkpoints, "save", spy)
    write_world(epochs_from_scratch=6, learning_rate_from_scratch=0.05)
    train.main()
    best = history().set_index("epoch")["val_loss"].idxmin()
    kept = {values.tobytes() for values in files.load(Path("data/model")).network.get_weights()}
    assert best < 6
    assert [number for number in seen if kept <= seen[number]] == [best]


def test_a_loss_that_is_not_a_number_stops_and_leaves_the_model_that_stands(workspace):
    write_world(epochs_from_scratch=3, learning_rate_from_scratch=1e38)
    Path("data/model").mkdir()
    Path("data/model/classes.json").write_text("earlier")
    with pytest.raises(TrainingError, match=r"In epoch \d the loss is .*Lower the learning rate in params.yaml"):
        train.main()
    assert [path.name for path in Path("data/model").iterdir()] == ["classes.json"]


def test_a_start_from_a_file_of_weights_takes_them(workspace):
    write_model("given", ["amber", "blue", "green"], seed=5)
    write_world(epochs_from_scratch=1, weights="given/model.weights.h5", learning_rate_from_scratch=1e-9)
    train.main()
    given, made = (files.load(Path(folder)).network.get_layer("body") for folder in ("given", "data/model"))
    weights = zip(given.trainable_weights, made.trainable_weights, strict=True)
    assert all(np.allclose(a.numpy(), b.numpy(), atol=1e-6) for a, b in weights)


def test_without_a_picture_to_validate_with_nothing_is_trained(workspace):
    write_world(validation=0)
    with pytest.raises(InputError, match="splits.parquet has no picture of the split 'validation'"):
        train.main()
    write_world(train=0)
    with pytest.raises(InputError, match="splits.parquet has no picture of the split 'train'"):
        train.main()


def test_a_class_to_validate_that_is_not_trained_is_refused(workspace):
    rows = write_world()
    SPLITS.write(rows[~((rows["split"] == "train") & (rows["class_name"] == "blue"))])
    with pytest.raises(InputError, match="validation has classes that train lacks: blue"):
        train.main()


def test_a_base_of_another_network_or_half_a_base_stops_before_anything_is_trained(workspace):
    write_base(["amber", "blue"])
    write_world(network="MobileNetV3Small", size=32)
    with pytest.raises(BaseError, match="data/base is a small, params.yaml: train.network says MobileNetV3Small"):
        train.main()
    Path("data/base/version.json").unlink()
    with pytest.raises(BaseError, match=r"lacks version.json"):
        train.main()
    assert not Path("data/model").exists()


def test_lineage_unites_what_belonged_together_then_and_now():
    images = pd.DataFrame(
        {
            "image_id": ["a", "b", "c", "c", "d"],
            "group": ["a", "a", "c", "c", "d"],
            "phash": pd.array([1, None, 2**64 - 1, 2**64 - 1, 4], dtype="UInt64"),
        }
    )
    ancestors = pd.DataFrame(
        {
            "image_id": ["a", "z"],
            "group": ["a", "y"],
            "members": [["a", "old"], ["y", "z"]],
            "phash": pd.array([1, 9], dtype="UInt64"),
        }
    )
    rows = train.lineage(images, ["a", "c"], ancestors).set_index("image_id")
    assert rows["members"].to_dict() == {"a": ["a", "b", "old"], "c": ["c"], "z": ["y", "z"]}
    assert rows["group"].to_dict() == {"a": "a", "c": "c", "z": "y"}
    assert rows["phash"].to_dict() == {"a": 1, "c": 2**64 - 1, "z": 9}
    assert train.lineage(images, ["d"], None)["members"].tolist() == [["d"]]


def test_sub_classes_are_those_of_the_library(workspace):
    write_world()
    images = IMAGES.read()
    more = images.head(1).assign(path="benchmarks/difficult/amber/x.png", set="difficult", sub_class="amber_hard")
    found = train.sub_classes(pd.concat([images, more]), ["amber", "blue", "green"])
    assert found == {"amber": ["amber"], "blue": ["blue"], "green": []}
