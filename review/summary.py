"""Say what `make repro` reached: the metrics, the gate's verdict, where to look, and what to do next.

    python -m review.summary

Reads: data/scores/metrics.json, data/scores/gate.json, data/library.dvc, data/base/, params.yaml
"""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from runtime import parameters
from runtime.command import run
from runtime.tracked import tracked_folders
from runtime.wording import counted
from sample import LIBRARY_DIGEST
from stages.models.base import has_base
from stages.tables.documents import read_gate, read_metrics
from stages.tables.exported import EXPORT

SHOWN = (
    "num_pictures",
    "num_classes",
    "num_classes_total",
    "top_1_accuracy",
    "balanced_accuracy",
    "log_loss",
    "weighted_log_loss",
    "true_positive_fraction",
    "false_positive_fraction",
)
FILES = {
    "data/scores/review.parquet": "pictures that a person should look at, worst first",
    "data/scores/": "all metrics and reports: against the base, thresholds, classes, confused pairs",
    "data/class_counts.csv": "which classes are in, which are out and why",
    "data/conflicts.csv": "files that show the same thing in two classes, and what ends each",
    "data/identified.parquet": "which classes the model gives the unlabelled pictures",
}


def metrics_table(metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    """Lay the main metrics out, one row per metric and one column per set; a dash where one means nothing."""
    frame = pd.DataFrame(metrics).astype(float)
    frame = frame.loc[[name for name in SHOWN if name in frame.index]]
    shown = frame.apply(lambda row: row.map(_whole if str(row.name).startswith("num_") else _rounded), axis=1)
    return str(shown.to_string())


def verdict(gate: Mapping[str, Any]) -> str:
    """Say the gate's verdict, and each rule that failed in one line."""
    failed = [rule for rule in gate["rules"] if not rule["passed"]]
    lines = [f"  FAILED  {rule['set']} {rule['metric']}: {rule['why']}" for rule in failed]
    return "\n".join([f"Gate: {gate['verdict']}", *lines, f"  passed  {_passed(len(gate['rules']), len(failed))}"])


def next_steps(passed: bool, version: int, adoptable: bool) -> list[str]:
    """Say what to try next.

    Args:
        passed: whether the gate says yes.
        version: under which the model is exported.
        adoptable: whether the library is the sample, and no model of it was promoted.
    """
    promote = "make promote" if passed else 'make promote REASON="..."  (the gate says no)'
    return [
        f"git add --all && git commit -m 'Model {version}' && {promote}",
        "make review BASE=main                what a pull request needs, as Markdown",
        "make report                          one page for people who run no commands",
        "make next                            open the next cycle from the promoted model",
        "make plots                           learning curves, thresholds, classes",
        "dvc exp run --temp -S split.minimum=35 -n throwaway-35 identify",
        "                                     a throw-away model that also knows the classes just below the cut-off",
        *["make adopt LIBRARY=folder            use your own pictures instead of the sample"] * adoptable,
    ]


def is_sample() -> bool:
    """Tell whether the library is the sample, to which nothing was added."""
    return any(folder.recorded == LIBRARY_DIGEST for folder in tracked_folders([Path("data/library")]))


def main() -> None:
    """Run the command."""
    gate, metrics = read_gate(), read_metrics()
    version = parameters.read(parameters.Export).version

    steps = next_steps(gate["verdict"] == "yes", version, is_sample() and not has_base())
    files = FILES | {f"{EXPORT}/{version:03d}/": "the model for TensorFlow Serving, with its reports"}
    where = "\n".join(f"  {path:<36} {what}" for path, what in files.items())
    parts = [metrics_table(metrics), verdict(gate), f"Where to look:\n{where}", "Next:\n  " + "\n  ".join(steps)]
    sys.stdout.write("\n" + "\n\n".join(parts) + "\n")


def _rounded(figure: float) -> str:
    return "-" if pd.isna(figure) else f"{figure:.4f}"


def _whole(figure: float) -> str:
    return "-" if pd.isna(figure) else f"{figure:,.0f}"


def _passed(num_rules: int, num_failed: int) -> str:
    rules = counted(num_rules, "rule")
    return f"{num_rules - num_failed} of {rules}" if num_failed else f"all {rules}"


if __name__ == "__main__":
    run(main)
