"""Say what `make repro` reached: the metrics, the gate's verdict, where to look, and what to do next.

    python -m review.summary

Reads: data/scores/metrics.json, data/scores/gate.json, data/base/, params.yaml
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from runtime import parameters
from runtime.command import run
from runtime.errors import InputError
from stages.models.base import has_base
from stages.tables.exported import EXPORT
from stages.tables.scores import GATE, METRICS

PLACES = {
    "data/scores/review.parquet": "what a person should look at, worst first",
    "data/scores/*.csv": "reports: all figures, against the base, threshold, classes, confused pairs, benchmarks",
    "data/class_counts.csv": "which classes are in, which are out and why",
    "data/duplicates.parquet": "pairs that show the same; label_conflict: decide them",
    "data/identified.parquet": "what the model takes the unlabelled pictures for",
}


def metrics_table(metrics: Mapping[str, Mapping[str, float | None]]) -> str:
    """Lay the metrics out as a table, a row a metric and a column a set; a dash where a metric means nothing."""
    frame = pd.DataFrame(metrics).astype(float)
    return frame.map(lambda figure: "-" if pd.isna(figure) else f"{figure:.4f}").to_string()


def verdict(gate: Mapping[str, Any]) -> str:
    """Say the gate's verdict, a line a rule."""
    marks = {True: "passed", False: "FAILED"}
    lines = [f"  {marks[rule['passed']]}  {rule['set']} {rule['metric']}: {rule['why']}" for rule in gate["rules"]]
    return "\n".join([f"Gate: {gate['verdict']}", *lines])


def next_steps(passed: bool, version: int, base: bool) -> list[str]:
    """Say what to try next.

    Args:
        passed: whether the gate says yes.
        version: under which the model is exported.
        base: whether training started from a base.
    """
    promote = "make promote" if passed else 'make promote REASON="..."  (the gate says no)'
    return [
        "dvc plots show                       learning curves, threshold, classes",
        "dvc exp run --temp -S split.minimum=35 -n throwaway-35 identify",
        "                                     a throw-away model that knows the classes just below the cut-off",
        "make review BASE=main                the Markdown for a pull request",
        "make report                          one page for people who run no commands",
        f"git add --all && git commit -m 'Model {version}' && {promote}",
        "make next                            open the next cycle from the promoted model",
        *([] if base else ["make adopt LIBRARY=folder            put your own pictures in place of the sample"]),
    ]


def main() -> None:
    """Run the command."""
    if not Path(GATE).is_file():
        raise InputError(f"{GATE} is not there: `make repro` writes it.")
    metrics, gate = (json.loads(Path(path).read_text(encoding="utf-8")) for path in (METRICS, GATE))
    version = parameters.read(parameters.Export).version

    steps = next_steps(gate["verdict"] == "yes", version, has_base())
    places = PLACES | {f"{EXPORT}/{version:03d}/": "the model for TensorFlow Serving, with its reports"}
    where = "\n".join(f"  {path:<36} {what}" for path, what in places.items())
    told = [metrics_table(metrics), verdict(gate), f"Where to look:\n{where}", "Next:\n  " + "\n  ".join(steps)]
    sys.stdout.write("\n" + "\n\n".join(told) + "\n")


if __name__ == "__main__":
    run(main)
