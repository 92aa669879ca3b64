"""Weights that average, beside the last ones."""

import math

import keras
import numpy as np
import pytest
from worlds import write_world

from runtime import parameters
from stages.tables.shards import INDEX
from stages.tables.splits import SPLITS
from stages.training import warm_start
from stages.training.averaging import averaged, averages_in, decay
from stages.training.optimizer import optimizer
from stages.training.session import labelled, open_session

pytestmark = pytest.mark.slow


def test_after_so_many_epochs_a_step_counts_a_fraction_of_e_and_zero_keeps_no_average():
    assert decay(2.0, 50) ** 100 == pytest.approx(math.exp(-1))
    assert 0 <= decay(1e-9, 1) < decay(0.1, 7) < decay(100.0, 10_000) < 1
    assert decay(0.0, 50) is None


@pytest.mark.parametrize("share", [1.0, 0.5])
@pytest.mark.parametrize("policy", ["float32", "mixed_float16"])
def test_the_averages_are_those_of_the_weights_after_each_step_and_the_last_ones_come_back(share, policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(3, activation="softmax", dtype="float32")])
        model.compile(optimizer(0.1, 0.0, 10, [model.weights[0]], share, decay=0.75), "categorical_crossentropy")
    finally:
        keras.config.set_dtype_policy(before)
    expected = None
    for number in range(4):
        model.train_on_batch(np.ones((2, 2)) * number, np.eye(3)[:2])
        weights = [values.copy() for values in model.get_weights()]
        expected = expected or weights
        expected = [0.75 * mean + 0.25 * now for mean, now in zip(expected, weights, strict=True)]
    with averaged(model):
        got = model.get_weights()
    for mean, average in zip(expected, got, strict=True):
        assert np.allclose(mean, average, atol=1e-7)
    for one, other in zip(model.get_weights(), weights, strict=True):
        assert np.array_equal(one, other)
    assert not np.array_equal(got[0], weights[0])
    with averages_in(model, got):
        assert np.array_equal(model.get_weights()[0], got[0])
    assert np.array_equal(model.get_weights()[0], weights[0])


def rows_and_losses(**changes):
    """Train; give the history, and the validation loss of what the network was while each row was looked at."""
    write_world(train=12, validation=3, epochs_from_scratch=6, learning_rate_from_scratch=0.05, **changes)
    params = parameters.read(parameters.Train)
    rows, losses = [], []
    with open_session(params, 16, SPLITS.read(), INDEX.read()) as session:
        training = session.begin(lambda: warm_start.start(params, 16, 2), warm=False)
        validation = labelled(SPLITS.read(), "validation", session.class_names, session.pictures)
        network, loss = training.network, keras.losses.CategoricalCrossentropy()

        def judge():
            batches = list(validation.batches(np.arange(len(validation.image_ids)), 100))
            return float(loss(batches[0][1], network(batches[0][0], training=False)["scores"]))

        for row in training.epochs:
            rows.append(row)
            losses.append(judge())
        losses.append(judge())
    return rows, losses


def test_what_validates_better_is_the_epoch_s_model_and_the_steps_are_those_of_a_run_without_averages(workspace):
    plain, _ = rows_and_losses()
    rows, losses = rows_and_losses(average_weights=1.0)
    assert [row["loss"] for row in rows] == [row["loss"] for row in plain]
    assert {row["averaged"] for row in plain} == {0}
    assert {row["averaged"] for row in rows} == {0, 1}
    for row, one in zip(rows, plain, strict=True):
        assert row["val_loss"] < one["val_loss"] if row["averaged"] else row["val_loss"] == one["val_loss"]
    assert [row["val_loss"] for row in rows] == pytest.approx(losses[:-1], rel=1e-4)
    assert losses[-1] == pytest.approx(min(row["val_loss"] for row in rows), rel=1e-4)
