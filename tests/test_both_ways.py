"""Training and serving: what both read they see alike, and which files only one of them reads is one table.

MUTATIONS=2600 tries so many damaged files instead of 200.
"""

import os
import re

import numpy as np
import odd_files
import pytest
import tensorflow as tf
from conftest import ROOT
from hypothesis import HealthCheck, given, settings
from mutations import mutated

from stages.images.decode import decode
from stages.images.errors import UnreadableError
from stages.images.letterbox import letterbox
from stages.images.small import decode_small
from stages.served import preparation

pytestmark = pytest.mark.slow

SIZE, LIMIT = 48, 100_000
# Levels of 255: at any pixel, and on the mean of a picture's. CMYK is turned into RGB by two ways of rounding.
AT_MOST, ON_THE_MEAN = 2, 0.3
SPEC = [tf.TensorSpec((), tf.string)]
PREPARE = tf.function(lambda data: preparation.prepare(data, SIZE, LIMIT), input_signature=SPEC, autograph=False)
# Of a damaged file of this kind, which way alone may refuse it: decoders differ in what they still accept.
EITHER = "training serving"
MAY_REFUSE_ALONE = {"png": "", "gif": "training", "webp": EITHER, "jpg": EITHER, "bmp": EITHER}
TABLE = ROOT / "docs/measurements/serving.md"


def by_training(data):
    try:
        return letterbox(decode(data, LIMIT).image, SIZE)
    except UnreadableError:
        return None


def by_serving(data):
    try:
        return PREPARE(data).numpy()
    except tf.errors.InvalidArgumentError:
        return None


def assert_alike(trained, served):
    difference = np.abs(trained.astype(int) - served)
    assert difference.max() <= AT_MOST
    assert difference.mean() <= ON_THE_MEAN


@pytest.mark.parametrize(("name", "data"), odd_files.seen_alike().items(), ids=odd_files.seen_alike())
def test_odd_files_are_seen_alike(name, data):
    assert_alike(by_training(data), by_serving(data))


@pytest.mark.parametrize(("name", "data"), odd_files.refused_by_both().items(), ids=odd_files.refused_by_both())
def test_what_is_damaged_in_its_pixels_is_refused_by_both(name, data):
    assert by_training(data) is None
    assert by_serving(data) is None


def test_the_table_of_the_docs_names_what_only_one_of_the_two_reads():
    words = {True: "reads it", False: "refuses it"}
    rows = []
    for name, data in odd_files.read_by_one().items():
        trains, serves = by_training(data) is not None, by_serving(data) is not None
        assert trains != serves, name
        rows.append(f"| {name} | {words[trains]} | {words[serves]} |")
    table = re.search(r"\| file \| training \| serving \|\n\| --- .*\n((\|.*\n)+)", TABLE.read_text(encoding="utf-8"))
    assert table[1].splitlines() == rows


@settings(
    max_examples=int(os.environ.get("MUTATIONS", "200")),
    derandomize="MUTATIONS" not in os.environ,
    suppress_health_check=list(HealthCheck),
)
@given(mutated())
def test_whatever_befalls_a_file_both_see_the_same_pixels_or_one_refuses_it(file):
    name, data = file
    trained, served = by_training(data), by_serving(data)
    if trained is not None and served is not None:
        assert_alike(trained, served)
    elif (trained is None) != (served is None) and name != "animated.webp":
        assert ("training" if trained is None else "serving") in MAY_REFUSE_ALONE[name.rpartition(".")[2]]


@settings(max_examples=100, derandomize=True, suppress_health_check=list(HealthCheck))
@given(mutated())
def test_fingerprints_and_shards_accept_the_same_files(file):
    _, data = file
    try:
        small = decode_small(data, LIMIT)
    except UnreadableError:
        small = None
    assert (small is None) == (by_training(data) is None)
