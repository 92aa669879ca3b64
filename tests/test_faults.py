import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime import parameters
from stages.images.faults import FAULTS, MEASURES, find_faults, own_limit
from stages.images.faults import faults_of as one_picture_s_faults

LIMITS = parameters.Quality(
    min_sharpness=0.6, min_highlights=0.4, min_contrast=0.3, blank_contrast=0.1, min_side=32, max_aspect=3.0
)
MEASURED = st.sampled_from([0.0, 0.09, 0.3, 0.39, 0.4, 0.59, 0.6, 31.0, 32.0, 96.0, 97.0])
GOOD = {"width": 96, "height": 32, "sharpness": 0.6, "highlights": 0.4, "contrast": 0.3, "is_damaged": False}


def faults_of(*changes):
    faults = find_faults(pd.DataFrame([GOOD | change for change in changes], index=range(5, 5 + len(changes))), LIMITS)
    assert faults.index.tolist() == list(range(5, 5 + len(changes)))
    return [None if pd.isna(fault) else fault for fault in faults]


def test_each_fault_has_a_measure_and_its_limit_is_no_fault():
    beyond = [{"contrast": 0.09}, {"sharpness": 0.59}, {"highlights": 0.39}, {"contrast": 0.29}]
    assert faults_of({}, *beyond, {"width": 31}, {"width": 97}, {"is_damaged": True}) == [None, *FAULTS]


def test_faults_stand_together_in_their_order():
    assert faults_of({"width": 4, "highlights": 0, "sharpness": 0}) == ["blurred, dark, tiny, odd_aspect"]


def test_a_plain_picture_is_blank_and_not_said_to_be_blurred_or_low_in_contrast():
    assert faults_of({"contrast": 0, "sharpness": None}, {"contrast": 0, "sharpness": 0}) == ["blank"] * 2


def test_what_cannot_be_read_has_no_fault():
    assert faults_of(dict.fromkeys(GOOD)) == [None]
    assert faults_of({}, dict.fromkeys(GOOD), {"highlights": 0}) == [None, None, "dark"]


def test_the_limit_of_a_library_s_own_distribution_follows_its_scale_and_passes_over_what_was_not_measured():
    usual = pd.Series(np.exp(np.random.default_rng(1).normal(0, 0.3, 1000)))
    assert own_limit(usual) == pytest.approx(np.exp(-2.5 * 0.3), rel=0.1)
    assert own_limit(usual / 4) == pytest.approx(own_limit(usual) / 4)
    assert own_limit(pd.concat([usual, pd.Series([None, 0.0])])) == pytest.approx(own_limit(usual))
    assert own_limit(pd.Series([None], dtype=float)) == 0


def test_without_a_limit_few_of_a_smooth_library_are_suspected_and_its_blurred_ones_are():
    smooth = np.exp(np.random.default_rng(2).normal(np.log(0.7), 0.2, 400))  # the limit of 0.6 would suspect a quarter
    rows = pd.DataFrame([GOOD | {"sharpness": value} for value in [*smooth, 0.15]])
    blurred = find_faults(rows, LIMITS.model_copy(update={"min_sharpness": None})).notna()
    assert blurred.iloc[-1]
    assert blurred.mean() < 0.03 < find_faults(rows, LIMITS).notna().mean()


@given(st.lists(st.fixed_dictionaries(dict.fromkeys(MEASURES, MEASURED) | {"is_damaged": st.booleans()}), min_size=1))
def test_one_picture_is_judged_as_it_is_in_a_table(pictures):
    table = find_faults(pd.DataFrame(pictures), LIMITS)
    alone = [", ".join(one_picture_s_faults(picture, LIMITS, LIMITS.min_sharpness)) for picture in pictures]
    assert table.fillna("").tolist() == alone
