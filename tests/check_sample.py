"""What the sample gives when the whole pipeline has run on it: `python -m tests.check_sample`, after `make repro`.

In a clone whose library is the user's own there is nothing to compare with.
"""

import json
import subprocess
import sys
from pathlib import Path

import pandas as pd
import yaml

from review.summary import is_sample

SAME_ANYWHERE = ("fingerprint", "shard")  # from `embed` on, another kind of processor may give other last digits
NUM_PAIRS = 13  # those planted, and a part of a photograph that stands among the unlabelled too


def main() -> None:
    """Compare what is here with what must be, and name what differs."""
    if not is_sample():
        sys.stdout.write("data/library.dvc names another library than the sample's: nothing to compare\n")
        return
    committed = yaml.safe_load(subprocess.check_output(["git", "show", "HEAD:dvc.lock"]))["stages"]
    here = yaml.safe_load(Path("dvc.lock").read_text())["stages"]
    metrics = json.loads(Path("data/scores/metrics.json").read_text())
    shown = pd.read_csv("data/scores/threshold_report.csv").set_index("set").loc["held_out"]
    (version,) = Path("data/export").iterdir()
    checks = {f"{stage} gives what dvc.lock says": here[stage] == committed[stage] for stage in SAME_ANYWHERE}
    checks |= {
        "the pairs of pictures are those expected": len(pd.read_parquet("data/duplicates.parquet")) == NUM_PAIRS,
        "every stage ran": here.keys() == committed.keys(),
        "accuracy on held-out pictures is at least 0.97": metrics["held_out"]["top_1_accuracy"] >= 0.97,
        "at most 0.03 of them are out of scope": shown["coverage_by_confidence"] - shown["coverage"] <= 0.03,
        "the gate has a verdict": json.loads(Path("data/scores/gate.json").read_text())["verdict"] in ("yes", "no"),
        "the model is exported": (version / version.name / "saved_model.pb").is_file(),
        "unlabelled pictures are identified": len(pd.read_parquet("data/identified.parquet")) > 100,
    }
    sys.stdout.write("".join(f"{'ok    ' if holds else 'FAILED'} {what}\n" for what, holds in checks.items()))
    sys.exit(not all(checks.values()))


if __name__ == "__main__":
    main()
