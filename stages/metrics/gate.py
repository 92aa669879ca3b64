"""The gate: whether a model reaches what was asked of it, rule by rule, each with its figure."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from stages._params import NotWorse, Rule
from stages.metrics.answers import Answers
from stages.metrics.figures import COUNTED, DIGITS, Figures, figures
from stages.metrics.interval import clopper_pearson
from stages.metrics.truth import NO_CLASS

LOWER_IS_BETTER = ("false_positive_fraction", "log_loss", "weighted_log_loss")


@dataclass(frozen=True)
class Ruling:
    """What one rule came to.

    Attributes:
        set: the set of pictures.
        metric: the figure's name.
        bound: what was asked, such as `at least 0.8`.
        figure: what came; None where there is none.
        interval: lowest and highest true value that the figure leaves likely, where it is a fraction of pictures.
        passed: whether the model may be promoted, as far as this rule goes.
        why: one sentence for a person.
    """

    set: str
    metric: str
    bound: str
    figure: float | None
    interval: tuple[float, float] | None
    passed: bool
    why: str


def verdict(rulings: Sequence[Ruling]) -> dict[str, Any]:
    """Put the rulings together.

    Args:
        rulings: in the order of the rules.

    Returns:
        What gate.json holds: `verdict`, `yes` if all passed, else `no`; `rules`, a dictionary a ruling.
    """
    return {
        "verdict": "yes" if all(ruling.passed for ruling in rulings) else "no",
        "rules": [asdict(ruling) for ruling in rulings],
    }


def judge_all(
    rules: Sequence[Rule],
    limits: Sequence[NotWorse],
    model: Mapping[str, Answers],
    base: Mapping[str, Answers],
    threshold: float,
) -> list[Ruling]:
    """Judge every rule.

    Args:
        rules: requirements on figures.
        limits: figures that must not get worse than the base's.
        model: the new model's answers by set.
        base: the base's to the same pictures; empty without a base.
        threshold: confidence from which an answer is shown, 0 to 100.

    Returns:
        A ruling a rule, in their order; a set that does not exist is one without pictures.
    """
    no_answers = next(iter(model.values())).take(slice(0, 0))
    rulings = []
    for rule in rules:
        values = figures(model.get(rule.set, no_answers), threshold)
        rulings.append(judge(values, rule.set, rule.metric, rule.at_least, rule.at_most))
    for limit in limits:
        new, old = (answers.get(limit.set, no_answers) for answers in (model, base))
        rulings.append(compare(new, old if base else None, limit.set, limit.metric, limit.margin, threshold))
    return rulings


def judge(values: Figures, name: str, metric: str, at_least: float | None, at_most: float | None) -> Ruling:
    """Hold a figure against a bound.

    Args:
        values: what `figures` returned of the set.
        name: of the set.
        metric: a key of `values`.
        at_least: lowest figure that passes, or None.
        at_most: highest one, or None; one of the two is given.
    """
    bound = f"at least {at_least:g}" if at_least is not None else f"at most {at_most:g}"
    figure = values[metric] if values["num_pictures"] else None  # no errors among no pictures prove nothing
    if figure is None:
        return Ruling(name, metric, bound, None, None, False, _why_none(values, name, metric))
    passed = (at_least is None or figure >= at_least) and (at_most is None or figure <= at_most)
    why = f"{_number(figure)} on {_pictures(values)}; {bound} was asked"
    return Ruling(name, metric, bound, _round(figure), _interval(values, metric), passed, why)


def compare(new: Answers, base: Answers | None, name: str, metric: str, margin: float, threshold: float) -> Ruling:
    """Hold a figure against the base's on the same pictures.

    Pictures of a class that the base does not know are left out, and counted: the base has all of them wrong, which
    would hide how much the new model lost of what the base knows.

    Args:
        new: the new model's answers to the pictures of the set.
        base: the base's to the same pictures, or None.
        name: of the set.
        metric: what `figures` calls it.
        margin: by how much the figure may be worse.
        threshold: confidence from which an answer is shown, 0 to 100.
    """
    bound = f"not worse than the base by more than {margin:g}"
    if base is None:
        values = figures(new, threshold)
        return Ruling(
            name, metric, bound, _round(values[metric]), _interval(values, metric), True, "no base to compare with"
        )
    same = base.known | (base.truth == NO_CLASS)
    values, old = (figures(answers.take(same), threshold) for answers in (new, base))
    figure, of_base = values[metric], old[metric]
    if figure is None or of_base is None:
        why = _why_none(values, name, metric) if same.all() else f"the base knows the class of no picture of {name}"
        return Ruling(name, metric, bound, None, None, False, why)
    worse_by = figure - of_base if metric in LOWER_IS_BETTER else of_base - figure
    passed = round(worse_by, DIGITS) <= margin
    others = f"; left out: {(~same).sum()} of classes that the base does not know" if not same.all() else ""
    why = f"{_number(figure)} against the base's {_number(of_base)} on {_pictures(values)}{others}"
    return Ruling(name, metric, bound, _round(figure), _interval(values, metric), passed, why)


def _interval(values: Figures, metric: str) -> tuple[float, float] | None:
    if metric not in COUNTED or values[metric] is None:
        return None
    ends = clopper_pearson(int(values[COUNTED[metric]] or 0), int(values["num_pictures"] or 0))
    return (round(ends[0], DIGITS), round(ends[1], DIGITS)) if ends else None


def _why_none(values: Figures, name: str, metric: str) -> str:
    if values["num_pictures"]:
        return f"{metric} means nothing: the pictures of {name} belong to no class; ask for false_positive_fraction"
    if name in ("test", "validation", "train"):
        return f"no pictures in the {name} set: add some to data/library, or remove the rule from params.yaml"
    return f"no pictures in data/benchmarks/{name}: add some, or remove the rule from params.yaml"


def _pictures(values: Figures) -> str:
    return "1 picture" if values["num_pictures"] == 1 else f"{values['num_pictures']} pictures"


def _number(value: float) -> str:
    return f"{value:.{DIGITS}f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


def _round(value: float | None) -> float | None:
    return round(value, DIGITS) if isinstance(value, float) else value
