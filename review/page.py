"""Write one page for people who run no commands: the verdict, the trend, the threshold report, the worst pictures.

    python -m review.page [--output build/report.html]

The page is one file without scripts that loads nothing: it can be mailed, opened without a network, and printed. It is
no stage: what it says depends on the tags of this clone and on what is not committed.

Reads: the tags model-NNN (data/scores/gate.json, data/scores/metrics.json); data/scores/ and data/shards/ now
Writes: the page; git ignores build/
Params: score, export
"""

import argparse
import base64
import io
import logging
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import markupsafe
from PIL import Image

from release.promote import tag_name
from release.promoted import Promoted, promoted_models
from review import charts
from review.markdown import visible
from review.reports import read_report
from review.worst_pictures import Worst, beside, read_worst
from runtime import parameters
from runtime.command import run
from runtime.outputs import whole
from runtime.repository import git, require_root
from runtime.wording import counted
from stages.tables import scores
from stages.tables.documents import read_gate, read_metrics, read_wanted_error
from stages.tables.review import REVIEW
from stages.tables.shards import FOLDER as SHARDS

log = logging.getLogger(__name__)

OUTPUT = "build/report.html"
NUM_WORST = 24
NUM_WEAKEST = 10
NUM_MODELS = 12  # in the trend, the last ones
_NOTHING = "\N{EN DASH}"
_SIDE = 240  # pixels of a picture, drawn at half of that
_TEMPLATE = Path(__file__).with_name("page.html")
Row = Mapping[str, str]
# What the trend shows, of which set.
TREND = (
    (scores.HELD_OUT, "top_1_accuracy", "Accuracy"),
    (scores.HELD_OUT, "balanced_accuracy", "Accuracy, mean over classes"),
    (scores.HELD_OUT, "true_positive_fraction", "Right answers shown"),
    (scores.HELD_OUT, "false_positive_fraction", "Wrong answers shown"),
    ("out_of_scope", "false_positive_fraction", "Out of scope, shown"),
)
WORDS = {
    "top_1_accuracy": "accuracy",
    "balanced_accuracy": "accuracy, every class weighing the same",
    "true_positive_fraction": "right answers shown",
    "false_positive_fraction": "wrong answers shown",
    "coverage": "answers shown",
    "num_errors": "wrong answers, shown or not",
    "min_confidence": "least confidence",
    "log_loss": "log loss",
    "weighted_log_loss": "weighted log loss",
}
_FRACTIONS = ("top_1_accuracy", "balanced_accuracy", "true_positive_fraction", "false_positive_fraction", "coverage")
REASONS = {
    "base_right_new_wrong": "Right before, wrong now",
    "wrong_and_confident": "Wrong, and shown",
    "wrong": "Wrong, but not shown",
    "class_not_in_model": "Of a class that the model does not know",
    "right_but_unsure": "Right, but not shown",
    "suspected_bad_picture": "Perhaps a bad picture",
}


def percent(value: object) -> str:
    """Write a fraction from 0 to 1 in per cent; a dash for none."""
    return _NOTHING if value in (None, "") else f"{100 * float(str(value)):.1f}\N{NO-BREAK SPACE}%"


def points(value: str) -> str:
    """Write the difference of two fractions in percentage points, with its sign."""
    if not value:
        return _NOTHING
    return f"{100 * float(value):+.1f}".replace("-", "\N{MINUS SIGN}") if float(value) else "0.0"


