import json
import math
import shutil

import h5py
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from worlds import Shards

from runtime.errors import BaseError, InputError, ParameterError
from stages.models import determinism, files, inception_v4, networks
from stages.models.description import Description, read_description, require_same
from stages.models.predict import predict
from stages.tables import model
from stages.training import warm_start
from stages.training.augmentation import augmentation
from stages.training.devices import together
from stages.training.labelled_pictures import epoch_order

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def small():
    return networks.build("small", 16, 3)


def test_inception_v4_is_the_papers_layer_for_layer():
    network = networks.build("inception_v4", 299, 1000)
    body = network.get_layer("body")
    shapes = {
        "stem_1": (73, 73, 160),
        "stem_2": (71, 71, 192),
        "stem": (35, 35, 384),
        **{f"inception_a_{number}": (35, 35, 384) for number in range(1, 5)},
        "reduction_a": (17, 17, 1024),
        **{f"inception_b_{number}": (17, 17, 1024) for number in range(1, 8)},
        "reduction_b": (8, 8, 1536),
        **{f"inception_c_{number}": (8, 8, 1536) for number in range(1, 4)},
        "embedding": (1536,),
    }
    assert {layer.name: layer.output.shape[1:] for layer in body.layers if layer.name in shapes} == shapes
    assert [layer.name for layer in body.layers if layer.name in shapes] == list(shapes)
    # Figure 3's first three, which have no name.
    convolutions = [layer for layer in body.layers if isinstance(layer, keras.layers.Conv2D)]
    assert [layer.output.shape[1:] for layer in convolutions[:3]] == [(149, 149, 32), (147, 147, 32), (147, 147, 64)]
    assert len(convolutions) == 149
    assert sum(math.prod(weight.shape) for weight in network.trainable_weights) == 42_679_816
    assert network.output["scores"].shape == (None, 1000)


def test_inception_v4_takes_other_sizes_down_to_75():
    assert inception_v4.build(75).output.shape == (None, 1536)
    with pytest.raises(ParameterError, match=r"inception_v4 cannot take pictures of picture.side 74 \(.*Raise"):
        networks.build("inception_v4", 74, 3)


# One of each way to scale pictures: inside the network, to -1..1, by the channels' means.
@pytest.mark.parametrize("name", ["small", "MobileNetV3Small", "MobileNet", "VGG16"])
def test_a_network_takes_0_to_255_of_any_dtype_and_gives_embedding_and_probabilities(name):
    network = networks.build(name, 32, 5)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), np.uint8)
    result = network.predict_on_batch(pictures)
    assert result["scores"].dtype == np.float32
    assert result["scores"].sum(axis=1) == pytest.approx([1, 1], abs=1e-5)
    assert result["embedding"].shape == (2, network.output["embedding"].shape[1])
    again = network.predict_on_batch(pictures.astype(np.float32))
    assert np.allclose(result["scores"], again["scores"], atol=1e-6)
    assert all(layer.trainable for layer in network.layers)


def test_every_name_of_keras_applications_is_known():
    names = networks.application_names()
    assert {"EfficientNetV2B0", "ResNet50", "ConvNeXtTiny", "Xception"} <= set(names)
    assert len(names) == len(set(names)) > 30


def test_an_unknown_name_and_a_size_too_small_are_refused_by_the_parameters_name():
    with pytest.raises(ParameterError, match=r"train.network: no network is called 'resnet50'; expected small, effic"):
        networks.build("resnet50", 32, 2)
    with pytest.raises(ParameterError, match=r"picture.side 16 \(Input size must be at least 32x32"):
        networks.build("EfficientNetV2B0", 16, 2)


