import errno
import json
import logging
import re
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from backends import BACKENDS, run_on
from worlds import DIGEST, digests, write_base, write_model, write_world

from runtime import parameters
from runtime.errors import BaseError, InputError, TrainingError
from stages import train
from stages.embeddings.class_means import class_means
from stages.embeddings.vectors import read_vectors
from stages.models import files
from stages.shards import batches
from stages.shards.decoded import DEFAULT_FOLDER
from stages.shards.tars import ShardReader
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.shards import FOLDER, INDEX
from stages.tables.splits import SPLITS
from stages.training import fit, steps, warm_start
from stages.training.checkpoints import Checkpoints
from stages.training.devices import Devices
from stages.training.exhaustion import exhaustion_explained
from stages.training.fit import Trainer
from stages.training.freezing import leaves
from stages.training.session import labelled, open_session, recipe

pytestmark = pytest.mark.slow

FILES = ["carried.csv", "class_means.npy", "classes.json", "history.csv", "lineage.parquet"]
FILES += ["model.json", "model.weights.h5"]
COLUMNS = ["epoch", "loss", "accuracy", "val_loss", "val_accuracy", "averaged", "learning_rate"]


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
    training = rows[rows["split"] == "train"]
    expected = class_means(read_vectors(training["image_id"]), (training["class_name"] == "blue").astype(int), 2)
    np.testing.assert_allclose(files.load(Path("data/model")).class_means, expected, atol=1e-6)
    assert json.loads(Path("data/model/model.json").read_text())["embedded_by"] == DIGEST
    trained = LINEAGE.read()
    assert trained["image_id"].tolist() == sorted(rows.loc[rows["split"] == "train", "image_id"])
    assert sorted(path.name for path in workspace.iterdir()) == [".dvc", "data", "dvclive", "params.yaml"]
    assert not list(Path(".dvc/tmp/retrain/checkpoints").iterdir())
    logged = pd.read_csv("dvclive/plots/metrics/val_loss.tsv", sep="\t")
    assert logged["val_loss"].tolist() == pytest.approx(history()["val_loss"], abs=1e-4)


# Kills its own process, as the machine would, at the N-th time that a function is reached.
KILL = """
import os, signal, sys
import h5py, keras, numpy
from stages import train
from stages.training import checkpoints
from runtime.command import run
from stages.models import files
from stages.training import fit, steps

fit.CHECKPOINT_SECONDS = -1  # a checkpoint after each step
moment, times = sys.argv[1], int(sys.argv[2])
where = {
    "in an epoch": ({"tensorflow": steps._TensorFlowSteps, "jax": steps._JaxSteps}[keras.backend.backend()], "train"),
    "writing a checkpoint": (numpy, "savez"),
    "before an old checkpoint is dropped": (checkpoints, "sync_folder"),
    "writing the model": (files, "write_json"),
}[moment]
original = getattr(*where)

def count(*arguments, **named):
    global times
    times -= 1
    if not times:
        if moment == "writing a checkpoint":
            arguments[0].write(b"PK half of it")
            arguments[0].flush()
        os.kill(os.getpid(), signal.SIGKILL)
    return original(*arguments, **named)

setattr(*where, count)
run(train.main)
"""
MOMENTS = [
    ("in an epoch", 6),
    ("writing a checkpoint", 3),
    ("in an epoch", 2),
    ("before an old checkpoint is dropped", 1),
    ("writing the model", 1),
]
# A process of JAX is slow to start, and files are written by the same code: its steps are what differs.
MOMENTS_ON_JAX = [MOMENTS[0], MOMENTS[-1]]


def begun_at(done: subprocess.CompletedProcess[str], status: int = 0) -> int:
    """Say at which step a run began, three being an epoch, that ended with this status."""
    assert done.returncode == status, done.stderr
    goes_on = re.search(r"goes on after epoch (\d), step (\d)", done.stderr)
    return 3 * int(goes_on[1]) + int(goes_on[2]) if goes_on else 0


