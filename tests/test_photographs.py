"""The settings for photographs: which libraries get them, and what they are."""

import pandas as pd
import pytest
import yaml
from conftest import ROOT
from hypothesis import given
from hypothesis import strategies as st
from pictures import save

from intake.folders import list_folder
from intake.photographs import LEAST_SIDE, choices, measure, shorter_side
from runtime import parameters
from sample.write import write

FRACTIONS = st.floats(0, 1)
MEASURED = st.lists(
    st.fixed_dictionaries(
        {"width": st.integers(1, 9000), "height": st.integers(1, 9000), "highlights": FRACTIONS, "contrast": FRACTIONS}
    )
)
COUNTS = st.dictionaries(st.text(max_size=3), st.integers(1, 5000), min_size=1)


def values_of(measured, counts, minimum=40):
    return {key: value for choice in choices(measured, counts, minimum) for key, value in choice.values.items()}


def photographs(number=100, side=240, **changes):
    return pd.DataFrame({"width": 320, "height": side, "highlights": 0.9, "contrast": 0.8}, range(number)).assign(
        **changes
    )


TEXT = (ROOT / "params.yaml").read_text(encoding="utf-8")
PARAMS = yaml.safe_load(TEXT)


@given(MEASURED, COUNTS, st.integers(2, 100))
def test_whatever_the_library_the_settings_are_in_range(measured, counts, minimum):
    frame = pd.DataFrame(measured, columns=["width", "height", "highlights", "contrast"]).astype(float)
    params = PARAMS | {"split": PARAMS["split"] | {"minimum": minimum}}
    for key, value in values_of(frame, counts, minimum).items():
        *sections, name = key.split(".")
        params = with_value(params, sections, name, value)
    parameters.Params.model_validate(params)


def with_value(params, sections, name, value):
    if not sections:
        assert name in params
        return params | {name: value}
    return params | {sections[0]: with_value(params[sections[0]], sections[1:], name, value)}


def test_a_gpu_gets_half_precision_and_large_batches_and_else_nothing_changes():
    without, with_gpu = (choices(photographs(), {"a": 50}, 40, has_gpu) for has_gpu in (False, True))
    assert with_gpu[1:] == without
    assert dict(with_gpu[0].values) == {"train.precision": "bfloat16", "train.batch_size": 128}


def test_every_comment_stays():
    after = parameters.changed(TEXT, values_of(photographs(), {"a": 50}))
    assert after != TEXT
    for one, other in zip(TEXT.splitlines(), after.splitlines(), strict=True):
        assert one.partition(" #")[1:] == other.partition(" #")[1:]


def test_a_library_of_good_photographs_is_held_to_what_photographs_need_and_no_more():
    values = values_of(photographs(), {"a": 50})
    limits = {key.partition(".")[2]: value for key, value in values.items() if key.startswith("quality.")}
    assert limits == {"min_sharpness": None, "min_highlights": 0.45, "min_contrast": 0.32, "min_side": 224}


def test_of_a_library_of_dark_flat_and_small_pictures_one_in_fifty_is_suspected():
    spread = [number / 1000 for number in range(1, 101)]
    measured = photographs(highlights=spread, contrast=spread, side=range(101, 201))
    values = values_of(measured, {"a": 50})
    assert (measured["highlights"] < values["quality.min_highlights"]).mean() <= 0.02
    assert (measured["contrast"] < values["quality.min_contrast"]).mean() <= 0.02
    assert (measured["height"] < values["quality.min_side"]).mean() <= 0.02
    assert values["quality.min_side"] == 102


@pytest.mark.parametrize(
    ("counts", "maximum", "words"),
    [
        ({"a": 50, "b": 60, "c": 70, "d": 80, "e": 900}, 80, "1 folder has more"),
        ({"a": 210, "b": 210, "c": 210, "d": 3}, 210, "0 folders have more"),
        ({"a": 3, "b": 4}, 40, "0 folders have more"),
    ],
)
def test_the_maximum_follows_from_the_counts_of_the_classes_that_can_be_in(counts, maximum, words):
    assert values_of(photographs(), counts)["split.maximum"] == maximum
    assert choices(photographs(), counts, 40)[-1].describe() == (
        f"split.maximum {maximum}, split.test_fraction 0.1: {words}; a tenth of each class tests"
    )


def test_pictures_are_measured_and_what_is_none_is_passed_over(tmp_path):
    for number, size in enumerate([(400, 300), (300, 500), (90, 60)]):
        save(tmp_path / "boots" / f"{number}.png", number, size)
    (tmp_path / "boots/notes.txt").write_text("no picture")
    files = ["boots/0.png", "boots/1.png", "boots/2.png", "boots/gone.png", "boots/notes.txt"]
    measured = measure(tmp_path, files, 100_000_000)
    assert measured[["width", "height"]].to_numpy().tolist() == [[400, 300], [300, 500], [90, 60]]
    assert shorter_side(measured) == 300
    assert measured["contrast"].between(0.01, 1).all()
    assert shorter_side(measure(tmp_path, files[3:], 100_000_000)) == 0.0


def test_pictures_are_taken_from_all_over_the_library(tmp_path, monkeypatch):
    monkeypatch.setattr("intake.photographs.NUM_MEASURED", 3)
    for number in range(7):
        save(tmp_path / f"{number}.png", number, (100 + number, 200))
    measured = measure(tmp_path, [f"{number}.png" for number in range(7)], 100_000_000)
    assert measured["width"].tolist() == [100, 103, 106]


@pytest.mark.slow
def test_the_sample_is_no_library_of_photographs(tmp_path):
    write(str(tmp_path))
    files = list_folder(str(tmp_path / "library"), needs_sub_folders=True).files
    assert 0 < shorter_side(measure(tmp_path / "library", files, 100_000_000)) < LEAST_SIDE
