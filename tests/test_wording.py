import pytest

from runtime.wording import counted, listed


@pytest.mark.parametrize(
    ("number", "said"), [(0, "0 pictures"), (1, "1 picture"), (2, "2 pictures"), (1204, "1,204 pictures")]
)
def test_a_count_has_the_right_plural(number, said):
    assert counted(number, "picture") == said


def test_an_irregular_plural_is_given():
    assert counted(1, "class", "classes") == "1 class"
    assert counted(3, "class", "classes") == "3 classes"


def test_a_long_list_ends_with_how_many_more_there_are():
    assert listed(["a", "b"]) == "a, b"
    assert listed(list("abcdefg"), most=5) == "a, b, c, d, e and 2 more"
