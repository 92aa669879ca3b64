"""Scores of many pictures: those that Keras gives, on each backend, read only when the next batch has begun."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
from backends import BACKENDS, run_on
from hypothesis import given
from hypothesis import strategies as st
from worlds import Shards

from stages.models import networks, predict
from stages.models.precision import calculating_in

pytestmark = pytest.mark.slow
SIDE = 16
# How far a score of this network, which learnt nothing, may move; `python -m bench.precision` measures one that did.
MOST_MOVED = {"bfloat16": 0.02, "float16": 0.004}
PICTURES = np.random.default_rng(0).integers(0, 256, (11, SIDE, SIDE, 3), np.uint8)


SAME = """
import keras, numpy as np
from test_predict import PICTURES, SIDE
from stages.models import networks, predict

assert keras.backend.backend() == "BACKEND"
keras.utils.set_random_seed(3)
network = networks.build("small", SIDE, 3)
begin = predict._step(network)
for start in (0, 4, 8):
    filled = predict._filled(PICTURES[start : start + 4], 4)
    expected, got = network.predict_on_batch(filled), begin(filled)
    assert all(np.array_equal(np.asarray(got[name]), expected[name]) for name in ("scores", "embedding"))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_batch_gives_what_keras_gives_to_the_last_bit(backend):
    done = run_on(backend, "-c", SAME.replace("BACKEND", backend))
    assert done.returncode == 0, done.stderr


@given(st.integers(1, 30), st.integers(1, 12))
def test_a_batch_is_read_when_the_next_has_begun(number, batch_size):
    events, num_batches = [], -(-number // batch_size)

    def begin(pictures):
        events.append("begin")
        return {"first": pictures[0, 0, 0, 0]}

    def read(_model, _result, num_pictures):
        events.append("read")
        return np.zeros((num_pictures, 2)), np.zeros((num_pictures, 2))

    names = [str(each % len(PICTURES)) for each in range(number)]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(predict, "_step", lambda _: begin)
        patched.setattr(predict, "_read", read)
        model = SimpleNamespace(input=SimpleNamespace(shape=(None, SIDE, SIDE, 3)))
        got = list(predict.predict_batches(model, Shards(PICTURES), names, batch_size))
    assert [rows.start for rows, *_ in got] == list(range(0, number, batch_size))
    assert got[-1][0].stop == number
    assert events == ["begin"] + ["begin", "read"] * (num_batches - 1) + ["read"]


@pytest.mark.parametrize("precision", MOST_MOVED)
def test_in_half_precision_scores_move_little_and_sum_to_1(precision):
    keras.utils.set_random_seed(3)
    exact = networks.build("small", SIDE, 3)
    with calculating_in(precision, "evaluate.precision"):
        rough = networks.build("small", SIDE, 3)
    rough.set_weights(exact.get_weights())
    names = [str(number) for number in range(len(PICTURES))]
    (scores, embeddings), (expected, _) = (predict.predict(each, Shards(PICTURES), names, 4) for each in (rough, exact))
    assert (scores.dtype, embeddings.dtype) == (np.float32, np.float16)
    moved = np.abs(scores - expected).max()
    assert 0 < moved < MOST_MOVED[precision]
    assert keras.config.dtype_policy().name == "float32"
