import math

import pytest

from stages._workers import CHUNK, over


@pytest.mark.parametrize("number", [0, 3, CHUNK, 10 * CHUNK + 1])
def test_results_come_in_the_order_of_the_items(number):
    assert list(over(math.sqrt, range(number), "numbers")) == [math.sqrt(item) for item in range(number)]
