"""A round of the blind test: random to the person, the same however the tables are sorted, and with hidden repeats."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from curation.blind_round import APART, Round, order

IDS = [f"{number:032x}" for number in range(400)]
PEOPLE = st.sampled_from(["ana", "ben", "é\u202e", "\udc80"])


def a_round(person="ana", number=1, size=50, groups=None, answered=None, elsewhere=()) -> Round:
    groups = {each: each for each in IDS} if groups is None else groups
    return Round(person, number, size, order(person, number, groups), groups, answered or {}, elsewhere)


def answer_all(size, **given) -> dict[int, str]:
    """What somebody is asked who answers one turn after the other."""
    answered: dict[int, str] = {}
    while turns := a_round(size=size, answered=answered, **given).open_turns():
        answered |= dict([next(iter(turns.items()))])
    return answered


@given(PEOPLE, st.integers(1, 9), st.permutations(IDS[:60]))
def test_the_order_does_not_depend_on_the_order_of_rows(person, number, shuffled):
    assert order(person, number, shuffled) == order(person, number, IDS[:60])
    assert sorted(order(person, number, shuffled)) == IDS[:60]
    tables = [{each: each for each in rows} for rows in (shuffled, IDS[:60])]
    assert len({str(a_round(person, number, 20, groups).turns()) for groups in tables}) == 1


@given(PEOPLE, st.integers(1, 120), st.integers(0, 90))
def test_what_is_planned_comes_whatever_was_answered_before_the_restart(person, size, num_answered):
    plan = a_round(person, size=size).turns()
    answered = dict(list(plan.items())[:num_answered])
    assert a_round(person, size=size, answered=answered).turns() == plan
    undone = {turn: each for turn, each in answered.items() if turn != num_answered}
    assert a_round(person, size=size, answered=undone).turns() == plan


@given(PEOPLE, st.integers(1, 120))
def test_each_picture_comes_once_but_for_one_of_ten_that_comes_again_long_after(person, size):
    plan = a_round(person, size=size).turns()
    times = Counter(plan.values())
    assert list(plan) == list(range(1, size + size // 10 + 1))
    assert len(times) == size
    assert sorted(times.values()) == [1] * (size - size // 10) + [2] * (size // 10)
    for image_id in (each for each, number in times.items() if number == 2):
        first, second = (turn for turn, each in plan.items() if each == image_id)
        assert second - first >= min(APART, size // 2)


def test_every_picture_is_as_likely_as_any_other():
    """A chi-squared test over the turns of many people; the threshold is that of one in a million."""
    from scipy.stats import chi2

    pool = {each: each for each in IDS[:40]}
    counts = Counter(each for n in range(2000) for each in set(a_round(f"p{n}", size=10, groups=pool).turns().values()))
    expected = 2000 * 10 / 40
    statistic = sum((counts[each] - expected) ** 2 / (expected * 0.75) for each in pool) * 39 / 40
    assert statistic < chi2.isf(1e-6, 39)
    first = Counter(a_round("ana", number, 10, pool).turns()[1] for number in range(1, 400))
    assert len(first) > 30  # another round is another order


def test_rounds_go_through_all_pictures_and_no_answer_comes_back():
    pool = {each: each for each in IDS[:47]}
    elsewhere: list[str] = []
    sizes = []
    for number in range(1, 6):
        answered = answer_all(10, number=number, groups=pool, elsewhere=elsewhere)
        assert not set(answered.values()) & set(elsewhere)
        sizes.append(len(set(answered.values())))
        elsewhere += answered.values()
        is_last = a_round(number=number, size=10, groups=pool, answered=answered, elsewhere=elsewhere[: -len(answered)])
        assert is_last.is_last() == (number == 5)
    assert sizes == [10, 10, 10, 10, 7]
    assert set(elsewhere) == set(pool)


@given(st.lists(st.integers(0, 9), min_size=10, max_size=60))
def test_of_pictures_that_show_the_same_a_person_is_asked_one(numbers):
    groups = {IDS[n]: f"group {number}" for n, number in enumerate(numbers)}
    asked = set(a_round(size=100, groups=groups).turns().values())
    assert sorted(groups[each] for each in asked) == sorted(set(groups.values()))
    some = next(iter(asked))
    rest = {groups[each] for each in a_round(size=100, groups=groups, elsewhere=[some]).turns().values()}
    assert rest == set(groups.values()) - {groups[some]}


def test_new_tables_move_no_answer_and_a_picture_that_is_gone_is_not_asked():
    plan = a_round(size=20).turns()
    answered = dict(list(plan.items())[:8])
    fewer = {each: each for each in IDS if each != plan[9]}
    now = a_round(size=20, groups=fewer, answered=answered)
    assert list(now.turns().items())[:8] == list(answered.items())
    assert plan[9] not in now.turns().values()
    assert len(set(now.turns().values())) == 20
    assert not now.may_answer(9, plan[9])
    others = [f"{number:032x}" for number in range(400, 900)]
    more = a_round(size=20, groups={each: each for each in [*IDS, *others]}, answered=answered)
    assert more.may_answer(9, plan[9])  # it is shown, and another run's tables gave its turn to another
    assert not more.may_answer(8, plan[9])
    assert not more.may_answer(9, plan[1])
    assert not more.may_answer(23, plan[9])
