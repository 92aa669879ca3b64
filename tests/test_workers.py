import math

import pytest

from stages._workers import FEW, over


@pytest.mark.parametrize("number", [0, 3, FEW, FEW + 1, 3 * FEW])
def test_results_come_in_the_order_of_the_items(number):
    assert list(over(math.sqrt, range(number), "numbers")) == [math.sqrt(item) for item in range(number)]
