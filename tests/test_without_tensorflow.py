"""Stages that only read prepared pictures need no TensorFlow where another backend is chosen."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from backends import run_on
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st

from stages.shards.codec import encode
from stages.shards.prepared import decode, decode_by_pillow
from stages.tables.identified import IDENTIFIED

pytestmark = pytest.mark.slow


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 9), st.sampled_from(["png", "webp"]))
def test_both_decoders_give_the_pixels_that_were_encoded(height, width, seed, codec):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    data = encode(pixels, codec)
    assert np.array_equal(decode(data), pixels)
    assert np.array_equal(decode_by_pillow(data), pixels)


@pytest.mark.parametrize("codec", ["png", "webp"])
def test_neither_decodes_what_is_cut_short_or_no_picture(codec):
    data = encode(np.random.default_rng(0).integers(0, 256, (30, 20, 3)).astype(np.uint8), codec)
    for broken in (data[: len(data) // 2], b"", b"no picture", data[:8] + bytes(len(data) - 8)):
        for each in (decode, decode_by_pillow):
            with pytest.raises(ValueError, match="."):
                each(broken)


def test_train_evaluate_and_identify_run_on_jax_where_tensorflow_cannot_be_imported(workspace):
    done = run_on("jax", ROOT / "tests/without_tensorflow.py", RETRAIN_COMPILED=str(workspace / "compiled"))
    assert done.returncode == 0, done.stderr
    assert len(IDENTIFIED.read()) == 2
    assert pd.read_csv("data/model/history.csv")["epoch"].tolist() == [1, 2]
    assert list(Path("compiled").iterdir())
