"""The gate: whether a model reaches what was asked of it, rule by rule, each with its figure."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from runtime.parameters import Gate, NotWorse, Rule
from runtime.wording import counted
from stages.metrics.answers import Answers
from stages.metrics.comparison import Comparison, comparable, compare
from stages.metrics.figures import COUNTED, Figures, figures
from stages.metrics.splits import LIBRARY_SPLITS
from stages.tables.scores import DIGITS, HELD_OUT


@dataclass(frozen=True)
class Ruling:
    """The outcome of one rule.

    Attributes:
        set: the set of pictures.
        metric: the figure's name.
        bound: what was asked, such as `at least 0.8`.
        figure: the model's; None where there is none.
        interval: lowest and highest true value that the figure leaves likely, where it is a fraction of pictures.
        worse_by: than the base, on the same pictures; negative where it is better. None for a rule without a base.
        worse_by_interval: lowest and highest true value that it leaves likely; each end holds with 95 % confidence.
        decided: whether the pictures are enough to tell.
        passed: whether the model may be promoted, as far as this rule goes.
        why: one sentence for a person.
    """

    set: str
    metric: str
    bound: str
    figure: float | None
    interval: tuple[float, float] | None
    worse_by: float | None
    worse_by_interval: tuple[float, float] | None
    decided: bool
    passed: bool
    why: str


def verdict(rulings: Sequence[Ruling]) -> dict[str, Any]:
    """Put the rulings together.

    Args:
        rulings: in the order of the rules.

    Returns:
        What gate.json holds: `verdict`, `yes` if all passed, else `no`; `rules`, one dictionary per ruling.
    """
    return {
        "verdict": "yes" if all(ruling.passed for ruling in rulings) else "no",
        "rules": [asdict(ruling) for ruling in rulings],
    }


def judge_all(asked: Gate, model: Mapping[str, Answers], base: Mapping[str, Answers], threshold: float) -> list[Ruling]:
    """Judge every rule.

    Args:
        asked: the rules, and what they have in common.
        model: the new model's answers by set.
        base: the base's to the same pictures; empty without a base.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        One ruling per rule, in their order; a set that does not exist is one without pictures.
    """
    no_answers = next(iter(model.values())).take(slice(0, 0))
    least = asked.least_pictures
    rulings = [judge(figures(model.get(rule.set, no_answers), threshold), rule, least) for rule in asked.rules]
    for limit in asked.not_worse_than_base:
        new, old = (answers.get(limit.set, no_answers) for answers in (model, base))
        rulings.append(judge_against(new, old if base else None, limit, threshold, least))
    return rulings


def judge(values: Figures, rule: Rule, least_pictures: int) -> Ruling:
    """Compare a figure with a bound.

    The figure itself is compared, not its interval: that is what the requirement says. There must be enough pictures
    for the requirement to mean what it says, see `pictures_needed`.

    Args:
        values: what `figures` returned of the set.
        rule: names the set, a key of `values` and the bound.
        least_pictures: a set with fewer decides nothing.
    """
    bound = f"at least {rule.at_least:g}" if rule.at_least is not None else f"at most {rule.at_most:g}"
    num_pictures = int(values["num_pictures"] or 0)
    figure = values[rule.metric] if num_pictures else None  # no errors among no pictures prove nothing
    if figure is None:
        return _no_figure(rule, bound, _why_none(values, rule.set, rule.metric))
    meets = (rule.at_least is None or figure >= rule.at_least) and (rule.at_most is None or figure <= rule.at_most)
    needed = pictures_needed(rule, least_pictures)
    decided = num_pictures >= needed
    why = f"{_number(figure)} on {_pictures(values)}; {bound} was asked"
    if not decided:
        why += f"; too few pictures to decide, it takes {needed}{_allowed(rule)}"
    return Ruling(
        set=rule.set,
        metric=rule.metric,
        bound=bound,
        figure=_round(figure),
        interval=_interval(values, rule.metric),
        worse_by=None,
        worse_by_interval=None,
        decided=decided,
        passed=meets and (decided or rule.allow_undecided),
        why=why,
    )


def pictures_needed(rule: Rule, least_pictures: int) -> int:
    """Tell how many pictures a requirement needs to mean what it says.

    At most 0.05 of 12 pictures is none of them: a harder requirement than was asked, which chance alone can fail. A
    fraction needs enough pictures to leave room for one that misses it. A requirement without any room, such as no
    errors, needs `least_pictures`.

    Args:
        rule: the requirement.
        least_pictures: the least of any rule.
    """
    if rule.metric not in COUNTED:
        return least_pictures
    room = rule.at_most if rule.at_most is not None else 1 - (rule.at_least or 0.0)
    return max(least_pictures, math.ceil(1 / room - 1e-9)) if room >= 10**-DIGITS else least_pictures


def judge_against(new: Answers, base: Answers | None, limit: NotWorse, threshold: float, least_pictures: int) -> Ruling:
    """Compare a figure with the base's on the same pictures: passed when it is shown not to be worse by the margin.

    A test of non-inferiority: the worse end of the interval of the difference must be within the margin. Where the
    better end is within it and the worse one is not, the pictures are too few to tell.

    Args:
        new: the new model's answers to the pictures of the set.
        base: the base's to the same pictures, or None.
        limit: names the set, the figure and the margin.
        threshold: confidence from which an answer is shown, 0 to 100.
        least_pictures: a set with fewer decides nothing.

    Source: Piaggio et al. 2012, "Reporting of noninferiority and equivalence randomized trials", the CONSORT extension.
    """
    if base is None:
        return _without_base(figures(new, threshold), limit)
    same = comparable(base)
    num_left_out = int((~same).sum())
    new, base = new.take(same), base.take(same)
    values, comparison = figures(new, threshold), compare(new, base, limit.metric, threshold)
    if comparison is None:
        unknown = f"the base knows the class of no picture of {limit.set}"
        why = unknown if num_left_out else _why_none(values, limit.set, limit.metric)
        return _no_figure(limit, _margin(limit), why)
    return _compared(values, comparison, limit, least_pictures, num_left_out)


def _compared(
    values: Figures, comparison: Comparison, limit: NotWorse, least_pictures: int, num_left_out: int
) -> Ruling:
    """Rule on a comparison: within the margin, beyond it, or undecided."""
    num_pictures, (low, high) = int(values["num_pictures"] or 0), comparison.interval
    within, beyond = high <= limit.margin, low > limit.margin
    decided = num_pictures >= least_pictures and (within or beyond)
    figure_within = round(comparison.worse_by, DIGITS) <= limit.margin
    return Ruling(
        set=limit.set,
        metric=limit.metric,
        bound=_margin(limit),
        figure=_round(comparison.figure),
        interval=_interval(values, limit.metric),
        worse_by=_round(comparison.worse_by),
        worse_by_interval=(round(low, DIGITS), round(high, DIGITS)),
        decided=decided,
        passed=within if decided else figure_within and limit.allow_undecided,
        why=_why_compared(comparison, _pictures(values))
        + (f"; left out: {num_left_out} of classes that the base does not know" if num_left_out else "")
        + ("" if decided else _why_undecided(comparison, num_pictures, limit)),
    )


def _without_base(values: Figures, limit: NotWorse) -> Ruling:
    return Ruling(
        set=limit.set,
        metric=limit.metric,
        bound=_margin(limit),
        figure=_round(values[limit.metric]),
        interval=_interval(values, limit.metric),
        worse_by=None,
        worse_by_interval=None,
        decided=True,
        passed=True,
        why="no base to compare with",
    )


def _margin(limit: NotWorse) -> str:
    return f"not worse than the base by more than {limit.margin:g}"


def _no_figure(rule: Rule | NotWorse, bound: str, why: str) -> Ruling:
    return Ruling(rule.set, rule.metric, bound, None, None, None, None, decided=False, passed=False, why=why)


def _interval(values: Figures, metric: str) -> tuple[float, float] | None:
    if metric not in COUNTED or values[metric] is None:
        return None
    low, high = values[f"{metric}_low"], values[f"{metric}_high"]
    return (round(low, DIGITS), round(high, DIGITS)) if low is not None and high is not None else None


def _why_none(values: Figures, name: str, metric: str) -> str:
    if values["num_pictures"]:
        return f"{metric} means nothing: the pictures of {name} belong to no class; ask for false_positive_fraction"
    if name in (HELD_OUT, *LIBRARY_SPLITS):
        return f"no pictures in the {name} set: add some to data/library, or remove the rule from params.yaml"
    return f"no pictures in data/benchmarks/{name}: add some, or remove the rule from params.yaml"


def _pictures(values: Figures) -> str:
    """Say how many pictures of how many classes a figure stands on."""
    classes = f" of {values['num_classes']} of {values['num_classes_total']} classes" if values["num_classes"] else ""
    return counted(int(values["num_pictures"] or 0), "picture") + classes


def _why_compared(comparison: Comparison, pictures: str) -> str:
    figure, base_figure, worse_by = (_number(value) for value in comparison[:3])
    ends = " and ".join(f"{end:.3f}" for end in comparison.interval)
    return f"{figure} against the base's {base_figure} on {pictures}: worse by {worse_by}, likely between {ends}"


def _why_undecided(comparison: Comparison, num_pictures: int, limit: NotWorse) -> str:
    """Say that the pictures are too few, and how many would do if the difference stayed the same."""
    room, reach = limit.margin - comparison.worse_by, comparison.interval[1] - comparison.worse_by
    more = f", some {_rough(num_pictures * (reach / room) ** 2)} would do" if room > 0 and reach > room else ""
    return f"; too few pictures to decide{more}{_allowed(limit)}"


def _allowed(rule: Rule | NotWorse) -> str:
    return "; the rule allows it" if rule.allow_undecided else ""


def _rough(number: float) -> int:
    """Round a number up to its first digit."""
    unit: int = 10 ** int(math.log10(number))
    return math.ceil(number / unit) * unit


def _number(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _round(value: float | None) -> float | None:
    return round(value, DIGITS) if isinstance(value, float) else value
