import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from stages.duplicates.neighbours import COLUMNS, neighbours, rounded
from stages.embeddings.vectors import units

# Few values, so that many pictures are equally near.
VECTORS = st.lists(st.tuples(*[st.integers(-2, 2)] * 3), max_size=12).map(
    lambda rows: rounded(units(np.array(rows, np.float32).reshape(-1, 3)))
)
NOTHING = pd.DataFrame({"first": np.empty(0, np.int64), "second": np.empty(0, np.int64), "cosine": np.empty(0)})


def cold(vectors, number):
    return neighbours(vectors, number, np.zeros(len(vectors), bool), NOTHING)


@given(VECTORS, st.integers(0, 5))
def test_the_neighbours_are_those_of_comparing_all_with_all_the_first_of_equals(vectors, number):
    expected = []
    for first in range(len(vectors)):
        cosines = {other: vectors[first] @ vectors[other] for other in range(len(vectors)) if other != first}
        nearest = sorted(cosines, key=lambda other: (-cosines[other], other))[:number]
        expected += [(first, other, cosines[other] / 4000**2) for other in sorted(nearest)]
    assert list(cold(vectors, number)[list(COLUMNS)].itertuples(index=False, name=None)) == expected


@given(VECTORS, st.integers(1, 4), st.data())
def test_what_was_known_before_changes_no_neighbour_however_pictures_come_and_go(vectors, number, data):
    masks = st.lists(st.booleans(), min_size=len(vectors), max_size=len(vectors)).map(lambda here: np.array(here, bool))
    before, now = data.draw(masks), data.draw(masks)
    found = cold(vectors[before], number)
    rows = np.flatnonzero(before)
    found = found.assign(first=rows[found["first"]], second=rows[found["second"]])
    found = found[now[found["first"]] & now[found["second"]]]
    row_of = np.cumsum(now) - 1
    remembered = found.assign(first=row_of[found["first"]], second=row_of[found["second"]])
    warm = neighbours(vectors[now], number, before[now], remembered)
    pd.testing.assert_frame_equal(warm, cold(vectors[now], number))


def test_products_are_exact_whatever_the_order_of_the_features():
    vectors = np.random.default_rng(1).normal(size=(40, 1280)).astype(np.float32)
    vectors[1] = vectors[0] + 1e-3
    one_way, other_way = (
        rounded(units(vectors)) @ rounded(units(vectors)).T for vectors in (vectors, vectors[:, ::-1])
    )
    assert np.array_equal(one_way, other_way)
    assert one_way.max() < 2**24
