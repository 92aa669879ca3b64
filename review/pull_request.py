"""Print the Markdown that a pull request needs: the verdict first, then what changed, then pictures.

    python -m review.pull_request --base main [--link URL]

What a branch changed is what its commits say, and the working tree on top of them, against where it left BASE. The
pictures come from wherever DVC finds them; without them the rest is printed all the same.

Reads: params.yaml, data/scores/metrics.json, data/class_counts.csv, data/decisions/, each now and where the branch left
    BASE; data/scores/gate.json, data/scores/against_base.csv, data/scores/figures.csv, data/base/metrics.json,
    data/scores/review.parquet, now; data/images.parquet, data/shards/, each now and where the branch left BASE
Writes: build/worst.jpg, build/changed.jpg, contact sheets that git ignores
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from intake.dates import require_past
from review.changed_pictures import Changed, changed_section, read_changed
from review.changes import Flat, counts_section, decisions_section, flatten, metrics_section, params_section
from review.contact_sheet import Shown, contact_sheet
from review.markdown import comment, table
from review.reports import MAX_BYTES, parse_report, read_report
from review.verdict import CAUSED, base_section, causes_section, gate_section
from review.worst_pictures import BESIDE, Worst, read_worst
from runtime import parameters
from runtime.command import run
from runtime.errors import InputError, RepositoryError
from runtime.litter import is_litter
from runtime.outputs import whole
from runtime.regular_files import read_small
from runtime.repository import git, require_root
from runtime.tracked_files import TrackedFiles
from stages.labels import decisions
from stages.labels.person_files import list_files
from stages.models.base import BASE_METRICS
from stages.tables.documents import parse_metrics, read_gate, read_metrics
from stages.tables.review import REVIEW
from stages.tables.scores import AGAINST_BASE, AGAINST_BASE_COLUMNS, FIGURES, GATE, METRICS
from stages.tables.shards import FOLDER as SHARDS
from stages.tables.splits import CLASS_COUNTS

NUM_WORST = 12
WORST, CHANGED = "build/worst.jpg", "build/changed.jpg"
_SHOWN = ("rank", "reason", "truth", "predicted", "confidence", "base_predicted", "path")


def worst_section(worst: Worst, link: str) -> str:
    """List the worst pictures, and link their contact sheet where there is one.

    Args:
        worst: the pictures.
        link: where the sheet will be found.
    """
    parts = ["## Worst pictures"]
    if worst.pictures:
        below = " and one ".join(words for name, words in BESIDE.items() if name in worst.rows)
        caption = f" Below each, one {below}." if below else ""
        parts.append(f"[The {len(worst.rows)} worst pictures on a sheet]({link}), numbered as here.{caption}")
    if worst.missing:
        parts.append(f"Pictures cannot be shown: `dvc pull {REVIEW.path} {SHARDS}` brings them.")
    if len(worst.rows):
        rows = worst.rows.astype(dict.fromkeys(_SHOWN, object))
        rows = rows.assign(confidence=[f"{value:.1f}" for value in rows["confidence"]]).where(rows.notna(), None)
        parts.append(table(_SHOWN, rows[list(_SHOWN)].itertuples(index=False)))
    elif not worst.missing:
        parts.append("None is wrong, unsure or suspected to be bad.")
    return "\n\n".join(parts)


def _write_sheets(worst: Worst, changed: Changed) -> None:
    columns = [name for name in BESIDE if name in worst.rows]
    of_worst: list[Shown] = [
        (row["rank"], worst.pictures.get(row["image_id"]), [worst.pictures.get(row[name]) for name in columns])
        for row in worst.rows.to_dict("records")
    ]
    of_changed: list[Shown] = [
        (number, changed.pictures.get(image_id), ()) for number, image_id in enumerate(changed.rows["image_id"], 1)
    ]
    for path, shown, pictures in ((WORST, of_worst, worst.pictures), (CHANGED, of_changed, changed.pictures)):
        if pictures:
            with whole(path) as partial:
                contact_sheet(shown).save(partial, "JPEG", quality=85)


def _at(revision: str, path: str) -> str:
    try:
        return git("show", f"{revision}:{path}")
    except RepositoryError:
        return ""  # the file did not exist then


def _base_metrics() -> dict[str, Any] | None:
    try:
        return parse_metrics(TrackedFiles().read(BASE_METRICS), BASE_METRICS)
    except RepositoryError:
        return None  # there is no base, or its metrics cannot be had; the section says what to do


def _params_now() -> bytes:
    path, remedy = parameters.PATH, f"`git checkout HEAD -- {parameters.PATH}` brings the last commit's back."
    return read_small(path, MAX_BYTES, remedy) if Path(path).exists() else b""


def _params(text: str | bytes, name: str) -> Flat:
    try:
        return flatten(yaml.safe_load(text) or {})
    except (yaml.YAMLError, RecursionError, ValueError) as error:  # a date such as 2026-02-30 is a ValueError
        raise InputError(f"{name} is not YAML: {error}. `git diff {parameters.PATH}` shows what changed.") from None


def _report(path: str, columns: Sequence[str]) -> list[dict[str, str]]:
    return read_report(path, columns) if Path(path).exists() else []


def _decisions_at(revision: str) -> dict[str, str]:
    listed = git("ls-tree", "--name-only", revision, f"{decisions.FOLDER}/").splitlines()
    return {path: _at(revision, path) for path in listed if path.endswith(".csv") and not is_litter(path)}


def _decisions_now() -> dict[str, str]:
    return {str(path): path.read_text(encoding="utf-8") for path in list_files(decisions.FOLDER)}


def _left(base: str) -> str:
    try:
        commit = git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{base}^{{commit}}").strip()
    except RepositoryError:
        raise InputError(f"there is no commit {base!r}: name a branch, a tag or a commit, as in BASE=main.") from None
    try:
        return git("merge-base", commit, "HEAD").strip()
    except RepositoryError:
        return commit  # a shallow clone does not know where the branch left


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m review.pull_request", description="Print a pull request's Markdown."
    )
    parser.add_argument("--base", default="main", help="what the branch is compared with")
    parser.add_argument("--link", help="where readers will find the contact sheets; by default the files")
    return parser.parse_args()


def main() -> None:
    """Run the command."""
    arguments = _arguments()
    require_root()
    require_past(decisions.read_decisions(decisions.FOLDER, None), datetime.now(UTC))
    base = _left(arguments.base)
    worst, changed = read_worst(NUM_WORST), read_changed(base)
    sections = _changed_sections(base)

    _write_sheets(worst, changed)
    metrics = sections.pop("metrics")  # the longest, and the least urgent
    sections["pictures"] = changed_section(changed, arguments.link or CHANGED)
    sections |= {"worst pictures": worst_section(worst, arguments.link or WORST), "metrics": metrics}

    sys.stdout.write(comment(_judged_sections() | sections))
    if base == git("rev-parse", "HEAD").strip() and not git("status", "--porcelain"):
        sys.stderr.write(
            f"review: {arguments.base} is this very commit and nothing is changed here, so there is nothing to show."
            " Name an older one: make review BASE=model-006\n"
        )
    for missing in sorted({worst.missing, changed.missing} - {""}):
        sys.stderr.write(f"review: pictures cannot be shown: {missing}\n")


def _judged_sections() -> dict[str, str]:
    return {
        "gate": gate_section(read_gate() if Path(GATE).exists() else None),
        "new against base": base_section(_report(AGAINST_BASE, AGAINST_BASE_COLUMNS)),
        "what the pictures did": causes_section(_base_metrics(), _report(FIGURES, ("model", "set", *CAUSED))),
    }


def _changed_sections(base: str) -> dict[str, str]:
    counts_then = parse_report(_at(base, CLASS_COUNTS).encode(), f"{base}:{CLASS_COUNTS}", ("class_name",))
    params_then = _params(_at(base, parameters.PATH), f"{base}:{parameters.PATH}")
    metrics_then = parse_metrics(_at(base, METRICS) or "{}", f"{base}:{METRICS}")
    metrics_now = read_metrics() if Path(METRICS).exists() else {}
    return {
        "classes": counts_section(counts_then, _report(CLASS_COUNTS, ("class_name",))),
        "decisions": decisions_section(_decisions_at(base), _decisions_now()),
        "parameters": params_section(params_then, _params(_params_now(), parameters.PATH)),
        "metrics": metrics_section(flatten(metrics_then), flatten(metrics_now)),
    }


if __name__ == "__main__":
    run(main)