def test_a_seed_gives_the_same_first_weights_and_another_others():
    def drawn(seed):
        determinism.enable(seed)
        return networks.build("small", 16, 3).get_weights()

    assert all(np.array_equal(a, b) for a, b in zip(drawn(1), drawn(1), strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(drawn(1), drawn(2), strict=True))


def varied(pictures, training=True, **chosen):
    plain = {"mirror": False, "rotation": 0.0, "zoom": 0.0, "seed": 3}
    for layer in augmentation(**plain | chosen):
        pictures = layer(pictures, training=training)
    return keras.ops.convert_to_numpy(pictures)


KINDS = [{"mirror": True}, {"rotation": 10.0}, {"zoom": 0.2}]


@pytest.mark.parametrize("kind", KINDS)
def test_augmentation_varies_in_training_only_each_picture_by_itself_and_by_its_seed(kind):
    pictures = np.repeat(np.random.default_rng(0).uniform(0, 255, (1, 24, 24, 3)).astype(np.float32), 8, axis=0)
    assert np.array_equal(varied(pictures, training=False, **kind), pictures)
    once = varied(pictures, **kind)
    assert len({each.tobytes() for each in once}) > 1
    assert np.array_equal(once, varied(pictures, **kind))
    assert not np.array_equal(once, varied(pictures, **kind, seed=4))


def test_a_mirrored_picture_is_turned_left_to_right_and_half_of_them_are():
    pictures = np.random.default_rng(0).uniform(0, 255, (200, 6, 6, 3)).astype(np.float32)
    changed = varied(pictures, mirror=True)
    turned = [np.array_equal(one, other[:, ::-1]) for one, other in zip(changed, pictures, strict=True)]
    same = [np.array_equal(one, other) for one, other in zip(changed, pictures, strict=True)]
    assert all(np.logical_xor(turned, same))
    assert 80 < sum(turned) < 120


def test_what_turning_and_shrinking_uncover_is_black_as_the_letterbox():
    white = np.full((16, 32, 32, 3), 255, np.float32)
    turned, zoomed = varied(white, rotation=20.0), varied(white, zoom=0.3)
    # Turned by enough, a corner lies a whole pixel outside of what was there.
    assert np.mean(turned[:, 0, 0] == 0) > 0.5
    assert {0, 255} <= set(zoomed[:, 0, 0, 0].round(3))
    # Black, white and the pixel between them: no smear of the border, no reflection.
    assert all(np.mean((one > 0) & (one < 254)) < 0.1 for one in (turned, zoomed))


def test_augmentation_is_as_exact_when_the_network_calculates_in_half_precision():
    pictures = np.random.default_rng(0).uniform(0, 255, (4, 64, 64, 3)).astype(np.float32)
    both = {"mirror": True, "rotation": 10.0, "zoom": 0.1}
    exact = varied(pictures, **both)
    with together(1, 4, "bfloat16", 3):
        assert np.array_equal(varied(pictures, **both), exact)


def test_augmentation_of_nothing_is_no_layer():
    assert augmentation(mirror=False, rotation=0, zoom=0, seed=3) == []


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5), st.integers(1, 9))
def test_an_epoch_takes_every_picture_at_most_once_in_full_batches(num_pictures, batch_size, seed, epoch):
    order = epoch_order(num_pictures, batch_size, seed, epoch)
    assert len(set(order)) == len(order)
    assert len(order) % batch_size == 0 or len(order) == num_pictures < batch_size
    assert num_pictures - len(order) < batch_size
    assert np.array_equal(order, epoch_order(num_pictures, batch_size, seed, epoch))


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = [tuple(epoch_order(50, 10, seed, epoch)) for seed in (1, 2) for epoch in (1, 2)]
    assert len(set(orders)) == 4


def test_predictions_do_not_depend_on_the_batches(small):
    pictures = np.random.default_rng(0).integers(0, 256, (5, 16, 16, 3), np.uint8)
    names = ["3", "0", "1", "4", "2", "0"]
    scores, embeddings = predict(small, Shards(pictures), names, 4)
    assert (scores.dtype, embeddings.dtype) == (np.float32, np.float16)
    assert (scores.shape, embeddings.shape) == ((6, 3), (6, 128))
    assert np.array_equal(scores[1], scores[5])
    assert np.allclose(scores, small.predict_on_batch(pictures)["scores"][[3, 0, 1, 4, 2, 0]], atol=1e-6)


def test_scores_that_are_no_probabilities_are_refused():
    broken = networks.build("small", 16, 3)
    kernel, bias = broken.get_layer("scores").get_weights()
    broken.get_layer("scores").set_weights([kernel * np.nan, bias])
    with pytest.raises(InputError, match="small gives scores that do not sum to 1"):
        predict(broken, Shards(np.zeros((1, 16, 16, 3), np.uint8)), ["0"], 1)


