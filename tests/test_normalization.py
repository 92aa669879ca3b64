"""The memory of BatchNormalization's running averages."""

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import parameters
from stages.models import networks
from stages.training.checkpoints import Checkpoints
from stages.training.devices import Devices
from stages.training.fit import Trainer
from stages.training.freezing import leaves
from stages.training.normalization import follow_steps
from stages.training.session import recipe

pytestmark = pytest.mark.slow


def momenta(network: keras.Model) -> set[float]:
    return {layer.momentum for layer in leaves(network) if isinstance(layer, keras.layers.BatchNormalization)}


@pytest.fixture(scope="module")
def small() -> keras.Model:
    return networks.build("small", 16, 2)


@given(st.integers(1, 100_000))
def test_an_epoch_leaves_little_of_what_the_averages_were_and_no_average_is_longer_than_that_of_keras(small, steps):
    follow_steps(small, steps)
    (momentum,) = momenta(small)
    assert momentum**steps < 0.02
    assert 0 < momentum < 0.991


@pytest.mark.parametrize("name", ["efficientnet_lite0", "MobileNetV3Small", "EfficientNetV2B0"])
def test_whoever_designed_the_network_all_of_its_averages_follow(name):
    network = networks.build(name, 32, 2)
    follow_steps(network, 20)
    assert [round(momentum, 4) for momentum in momenta(network)] == [0.8187]


def test_a_training_sets_the_momentum_of_its_network(workspace, small):
    params = parameters.read(parameters.Train)
    Trainer(small, recipe(params, warm=False), 20 * params.batch_size, Checkpoints("run"), Devices())
    assert [round(momentum, 4) for momentum in momenta(small)] == [0.8187]
