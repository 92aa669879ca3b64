"""What a library's folder names propose."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from intake.proposals import classes_yaml, propose
from stages.labels.classes import read_classes

WORD = st.sampled_from(
    ["boots", "Boots", "cap", "staged", "Wear__", "other", "Synthetic", "unknown", "rendered", "007", "кот", "a: [b"]
)
NAMES = st.lists(WORD, min_size=1, max_size=4).map("_".join) | st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/"), min_size=1, max_size=12
)
# What a folder can be called; one without a name is refused.
NAMES = NAMES.filter(lambda name: name.strip() and name not in (".", ".."))


def uncommented(text: str) -> str:
    """Take the comment signs off the last block, as a person would who finds every proposal right."""
    return "".join(line.removeprefix("# ") for line in text.split("\n#\n")[-1].splitlines(keepends=True))


@pytest.mark.parametrize(
    ("sub_classes", "merge", "origin"),
    [
        (["boots", "boots_staged"], {"boots": ["boots", "boots_staged"]}, {"staged": ["boots_staged"]}),
        (["Boots", "boots-STAGED"], {"Boots": ["Boots", "boots-STAGED"]}, {"staged": ["boots-STAGED"]}),
        (["cap rendered"], {"cap": ["cap rendered"]}, {"synthetic": ["cap rendered"]}),
        (["synthetic.cap", "cap"], {"cap": ["cap", "synthetic.cap"]}, {"synthetic": ["synthetic.cap"]}),
        (["unknown", "cap_unknown", "cap"], None, {"unknown": ["cap_unknown", "unknown"]}),
        (["staged"], None, {"staged": ["staged"]}),
        (["boots", "upstaged", "unknowns"], None, None),
        (
            ["Wear__Boots__Kids", "Wear__Boots__Rain", "Wear__Cap__Wool", "Home__Cup"],
            {"Wear__Boots": ["Wear__Boots__Kids", "Wear__Boots__Rain"]},
            None,
        ),
        (["Wear__Boots", "Wear__Boots__Kids"], {"Wear__Boots": ["Wear__Boots", "Wear__Boots__Kids"]}, None),
        (
            ["Not sure", "boots", "misc", "not_sure", "other"],
            None,
            {"unknown": ["Not sure", "misc", "not_sure", "other"]},
        ),
        (["Wear__Boots__Kids", "Wear__Boots__Other"], None, {"unknown": ["Wear__Boots__Other"]}),
        (["brother", "miscanthus", "__", "a__"], None, None),
    ],
)
def test_a_name_proposes(
    sub_classes: list[str], merge: dict[str, list[str]] | None, origin: dict[str, list[str]] | None
) -> None:
    proposed = propose(sub_classes)
    assert proposed.get("merge") == merge
    assert proposed.get("origin") == origin


@given(counts=st.dictionaries(NAMES, st.integers(1, 300), min_size=1, max_size=8))
def test_nothing_is_in_force_until_the_comment_signs_are_taken_off(counts: dict[str, int]) -> None:
    text = classes_yaml(counts, 40)
    assert yaml.safe_load(text) is None
    if propose(counts):
        assert yaml.safe_load(uncommented(text)) == propose(counts)


@given(names=st.sets(NAMES, min_size=1, max_size=8))
def test_what_is_proposed_is_never_refused_by_the_pipeline(
    tmp_path_factory: pytest.TempPathFactory, names: set[str]
) -> None:
    path = Path(tmp_path_factory.getbasetemp(), "classes.yaml")
    path.write_text(yaml.safe_dump(propose(names), allow_unicode=True), encoding="utf-8")
    assert set(read_classes(path, names).origins) == names


def test_the_file_counts_every_folder_and_marks_what_needs_a_look() -> None:
    text = classes_yaml({"boots": 1234, "cap": 39, "boots_staged": 40}, 40)
    assert "# Found: 1,313 files in 3 folders." in text
    assert "#     1,234  boots\n#        40  boots_staged  <- staged?\n#        39  cap  <- fewer than 40\n" in text


def test_names_that_propose_nothing_get_the_form() -> None:
    text = classes_yaml({"boots": 50}, 40)
    assert "propose nothing" in text
    assert uncommented(text).startswith("merge:\n  boots: [boots, boots_kids]\norigin:\n")