SUB_CLASSES = {"a": ["a"], "b": ["b_new", "b"], "c": []}


@pytest.fixture
def folder(small, tmp_path):
    folder = tmp_path / "data/base/model"
    folder.mkdir(parents=True)
    files.save(folder, small, ["c", "a", "b"], SUB_CLASSES)
    return folder


def test_a_model_that_was_saved_is_loaded_the_same(small, folder):
    loaded = files.load(folder)
    assert loaded.class_names == ["c", "a", "b"]
    assert loaded.description.network == "small"
    assert loaded.description.size == 16
    assert loaded.description.sub_classes == {"a": ["a"], "b": ["b", "b_new"], "c": []}
    ours, theirs = small.get_weights(), loaded.network.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert sorted(path.name for path in folder.iterdir()) == ["classes.json", "model.json", "model.weights.h5"]


# Nested, and with layers that Keras names itself, counting on from network to network.
@pytest.mark.parametrize(("name", "size"), [("small", 16), ("MobileNetV3Small", 32)])
def test_the_same_numbers_are_the_same_bytes(tmp_path, name, size):
    first, second = networks.build(name, size, 2), networks.build(name, size, 2)
    second.set_weights(first.get_weights())
    for network, number in ((first, "1"), (second, "2")):
        (tmp_path / number).mkdir()
        files.save(tmp_path / number, network, ["a", "b"], SUB_CLASSES)
    for file in (model.WEIGHTS, model.DESCRIPTION, model.CLASSES):
        assert (tmp_path / "1" / file).read_bytes() == (tmp_path / "2" / file).read_bytes()


def test_weights_are_compared_with_their_checksum_before_anything_parses_them(folder, monkeypatch):
    data = (folder / model.WEIGHTS).read_bytes()
    (folder / model.WEIGHTS).write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    monkeypatch.setattr(networks, "build", lambda *_: pytest.fail("went on in spite of the checksum"))
    with pytest.raises(BaseError, match=r"model.weights.h5 has the SHA-256 \w+, where .*model.json says \w+"):
        files.load(folder, BaseError)


def change(path, **values):
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_a_folder_that_is_not_as_it_should_be_is_refused(folder, tmp_path):
    whole = tmp_path / "whole"
    shutil.copytree(folder, whole)

    def refused(match):
        with pytest.raises(InputError, match=match):
            files.load(folder)
        shutil.copytree(whole, folder, dirs_exist_ok=True)

    for name in (model.WEIGHTS, model.DESCRIPTION, model.CLASSES):
        (folder / name).unlink()
        refused(rf"{name} is not there: `dvc checkout .*base` brings back")
    change(folder / model.DESCRIPTION, optimizer="adam")
    refused("model.json is no description of a model: optimizer: extra inputs are not permitted")
    change(folder / model.DESCRIPTION, size="16")
    refused("size: input should be a valid integer")
    change(folder / model.DESCRIPTION, format=2)
    refused("format: input should be 1")
    (folder / model.DESCRIPTION).write_text("{")
    refused("model.json is no description of a model: the file: invalid JSON")
    change(folder / model.DESCRIPTION, sub_classes={"a": []})
    refused("classes.json and .*model.json name different classes")
    (folder / model.CLASSES).write_text('["a", "b", "b"]')
    refused("classes.json names a class twice")
    (folder / model.CLASSES).write_text("[1]")
    refused("classes.json is no list of class names: 0: input should be a valid string")
    (folder / model.CLASSES).write_text("[]")
    refused("classes.json is an empty list; expected at least one class name. `dvc checkout .*base` brings back")
    change(folder / model.DESCRIPTION, network="MobileNet", size=32)
    refused("does not hold the weights of MobileNet for 3 classes, though its checksum is right")


def kernels(network):
    kernel, bias = network.get_layer("scores").get_weights()
    return kernel, bias


def base_of(network, sub_classes):
    """A model that is not on the disk; the rows of its output layer have the biases 1, 2, 3."""
    network.get_layer("scores").set_weights([kernels(network)[0], np.arange(1, 4, dtype=np.float32)])
    description = Description(format=1, network="small", size=16, weights_sha256="0" * 64, sub_classes=sub_classes)
    return files.TrainedModel(network, description, list(sub_classes))