GIVEN = {"weights": "given/model.weights.h5"}
# Two epochs of the output layer alone, then one in which the body learns as well.
TUNED = {**GIVEN, "freeze_epochs": 2, "frozen_fraction": 0.3, "freeze_normalization": True, "body_learning_rate": 0.5}
TUNED_AND_AVERAGED = {**TUNED, "average_weights": 1.0}


@pytest.mark.parametrize(
    ("backend", "moments", "changes"),
    [
        ("tensorflow", MOMENTS, {}),
        ("tensorflow", MOMENTS, TUNED_AND_AVERAGED),
        ("jax", MOMENTS_ON_JAX, {"average_weights": 1.0}),
    ],
    ids=["from scratch", "fine-tuned", "jax"],
)
def test_a_run_killed_at_any_moment_ends_with_the_bytes_of_one_that_was_not(workspace, backend, moments, changes):
    write_model("given", ["amber", "blue"], seed=5)
    # 24 pictures in batches of 8: three steps an epoch.
    augmentation = {"mirror": True, "rotation": 10.0, "zoom": 0.1}
    write_world(train=12, epochs_from_scratch=3, augmentation=augmentation, **changes)
    begun = []
    for moment, times in moments:
        begun.append(begun_at(run_on(backend, "-c", KILL, moment, str(times)), -signal.SIGKILL))
        assert not Path("data/model").exists()
    # The checkpoint that was being written behind the sixth step may be lost, the one before it not.
    assert begun[0] == 0
    assert begun[1] in (4, 5)
    assert begun == sorted(begun)
    assert begun_at(run_on(backend, "-m", "stages.train")) == 9
    after_the_kills = digests("data/model")
    assert len(history()) == 3
    assert not list(Path(".dvc/tmp/retrain/checkpoints").iterdir())
    assert len(pd.read_csv("dvclive/plots/metrics/loss.tsv", sep="\t")) == 3

    assert begun_at(run_on(backend, "-m", "stages.train")) == 0
    assert digests("data/model") == after_the_kills
    assert files.load(Path("data/model")).class_names == ["amber", "blue"]


@pytest.fixture
def tiny_disk():
    """Make a folder a file system of its own with a megabyte; as a user who may not, tests end here."""
    mounted = []

    def mount(folder: str) -> None:
        Path(folder).mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", folder], capture_output=True, text=True
        )
        if done.returncode:
            pytest.skip(f"only root can mount a full disk: {done.stderr.strip()}")
        mounted.append(Path(folder).resolve())

    yield mount
    for folder in mounted:
        subprocess.run(["umount", folder], check=True)


@pytest.mark.parametrize("folder", ["data", ".dvc/tmp/retrain/checkpoints"])
def test_a_full_disk_stops_with_what_to_change_and_without_a_model(workspace, tiny_disk, folder):
    Path("data/base").rmdir()
    tiny_disk(folder)
    write_world(epochs_from_scratch=1)
    with pytest.raises(TrainingError, match=r"The disk is full \(.*No space left.*No model was written.*RETRAIN_CHECK"):
        train.main()
    assert not Path("data/model").exists()
    assert not Path("data/model.partial").exists()
    assert not list(Path(".dvc/tmp/retrain/checkpoints").glob("*/*.partial"))


def test_no_space_left_is_explained_whoever_says_it():
    with (
        pytest.raises(TrainingError, match=r"The disk is full \(\[Errno 122\] quota\)"),
        exhaustion_explained(32, "float32"),
    ):
        raise OSError(errno.EDQUOT, "quota")
    with pytest.raises(FileNotFoundError), exhaustion_explained(32, "float32"):
        raise FileNotFoundError(errno.ENOENT, "absent")
    with pytest.raises(RuntimeError, match="a bug"), exhaustion_explained(32, "float32"):
        raise RuntimeError("a bug")


class JaxRuntimeError(RuntimeError):
    """As JAX names it."""


def raised(error: Exception) -> None:
    raise error


