"""The gate's rules after adoption: none about a benchmark that is not there, and never none at all."""

import pytest

from intake.gate_rules import fit
from runtime import parameters

DEFAULT = ("difficult", "difficult", "out_of_scope", "most_common", "least_common", "least_common")


@pytest.mark.parametrize(
    ("benchmarks", "left", "words"),
    [
        (
            (),
            ["held_out", "held_out"],
            "2 rules on difficult asked of held_out instead, 4 rules taken out, for there is no b",
        ),
        (("difficult", "most_common"), ["difficult", "difficult", "most_common"], "3 rules taken out, for there is no"),
        (
            ("difficult", "most_common", "least_common", "out_of_scope"),
            [*DEFAULT],
            "stay: the library has every benchm",
        ),
        (("our_own",), ["held_out", "held_out"], "no benchmark difficult, least_common, most_common, out_of_scope"),
    ],
)
def test_rules_are_of_sets_that_are_there(workspace, benchmarks, left, words):
    fitting = fit(parameters.read(parameters.Gate).rules, benchmarks)
    fitting.apply()
    assert [rule.set for rule in parameters.read(parameters.Gate).rules] == left
    assert words in fitting.describe()
