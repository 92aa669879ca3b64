"""The gate's rules for a library: one about a benchmark that it lacks would stop the first run."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from runtime import parameters
from runtime.wording import counted, listed
from stages.metrics.splits import LIBRARY_SPLITS
from stages.tables.scores import HELD_OUT

# A benchmark whose rules are asked of HELD_OUT where it is lacking: else nothing would be asked of a model.
_DIFFICULT = "difficult"


@dataclass(frozen=True)
class Fitting:
    """How the rules are made to fit.

    Attributes:
        moved: numbers of the rules that are asked of HELD_OUT instead.
        removed: numbers of those that are taken out.
        lacking: benchmarks that the rules name and that are not there, sorted.
    """

    moved: list[int]
    removed: list[int]
    lacking: list[str]

    def apply(self) -> None:
        """Change params.yaml."""
        parameters.change({f"gate.rules.{number}.set": HELD_OUT for number in self.moved})
        parameters.remove("gate.rules", self.removed)

    def describe(self) -> str:
        """Say in one line what became of the rules."""
        if not self.lacking:
            return "the gate's rules in params.yaml stay: the library has every benchmark that they name"
        moved = f"{counted(len(self.moved), 'rule')} on {_DIFFICULT} asked of {HELD_OUT} instead"
        removed = f"{counted(len(self.removed), 'rule')} taken out"
        changes = ", ".join([moved] * bool(self.moved) + [removed] * bool(self.removed))
        return f"the gate's rules in params.yaml: {changes}, for there is no benchmark {listed(self.lacking)}"


def fit(rules: Sequence[parameters.Rule], benchmarks: Collection[str]) -> Fitting:
    """Find the rules that a library cannot answer.

    Args:
        rules: of the gate.
        benchmarks: that the library has.
    """
    there = {HELD_OUT, *LIBRARY_SPLITS, *benchmarks}
    lacking = {number: rule.set for number, rule in enumerate(rules) if rule.set not in there}
    moved = [number for number, name in lacking.items() if name == _DIFFICULT]
    return Fitting(moved, [number for number in lacking if number not in moved], sorted(set(lacking.values())))
