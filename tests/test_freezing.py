"""What of a network learns, and how fast."""

import keras
import numpy as np
import pytest

from stages.models import networks
from stages.training.freezing import freeze, leaves, running_averages, scores
from stages.training.optimizer import Discriminative, optimizer

pytestmark = pytest.mark.slow

PICTURES = np.random.default_rng(0).integers(0, 256, (4, 32, 32, 3)).astype(np.float32)


@pytest.fixture
def network() -> keras.Model:
    """Of a network that drops blocks while it is trained."""
    return networks.build("efficientnet_lite0", 32, 3)


def trained_on(network: keras.Model, body_learns: bool) -> keras.Model:
    """The model that is trained, without the Dropout in front of its output layer."""
    network.get_layer("dropout").rate = 0.0
    pictures = keras.Input((32, 32, 3))
    return keras.Model(pictures, scores(network, pictures, body_learns))


def test_a_frozen_body_answers_while_training_as_it_will_be_used(network):
    assert not freeze(network, only_head=True, frozen_fraction=0.0, freeze_normalization=False)
    model = trained_on(network, body_learns=False)
    expected = network(PICTURES, training=False)["scores"]
    assert np.array_equal(model(PICTURES, training=True), expected)
    assert [variable.path for variable in model.trainable_variables] == ["scores/kernel", "scores/bias"]
    assert running_averages(network) == []


def test_a_body_that_learns_in_part_is_varied_and_so_are_its_averages(network):
    assert freeze(network, only_head=False, frozen_fraction=0.5, freeze_normalization=False)
    model = trained_on(network, body_learns=True)
    before = [average.numpy() for average in running_averages(network)]
    assert not np.array_equal(model(PICTURES, training=True), model(PICTURES, training=True))
    after = [average.numpy() for average in running_averages(network)]
    assert all(not np.array_equal(one, other) for one, other in zip(before, after, strict=True))
    layers = [layer for layer in leaves(network.get_layer("body")) if layer.weights]
    assert [layer.trainable for layer in layers] == [False] * (len(layers) // 2) + [True] * (len(layers) // 2)


def test_layers_in_models_within_the_body_are_frozen_too():
    network = networks.build("MobileNetV3Small", 32, 3)
    freeze(network, only_head=False, frozen_fraction=0.0, freeze_normalization=True)
    kinds = {type(layer).__name__ for layer in leaves(network) if layer.weights and not layer.trainable}
    assert kinds == {"BatchNormalization"}
    freeze(network, only_head=False, frozen_fraction=0.0, freeze_normalization=False)
    assert all(layer.trainable for layer in leaves(network))


def moved(share: float, num_steps: int) -> list[np.ndarray]:
    """Take some steps with two weights, the first the slower one; say how far each has come."""
    weights = [keras.Variable(np.full(3, 2.0, np.float32), name=name) for name in ("body", "head")]
    made = optimizer(0.1, 0.0, 100, weights[:1], share)
    made.build(weights)
    for _ in range(num_steps):
        made.apply([keras.ops.ones(3), keras.ops.ones(3)], weights)
    return [2.0 - keras.ops.convert_to_numpy(weight) for weight in weights]


def test_the_body_learns_and_decays_at_its_share_of_the_rate():
    (body, head), (slower, same) = moved(1.0, 1), moved(0.25, 1)
    assert slower == pytest.approx(body / 4, rel=1e-5)
    assert same == pytest.approx(head, rel=1e-5)


def test_a_share_that_is_nearly_all_is_nearly_plain_adamw():
    plain, shared = moved(1.0, 5), moved(1 - 1e-6, 5)
    assert isinstance(optimizer(0.1, 0.0, 100, [], 0.5), Discriminative)
    assert type(optimizer(0.1, 0.0, 100)) is keras.optimizers.AdamW
    for one, other in zip(plain, shared, strict=True):
        assert other == pytest.approx(one, rel=1e-4)
