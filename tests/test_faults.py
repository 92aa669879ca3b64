import pandas as pd

from runtime import parameters
from stages.images.faults import FAULTS, find_faults

LIMITS = parameters.Quality(
    min_sharpness=0.6, min_highlights=0.4, min_contrast=0.3, blank_contrast=0.1, min_side=32, max_aspect=3.0
)
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