BASE = {"dress": ["dress", "dress_kids"], "hat": ["hat"], "top": ["top"]}
WAYS = {
    # class, its sub-classes now: how its row begins, from which of the base's
    "unchanged": ({"dress": ["dress", "dress_kids"]}, {"dress": ("kept", ("dress",))}),
    "a sub-class more": ({"hat": ["cap", "hat"]}, {"hat": ("kept", ("hat",))}),
    "a folder renamed": ({"hat": ["hats"]}, {"hat": ("kept", ("hat",))}),
    "renamed": ({"headgear": ["hat"]}, {"headgear": ("renamed", ("hat",))}),
    "merged": ({"clothes": ["dress", "top"]}, {"clothes": ("merged", ("dress", "top"))}),
    "merged under a name": ({"top": ["hat", "top"]}, {"top": ("merged", ("hat", "top"))}),
    "split": (
        {"dress": ["dress"], "kids": ["dress_kids"]},
        {"dress": ("split", ("dress",)), "kids": ("split", ("dress",))},
    ),
    "a folder and its class renamed": ({"cap": ["cap", "hat"]}, {"cap": ("renamed", ("hat",))}),
    "in another form of Unicode": ({"caf\u00e9": ["caf\u00e9"]}, {"caf\u00e9": ("kept", ("cafe\u0301",))}),
    "in another form of Unicode, by its class": ({"caf\u00e9": []}, {"caf\u00e9": ("kept", ("cafe\u0301",))}),
    "new": ({"shoes": ["shoes"]}, {"shoes": ("new", ())}),
    "names exchanged": (
        {"hat": ["top"], "top": ["hat"]},
        {"hat": ("renamed", ("top",)), "top": ("renamed", ("hat",))},
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_row_begins_with_the_base_s_classes_that_held_its_sub_classes(way):
    sub_classes, expected = WAYS[way]
    rows = warm_start.carried_rows(sub_classes, {**BASE, "cafe\u0301": ["cafe\u0301"]}, "carry")
    assert {row.class_name: (row.how, row.base_classes) for row in rows} == expected
    assert [row.class_name for row in rows] == list(sub_classes)
    assert {row.how for row in warm_start.carried_rows(sub_classes, BASE, "new")} == {"new"}


def test_what_was_carried_over_is_said_in_one_sentence_a_way():
    sub_classes = {"dress": ["dress"], "headgear": ["hat"], "kids": ["dress_kids"], "shoes": ["shoes"], "top": ["top"]}
    assert warm_start.describe(warm_start.carried_rows(sub_classes, BASE, "carry")) == (
        "1 of 5 classes kept; headgear renamed from hat; dress split from dress; kids split from dress; new: shoes"
    )
    merged = warm_start.carried_rows({"all": ["hat", "top"]}, BASE, "carry")
    assert warm_start.describe(merged) == "0 of 1 classes kept; all merged from hat + top"


def test_a_warm_start_carries_every_weight_and_the_rows_that_are_said():
    base = base_of(networks.build("small", 16, 3), BASE)
    sub_classes = {"clothes": ["hat", "top"], "dress": ["dress"], "kids": ["dress_kids"], "shoes": ["shoes"]}
    network = networks.build("small", 16, 4)
    drawn = kernels(network)[0].copy()
    warm_start.carry_over(network, base, warm_start.carried_rows(sub_classes, BASE, "carry"))
    kernel, bias = kernels(network)
    old = kernels(base.network)[0]
    assert np.array_equal(kernel, np.stack([old[:, 1:].mean(axis=1), old[:, 0], old[:, 0], drawn[:, 3]], axis=1))
    assert bias.tolist() == [2.5, 1, 1, 0]
    ours, theirs = (each.get_layer("body").get_weights() for each in (network, base.network))
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_a_warm_start_with_a_new_head_keeps_everything_else():
    base, network = base_of(networks.build("small", 16, 3), BASE), networks.build("small", 16, 3)
    drawn = kernels(network)[0].copy()
    sub_classes = {name: list(of) for name, of in BASE.items()}
    warm_start.carry_over(network, base, warm_start.carried_rows(sub_classes, BASE, "new"))
    assert np.array_equal(kernels(network)[0], drawn)
    assert kernels(network)[1].tolist() == [0, 0, 0]
    ours, theirs = (each.get_layer("body").get_weights() for each in (network, base.network))
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))


