import math
import os

import pytest

from runtime.workers import FEW, over


@pytest.mark.parametrize(
    "number", [0, 3, FEW, *(pytest.param(many, marks=pytest.mark.slow) for many in (FEW + 1, 3 * FEW))]
)
def test_results_come_in_the_order_of_the_items(number):
    assert list(over(math.sqrt, range(number), "numbers")) == [math.sqrt(item) for item in range(number)]


def process_of(_: int) -> int:
    return os.getpid()


@pytest.mark.parametrize("few", [299, 300])
def test_few_items_start_no_process(few):
    assert (set(over(process_of, range(300), "numbers", few)) == {os.getpid()}) == (few == 300)