def requirements(gate: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Put the gate's rules into words, those that failed first.

    Args:
        gate: as gate.json has it.

    Returns:
        Of each rule `passed`, `set`, `what`, `bound`, `figure` and `why`.
    """
    described = []
    for rule in sorted(gate["rules"], key=lambda rule: rule["passed"]):
        fraction = rule["metric"] in _FRACTIONS
        figure = _NOTHING if rule["figure"] is None else f"{rule['figure']:.4g}"
        described.append(
            {
                "passed": rule["passed"],
                "set": rule["set"],
                "what": WORDS[rule["metric"]],
                "bound": _in_percent(rule["bound"]) if fraction else rule["bound"],
                "figure": percent(rule["figure"]) if fraction else figure,
                "why": rule["why"],
            }
        )
    return described


def trend(promoted: Sequence[Promoted], now: Promoted | None) -> dict[str, Any]:
    """Lay out the charts and the table of the promoted models, and of the one that is judged here.

    Args:
        promoted: in the order of their versions.
        now: the model that is judged; None where it is the last of the promoted ones.
    """
    models = [*promoted, *([now] if now else [])][-NUM_MODELS:]
    labels = [str(model.version) for model in models]
    drawn = []
    for name, metric, title in TREND:
        values = [model.metrics.get(name, {}).get(metric) for model in models]
        if any(value is not None for value in values):
            drawn.append({"title": title, "set": name, "values": values, "chart": charts.chart(values, labels)})
    return {"models": models, "drawn": drawn, "is_open": now is not None}


def headline(figures: Sequence[Row], model: str) -> Row | None:
    """Choose the figures of the held-out pictures, of the model `new` or `base`; None where there are none."""
    return next((row for row in figures if row["set"] == scores.HELD_OUT and row["model"] == model), None)


def whole_sets(compared: Sequence[Row]) -> list[Row]:
    """Choose, of the rows of against_base.csv, those about whole sets that the model did not learn from."""
    return [row for row in compared if not row["class_name"] and row["set"] not in ("train", scores.ALL_SETS)]


def weakest(classes: Sequence[Row]) -> list[Row]:
    """Choose, of the rows of per_class.csv, the classes whose held-out pictures were missed most."""
    return [row for row in classes if row["set"] == scores.HELD_OUT and row["num_missed"] != "0"][:NUM_WEAKEST]


def gallery(worst: Worst) -> list[dict[str, Any]]:
    """Group the worst pictures by reason, each with the examples that it is compared with."""
    groups: dict[str, list[dict[str, Any]]] = {}
    pictures = {image_id: data_uri(picture) for image_id, picture in worst.pictures.items()}
    for row in worst.rows.astype(object).where(worst.rows.notna(), None).to_dict("records"):
        examples = [(words, pictures.get(image_id)) for words, image_id in beside(row).items()]
        groups.setdefault(row["reason"], []).append(
            {"row": row, "picture": pictures.get(row["image_id"]), "examples": examples}
        )
    return [
        {"title": REASONS.get(reason, reason.replace("_", " ").capitalize()), "pictures": entries}
        for reason, entries in groups.items()
    ]


def data_uri(picture: Image.Image) -> markupsafe.Markup:
    """Put a picture, as a small JPEG, into a URI, which needs no escaping."""
    buffer = io.BytesIO()
    picture.resize((_SIDE, _SIDE), Image.Resampling.LANCZOS).save(buffer, "JPEG", quality=80)
    return markupsafe.Markup("data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode())  # noqa: S704


def page(**contents: Any) -> str:
    """Fill the page's template; whatever is put into it stays text, line by line and left to right."""
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_shown
    )
    environment.filters |= {"percent": percent, "points": points, "words": lambda name: name.replace("_", " ")}
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(**contents, size=charts)


def _in_percent(bound: str) -> str:
    return re.sub(r"[\d.]+$", lambda number: f"{100 * float(number[0]):.4g}\N{NO-BREAK SPACE}%", bound)


def _shown(value: Any) -> Any:
    return visible(value) if isinstance(value, str) and not isinstance(value, markupsafe.Markup) else value


def _commit() -> dict[str, str]:
    """Say which commit the page is about, and whether files differ from it."""
    commit, on = git("log", "-1", "--format=%h %cs").split()
    changed = git("status", "--porcelain", "--untracked-files=no").splitlines()
    return {"commit": commit, "on": on, "changed": f"{counted(len(changed), 'file')} changed since" if changed else ""}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m review.page", description="Write one page about the model.")
    parser.add_argument("--output", default=OUTPUT, help="where the page is written")
    output = parser.parse_args().output
    require_root()

    html = page(**_verdict(), **_figures(), **_pictures())

    with whole(output) as partial:
        partial.write_text(html, encoding="utf-8")
    log.info("report: %s, %.1f MB, opens in any browser", output, len(html.encode()) / 1e6)


def _verdict() -> dict[str, Any]:
    """Read the verdict and the trend."""
    gate, metrics = read_gate(), read_metrics()
    version, commit = parameters.read(parameters.Export).version, _commit()
    promoted = promoted_models(version)
    in_production = next((model for model in promoted if model.version == version), None)
    judged = None if in_production else Promoted(version, commit["on"], gate["verdict"], metrics)
    return {
        "name": tag_name(version),
        "version": version,
        "in_production": in_production,
        "here": commit,
        "passed": gate["verdict"] == "yes",
        "requirements": requirements(gate),
        "out_of_scope": metrics.get("out_of_scope", {}).get("false_positive_fraction"),
        "trend": trend(promoted, judged),
    }


def _figures() -> dict[str, Any]:
    """Read the reports."""
    figures = read_report(scores.FIGURES, scores.FIGURE_COLUMNS)
    return {
        "threshold": parameters.read(parameters.Score).threshold,
        "new": headline(figures, "new"),
        "base": headline(figures, "base"),
        "report": read_report(scores.THRESHOLD_REPORT, scores.THRESHOLD_COLUMNS),
        "wanted": read_wanted_error(),
        "compared": whole_sets(read_report(scores.AGAINST_BASE, scores.AGAINST_BASE_COLUMNS)),
        "weakest": weakest(read_report(scores.PER_CLASS, scores.PER_CLASS_COLUMNS)),
    }


def _pictures() -> dict[str, Any]:
    worst = read_worst(NUM_WORST)
    return {"gallery": gallery(worst), "missing": f"{REVIEW.path} {SHARDS}" if worst.missing else ""}


if __name__ == "__main__":
    run(main)