def test_shrink_and_perturb_mixes_trainable_weights_with_drawn_ones_and_leaves_running_averages():
    base, network = base_of(networks.build("small", 16, 3), BASE), networks.build("small", 16, 3)
    for variable in base.network.non_trainable_variables:
        if "moving" in variable.name:
            variable.assign(keras.ops.ones_like(variable) * 5)
    drawn = [weight.numpy() for weight in network.trainable_variables]
    warm_start.carry_over(network, base, warm_start.carried_rows(BASE, BASE, "carry"), shrink=0.5, perturb=0.25)
    old = [weight.numpy() for weight in base.network.trainable_variables]
    for now, before, new in zip(network.trainable_variables, old, drawn, strict=True):
        assert np.allclose(now.numpy(), 0.5 * before + 0.25 * new, atol=1e-7)
    moving = [variable.numpy() for variable in network.non_trainable_variables if "moving" in variable.name]
    assert len(moving) == 14
    assert all(np.all(values == 5) for values in moving)


def test_a_base_of_another_network_or_size_is_refused(folder):
    base = read_description(folder)
    require_same(base, "small", 16)
    with pytest.raises(BaseError, match=r"data/base is a small, params.yaml: train.network says Xception.*Set train"):
        require_same(base, "Xception", 16)
    with pytest.raises(BaseError, match=r"takes pictures of 16 pixels, params.yaml: picture.side says 32.*Set picture"):
        require_same(base, "small", 32)


def test_an_empty_or_absent_base_is_none_and_half_a_release_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BaseError, match=r"data/base holds files, but lacks model/lineage.parquet"):
        warm_start.load_base("small", 16)
    shutil.rmtree(folder.parent)
    assert warm_start.load_base("small", 16) is None
    folder.parent.mkdir()
    assert warm_start.load_base("small", 16) is None


@pytest.mark.parametrize("part", ["whole", "body", "inner"])
def test_a_file_of_weights_may_hold_the_model_its_body_or_the_network_of_keras_applications(tmp_path, part):
    source, network = networks.build("MobileNetV3Small", 32, 4), networks.build("MobileNetV3Small", 32, 2)
    body = source.get_layer("body")
    {"whole": source, "body": body, "inner": body.layers[-1]}[part].save_weights(tmp_path / "x.weights.h5")
    drawn = kernels(network)[0].copy()
    warm_start.load_weights(network, tmp_path / "x.weights.h5")
    ours, theirs = network.get_layer("body").get_weights(), body.get_weights()
    assert all(np.array_equal(a, b) for a, b in zip(ours, theirs, strict=True))
    assert np.array_equal(kernels(network)[0], drawn)


def test_a_file_of_weights_that_is_absent_or_does_not_fit_is_refused(small, tmp_path):
    with pytest.raises(InputError, match=r"train.weights: .*x.weights.h5 is not there"):
        warm_start.load_weights(small, tmp_path / "x.weights.h5")
    networks.build("MobileNetV3Small", 32, 2).save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(InputError, match=r"x.weights.h5 does not hold the weights of small; expected"):
        warm_start.load_weights(small, tmp_path / "x.weights.h5")
    (tmp_path / "x.weights.h5").write_bytes(b"no HDF5")
    with pytest.raises(InputError, match=r"x.weights.h5 does not hold the weights of small; expected"):
        warm_start.load_weights(small, tmp_path / "x.weights.h5")


def test_arrays_that_take_no_room_in_the_file_are_refused_before_they_are_read(small, tmp_path, monkeypatch):
    path = tmp_path / "x.weights.h5"
    small.save_weights(path)
    with h5py.File(path, "a") as file:
        file.create_dataset("zeros", shape=(2**40,), dtype="float64", chunks=True)
    assert path.stat().st_size < 10**8
    monkeypatch.setattr(keras.Model, "load_weights", None)
    assert not files.fits(small, path)