MEMORY = {
    "numpy": lambda: np.empty(1 << 60, np.uint8),
    "tensorflow": lambda: (_ for _ in ()).throw(
        tf.errors.ResourceExhaustedError(None, None, "OOM: tensor [9,9]\nat x")
    ),
    "jax": lambda: (_ for _ in ()).throw(JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory while trying")),
}


@pytest.mark.parametrize("whose", MEMORY)
def test_a_full_memory_stops_with_what_to_change_and_leaves_the_model_that_stands(workspace, monkeypatch, whose):
    monkeypatch.setattr(steps._TensorFlowSteps, "train", lambda *_, **__: MEMORY[whose]())
    write_world(epochs_from_scratch=1)
    Path("data/model").mkdir()
    Path("data/model/classes.json").write_text("earlier")
    with pytest.raises(TrainingError, match=r"Memory is full \(.*Lower train.batch_size .*it is 8\), set train"):
        train.main()
    assert [path.name for path in Path("data/model").iterdir()] == ["classes.json"]


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


def test_a_carried_start_begins_at_the_base_s_own_validation_loss(workspace):
    write_world(classes=("amber", "blue", "green"), train=12, epochs_from_scratch=4)
    train.main()
    loss_of_base = history()["val_loss"].min()
    make_base()
    size, params = parameters.read(parameters.Picture).side, parameters.read(parameters.Train)
    splits, class_names = SPLITS.read(), ["amber", "blue", "green"]
    base = warm_start.load_base("small", size)
    rows = warm_start.carried_rows({name: [name] for name in class_names}, base.description.sub_classes, "carry")
    with ShardReader(FOLDER, INDEX.read()) as reader:
        pictures = batches.Pictures(reader, size)
        parts = [labelled(splits, name, class_names, pictures) for name in ("train", "validation")]
        network = warm_start.start(params, size, 3, base, rows)
        trainer = Trainer(network, recipe(params, warm=True), 36, Checkpoints("run"), Devices())
        begins_at, _ = trainer.validate(parts[1])
    assert begins_at == pytest.approx(loss_of_base, rel=1e-5)
    assert warm_start.describe(rows) == "3 of 3 classes kept"


def test_what_was_carried_over_is_written_beside_the_model(workspace):
    write_world(classes=("amber", "blue"), epochs_from_scratch=1)
    train.main()
    assert pd.read_csv("data/model/carried.csv")["how"].tolist() == ["new", "new"]
    make_base()
    write_world(classes=("blue", "green"), epochs=1)
    train.main()
    rows = pd.read_csv("data/model/carried.csv", keep_default_na=False).to_numpy().tolist()
    assert rows == [["blue", "kept", "blue"], ["green", "new", ""]]


def test_a_renamed_folder_s_class_begins_with_its_row(workspace):
    write_world(classes=("amber", "blue"), epochs_from_scratch=1)
    train.main()
    make_base()
    write_world(classes=("blue", "green"), epochs=1)
    images = IMAGES.read()
    images["was"] = images["sub_class"].map({"green": "amber"})
    IMAGES.write(images)
    train.main()
    rows = pd.read_csv("data/model/carried.csv", keep_default_na=False).to_numpy().tolist()
    assert rows == [["blue", "kept", "blue"], ["green", "renamed", "amber"]]
    assert files.load(Path("data/model")).description.sub_classes == {"blue": ["blue"], "green": ["green"]}


def test_the_log_says_what_is_trained_from_where_and_what_came_out(workspace, caplog):
    caplog.set_level(logging.INFO)
    write_world(classes=("amber", "blue"), train=4, validation=1, epochs_from_scratch=1)
    train.main()
    first, _, last = [record.getMessage() for record in caplog.records if record.name == "stages.train"]
    assert first.startswith("train: small at 16 pixels, 8 pictures to train with and 2 to validate with, 2 classes")
    assert first.endswith(", from scratch")
    assert last.startswith("train: data/model: epoch 1 of 1 is the best: validation loss ")
    make_base()
    caplog.clear()
    write_world(classes=("blue", "green"), train=4, validation=1, epochs=1)
    train.main()
    assert "2 classes, from the base: 1 of 2 classes kept; new: green" in caplog.text


def test_the_log_says_of_each_epoch_how_fast_it_was_and_where_its_time_went(workspace, monkeypatch, caplog):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(fit, "INTERVAL", 0.0)  # an epoch that takes longer has a line
    write_world(train=4, validation=1, epochs_from_scratch=2)
    train.main()
    shares = ", ".join(rf"{what} \d+%" for what in ("steps", "waiting for pictures", "validation", "checkpoints"))
    lines = [record.getMessage() for record in caplog.records if record.name == fit.__name__]
    found = [re.fullmatch(rf"\S+: epoch (\d): [\d,]+ pictures/s; {shares}", line) for line in lines]
    assert [each and each[1] for each in found] == ["1", "2"]


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
    steps = 2
    assert [number for number in seen if kept <= seen[number]] == [best * steps]


def test_a_validation_loss_that_is_not_a_number_stops_and_leaves_the_model_that_stands(workspace):
    write_world(epochs_from_scratch=3, learning_rate_from_scratch=1e38)
    Path("data/model").mkdir()
    Path("data/model/classes.json").write_text("earlier")
    with pytest.raises(TrainingError, match=r"In epoch 1 the validation loss is nan; .*Lower the learning rate"):
        train.main()
    assert [path.name for path in Path("data/model").iterdir()] == ["classes.json"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loss_that_is_not_a_number_stops_within_its_epoch_and_no_model_is_written(workspace, backend):
    # The first step's rate is 0, the second spoils the weights, the third's loss shows it.
    write_world(train=16, epochs_from_scratch=2, learning_rate_from_scratch=1e38)
    done = run_on(backend, "-m", "stages.train")
    assert done.returncode == 1
    assert "error: In epoch 1 the loss is nan; expected a number. No model was written. Lower the" in done.stderr
    assert not Path("data/model").exists()


def test_a_start_from_a_file_of_weights_takes_them(workspace):
    write_model("given", ["amber", "blue", "green"], seed=5)
    write_world(epochs_from_scratch=1, weights="given/model.weights.h5", learning_rate_from_scratch=1e-9)
    train.main()
    given, made = (files.load(Path(folder)).network.get_layer("body") for folder in ("given", "data/model"))
    weights = zip(given.trainable_weights, made.trainable_weights, strict=True)
    assert all(np.allclose(a.numpy(), b.numpy(), atol=1e-6) for a, b in weights)


def learned(changes: dict[str, object], epochs: int = 2) -> tuple[dict[str, bool], pd.DataFrame]:
    """Train from given weights; say of each weight and average of the body whether it changed, in order."""
    if not Path("given").exists():
        write_model("given", ["amber", "blue"], seed=5)
    write_world(epochs_from_scratch=epochs, learning_rate_from_scratch=0.01, **GIVEN, **changes)
    train.main()
    given, made = (files.load(Path(folder)).network.get_layer("body") for folder in ("given", "data/model"))
    pairs = zip(given.weights, made.weights, strict=True)
    return {one.path: not np.array_equal(one.numpy(), other.numpy()) for one, other in pairs}, history()


def test_while_the_output_layer_learns_alone_the_body_stays_to_the_last_bit(workspace):
    changed, rows = learned({"freeze_epochs": 2})
    assert not any(changed.values())
    assert rows["loss"].is_monotonic_decreasing  # its scores are learned all the same
    changed, _ = learned({"frozen_fraction": 1.0})
    assert not any(changed.values())


def test_after_the_frozen_epochs_the_body_learns_too_and_its_rate_climbs_anew(workspace):
    changed, rows = learned({"freeze_epochs": 1}, epochs=3)
    assert all(changed.values())
    assert rows["learning_rate"].tolist()[0] < rows["learning_rate"].tolist()[1]


def test_normalization_that_is_frozen_keeps_weights_and_averages_and_all_else_learns(workspace):
    changed, _ = learned({"freeze_normalization": True})
    assert {path: is_changed for path, is_changed in changed.items() if is_changed == ("normalization" in path)} == {}


def test_a_share_of_the_layers_is_frozen_from_the_pictures_on(workspace):
    changed, _ = learned({"frozen_fraction": 0.5})  # of seven convolutions and seven normalizations
    assert sorted({path.split("/")[-2] for path, is_changed in changed.items() if not is_changed}) == [
        *(f"convolution_{number}" for number in range(1, 5)),
        *(f"normalization_{number}" for number in range(1, 4)),
    ]


def test_weights_drawn_at_random_are_not_kept_whatever_the_parameters_say(workspace):
    made = []
    for changes in ({}, {name: value for name, value in TUNED.items() if name != "weights"}):
        write_world(epochs_from_scratch=2, **changes)
        train.main()
        made.append(digests("data/model"))
    assert made[0] == made[1]


def test_a_warm_start_keeps_what_it_is_told_to_keep(workspace):
    write_world(epochs_from_scratch=1)
    train.main()
    make_base()
    write_world(epochs=1, freeze_epochs=1)
    train.main()
    base, made = (files.load(Path(folder)).network for folder in ("data/base/model", "data/model"))
    pairs = zip(base.get_layer("body").get_weights(), made.get_layer("body").get_weights(), strict=True)
    assert all(np.array_equal(one, other) for one, other in pairs)
    assert not np.array_equal(base.get_layer("scores").get_weights()[0], made.get_layer("scores").get_weights()[0])


def test_nothing_is_frozen_in_what_training_returns(workspace):
    write_model("given", ["amber", "blue"], seed=5)
    write_world(epochs_from_scratch=1, **TUNED)
    params = parameters.read(parameters.Train)
    with open_session(params, 16, SPLITS.read(), INDEX.read()) as session:
        training = session.begin(lambda: warm_start.start(params, 16, 2), warm=False)
        list(training.epochs)
    assert all(layer.trainable for layer in leaves(training.network))


def test_a_model_names_every_file_of_weights_that_it_and_its_ancestors_began_with(workspace):
    def weights_of(folder):
        return {"path": f"{folder}/model.weights.h5", "weights_sha256": digests(folder)["model.weights.h5"]}

    write_model("given", ["amber", "blue"], seed=5)
    write_world(epochs_from_scratch=1, epochs=1, weights="given/model.weights.h5")
    chain = [weights_of("given")]
    for _ in range(3):
        train.main()
        described = json.loads(Path("data/model/model.json").read_text())
        assert described["began_with"] == chain
        shutil.rmtree("data/base")
        make_base()
        chain = [weights_of("data/base/model"), *chain]


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
            "sources": [["ann"], ["ann"], None, None, None],
            "phash": pd.array([1, None, 2**64 - 1, 2**64 - 1, 4], dtype="UInt64"),
        }
    )
    ancestors = pd.DataFrame(
        {
            "image_id": ["a", "z"],
            "group": ["a", "y"],
            "members": [["a", "old"], ["y", "z"]],
            "sources": [["ann", "ben"], None],
            "phash": pd.array([1, 9], dtype="UInt64"),
        }
    )
    rows = train.lineage(images, ["a", "c"], ancestors).set_index("image_id")
    assert rows["members"].to_dict() == {"a": ["a", "b", "old"], "c": ["c"], "z": ["y", "z"]}
    assert rows["group"].to_dict() == {"a": "a", "c": "c", "z": "y"}
    assert rows["sources"].dropna().to_dict() == {"a": ["ann", "ben"]}
    assert rows["phash"].to_dict() == {"a": 1, "c": 2**64 - 1, "z": 9}
    assert train.lineage(images, ["d"], None)["members"].tolist() == [["d"]]


def test_sub_classes_are_those_of_the_library(workspace):
    write_world()
    images = IMAGES.read()
    more = images.head(1).assign(path="benchmarks/difficult/amber/x.png", set="difficult", sub_class="amber_hard")
    listed = train.sub_classes(pd.concat([images, more]), ["amber", "blue", "green"])
    assert listed == {"amber": ["amber"], "blue": ["blue"], "green": []}
