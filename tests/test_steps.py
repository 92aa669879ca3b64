"""Steps that do not wait for each other."""

from collections.abc import Iterator

import numpy as np
import pytest
from backends import BACKENDS, run_on
from hypothesis import given
from hypothesis import strategies as st

from stages.training.steps import results

pytestmark = pytest.mark.slow


class Calculated:
    """A number that says when it is read."""

    def __init__(self, events: list[str], number: int) -> None:
        self._events, self._number = events, number

    def __float__(self) -> float:
        self._events.append(f"read {self._number}")
        return float(self._number)


@given(st.integers(0, 8))
def test_a_result_is_read_when_the_next_step_has_begun_and_the_batch_after_it_is_sent(count):
    events: list[str] = []

    def batches() -> Iterator[tuple[int, np.ndarray]]:
        for number in range(count):
            yield number, np.zeros(number + 1)

    def send(batch):
        events.append(f"send {batch[0]}")
        return batch

    def step(number, _):
        events.append(f"step {number}")
        return {"loss": Calculated(events, number), "accuracy": 0.5}

    assert list(results(step, send, batches())) == [[number + 1, number, 0.5] for number in range(count)]
    position = {event: number for number, event in enumerate(events)}
    assert len(position) == len(events) == 3 * count
    for number in range(count - 1):
        assert position[f"step {number}"] < position[f"send {number + 1}"] < position[f"step {number + 1}"]
        assert position[f"step {number + 1}"] < position[f"read {number}"]
        if number + 2 < count:
            assert position[f"send {number + 2}"] < position[f"read {number}"] < position[f"step {number + 2}"]


SAME = """
import keras, numpy as np
from stages.training.steps import Steps, results, steps_of

assert keras.backend.backend() == "BACKEND"
rng = np.random.default_rng(1)
batches = [(rng.normal(size=(8, 6)).astype("float32"), np.eye(3, dtype="float32")[rng.integers(0, 3, 8)])
           for _ in range(6)]

def trained(make):
    keras.utils.set_random_seed(3)
    layers = [keras.layers.Dense(5), keras.layers.BatchNormalization(), keras.layers.Dropout(0.3, seed=4),
              keras.layers.Dense(3, "softmax")]
    given = values = keras.Input((6,))
    for layer in layers:
        values = layer(values)
    model = keras.Model(given, values)
    model.compile(keras.optimizers.AdamW(0.1), "categorical_crossentropy", jit_compile="BACKEND" == "jax",
                  weighted_metrics=[keras.metrics.CategoricalAccuracy(name="accuracy")])
    model.optimizer.build(model.trainable_variables)
    steps, got, before = make(model), [], model.get_weights()
    kept = [values.copy() for values in before]
    for part in (batches[:4], batches[4:]):
        with steps.held():
            got += list(results(steps.train, steps.send, iter(part)))
        last = [tuple(values[:5] for values in batches[1])]
        got += list(results(steps.test, steps.send, iter(batches[:1] + last)))
        assert make is Steps or "BACKEND" != "jax" or steps._test._cache_size() == 1  # compiled for one shape
    # What was taken of a model is not changed by the steps after it.
    assert all(np.array_equal(one, other) for one, other in zip(before, kept))
    return got, steps.fetch([*model.variables, *model.optimizer.variables])

ours, keras_own = trained(steps_of), trained(Steps)
assert np.allclose(ours[0], keras_own[0], atol=1e-6), (ours[0], keras_own[0])
for one, other in zip(ours[1], keras_own[1], strict=True):
    assert np.allclose(one, other, atol=1e-6)
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_they_are_keras_own_steps(backend):
    done = run_on(backend, "-c", SAME.replace("BACKEND", backend))
    assert done.returncode == 0, done.stderr
