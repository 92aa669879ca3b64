"""Write a model card for each promoted version, from what its tag holds and what this report found about it."""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import markupsafe
import yaml
from markdown_it import MarkdownIt

from release.promote import promoted_versions, tag_name
from review.markdown import table, text
from review.reports import parse_report
from runtime.errors import RepositoryError
from runtime.repository import git
from runtime.wording import counted, listed
from serving.usage import accuracy
from serving.usage.duck import Row, Tables
from serving.usage.pages import percent
from stages.tables import scores
from stages.tables.documents import parse_gate, parse_metrics
from stages.tables.splits import CLASS_COUNTS, COUNT_COLUMNS

NUM_WEAKEST = 10
# What a reader asks of a run; all of it is in the tag's params.yaml.
PARAMETERS = (
    "picture.side", "train.network", "train.head", "train.epochs", "train.epochs_from_scratch", "train.learning_rate",
    "split.minimum", "split.maximum", "split.staged_cap", "score.threshold",
)  # fmt: skip
_FIGURES = ("top_1_accuracy", "true_positive_fraction", "false_positive_fraction")


class Tagged(NamedTuple):
    """A promoted version, as its tag tells.

    Attributes:
        version: 1 to 999.
        on: the day, as year-month-day.
        message: of the tag.
        metrics: as metrics.json has them; empty where the commit has none, and so are the others.
        gate: as gate.json has it.
        params: as params.yaml has them.
        counts: rows of class_counts.csv.
        classes: rows of per_class.csv.
        num_bytes: of the model.
    """

    version: int
    on: str
    message: str
    metrics: dict[str, dict[str, Any]]
    gate: dict[str, Any]
    params: dict[str, Any]
    counts: list[dict[str, str]]
    classes: list[dict[str, str]]
    num_bytes: int | None


def read_tagged() -> list[Tagged]:
    """Read the promoted versions of this clone, the newest first; none where this is no repository.

    Raises:
        InputError: a file of a tag is damaged.
    """
    try:
        lines = git(
            "for-each-ref", "--format=%(refname:strip=2) %(creatordate:short)", "refs/tags/model-*"
        ).splitlines()
    except RepositoryError:
        return []
    days = dict(line.rsplit(" ", 1) for line in lines)
    return [_read(version, days[tag_name(version)]) for version in sorted(promoted_versions(list(days)), reverse=True)]


def _read(version: int, on: str) -> Tagged:
    tag = tag_name(version)

    def at(path: str) -> str:
        try:
            return git("show", f"{tag}:{path}")
        except RepositoryError:
            return ""  # of an older layout, or a tag that somebody set by hand

    gate, counts, classes = at(scores.GATE), at(CLASS_COUNTS), at(scores.PER_CLASS)
    return Tagged(
        version,
        on,
        git("tag", "--list", "--format=%(contents)", tag).strip(),
        parse_metrics(at(scores.METRICS) or "{}", f"{tag}:{scores.METRICS}"),
        parse_gate(gate, f"{tag}:{scores.GATE}") if gate else {},
        _mapping(at("params.yaml")),
        parse_report(counts.encode(), f"{tag}:{CLASS_COUNTS}", COUNT_COLUMNS) if counts else [],
        parse_report(classes.encode(), f"{tag}:{scores.PER_CLASS}", scores.PER_CLASS_COLUMNS) if classes else [],
        _size_of_model(_mapping(at("dvc.lock"))),
    )


def _mapping(content: str) -> dict[str, Any]:
    try:
        values = yaml.safe_load(content)
    except (yaml.YAMLError, ValueError, RecursionError):
        return {}
    return values if isinstance(values, dict) else {}


def _size_of_model(lock: Mapping[str, Any]) -> int | None:
    """Find the bytes of the model in a dvc.lock; None where it says no such thing."""
    try:
        outs = lock["stages"]["train"]["outs"]
        return next((int(out["size"]) for out in outs if out["path"] == "data/model"), None)
    except (KeyError, TypeError, ValueError):
        return None


def card(tagged: Tagged, tables: Tables, found: Sequence[Row]) -> str:
    """Write a card in Markdown; what comes from names and people stays text.

    Args:
        tagged: the version.
        tables: answers of usage.sql by name.
        found: rows of accuracy.ACCURACY.
    """
    parts = (_purpose, _training, _figures, _gate, _weakest, _limits)
    sections = [f"# {tag_name(tagged.version)}", *(part(tagged) for part in parts)]
    sections.insert(-1, _production(tagged.version, tables, found))
    return "\n\n".join(section for section in sections if section) + "\n"


def _purpose(tagged: Tagged) -> str:
    num = sum(row["included"] == "True" for row in tagged.counts)
    threshold = _at(tagged.params, "score.threshold")
    what = f"It names one of {counted(num, 'class', 'classes')} in a photo." if num else "It names a class in a photo."
    is_known = isinstance(threshold, int | float)
    shown = f" Users see the class from a confidence of {threshold:g} of 100, else advice." if is_known else ""
    said = "\n".join(f"> {text(line)}" for line in tagged.message.splitlines()[:12] if line)
    return f"{what}{shown} Promoted on {tagged.on}; the tag says:\n\n{said or '> nothing'}"


def _training(tagged: Tagged) -> str:
    tag, counts = tag_name(tagged.version), [row for row in tagged.counts if row["included"] == "True"]
    lines = []
    if counts:
        sums = {name: sum(int(row[name] or 0) for row in counts) for name in COUNT_COLUMNS if name.startswith("train")}
        lines.append(
            f"{sums['train']:,} pictures: {sums['train_real']:,} real, {sums['train_staged']:,} staged, "
            f"{sums['train_synthetic']:,} synthetic. What its ancestors were trained on counts too: "
            f"`data/model/lineage.parquet` lists every picture (`git checkout {tag}`, `dvc pull data/model`)."
        )
    if tagged.num_bytes is not None:
        lines.append(f"The model has {tagged.num_bytes / 1e6:,.1f} MB.")
    rows = [(name, value) for name in PARAMETERS for value in [_at(tagged.params, name)] if value is not None]
    lines.append(table(("parameter", "value"), rows) if rows else "The tag holds no parameters.")
    return "\n\n".join(["## What it was trained on, and how", *lines])


def _at(params: Mapping[str, Any], name: str) -> object:
    section, _, key = name.partition(".")
    values = params.get(section)
    return values.get(key) if isinstance(values, dict) else None


def _figures(tagged: Tagged) -> str:
    rows = [
        (name.replace("_", " "), figures.get("num_pictures"), *(percent(figures.get(figure)) for figure in _FIGURES))
        for name, figures in tagged.metrics.items()
    ]
    headings = ("set", "pictures", "accuracy", "right and shown", "wrong and shown")
    return "## How good it was on its own pictures\n\n" + (
        table(headings, rows) if rows else "The tag holds no metrics."
    )


def _gate(tagged: Tagged) -> str:
    if not tagged.gate:
        return ""
    failed = [rule for rule in tagged.gate["rules"] if not rule["passed"]]
    rows = [f"- {text(rule['set'])}, {text(rule['metric'])}: {text(rule['why'])}" for rule in failed]
    words = "It failed:" if failed else f"All {len(tagged.gate['rules'])} requirements were met."
    return "\n".join(["## Requirements", "", words, *(["", *rows] if rows else [])])


def _weakest(tagged: Tagged) -> str:
    missed = [row for row in tagged.classes if row["set"] == scores.HELD_OUT and row["num_missed"] not in ("", "0")]
    worst = sorted(missed, key=lambda row: (-int(row["num_missed"]), row["class_name"]))[:NUM_WEAKEST]
    rows = [(row["class_name"], row["support"], row["num_missed"], row["missed_as"]) for row in worst]
    return "## Weakest classes\n\n" + table(("class", "held-out pictures", "missed", "taken for"), rows) if rows else ""


def _production(version: int, tables: Tables, found: Sequence[Row]) -> str:
    answers = next((row for row in tables["versions"] if row["version"] == version), None)
    if answers is None:
        return "## In production\n\nIt gave no answer in the time of this report."
    shown = percent(answers["shown_fraction"])
    said = f"{answers['answers']:,} answers in the time of this report, {shown} of them shown."
    kind = (accuracy.TOLD, "version", str(version))
    right = next((row for row in found if (row["measure"], row["by"], row["name"]) == kind), None)
    if right is None or right["fraction"] is None:
        return f"## In production\n\n{said} None was judged by people."
    between = f"{percent(right['low'])} to {percent(right['high'])} with 95 % confidence"
    judged = counted(right["judged"], "judged answer")
    return f"## In production\n\n{said} Of those shown, {percent(right['fraction'])} are right ({between}; {judged})."


def _limits(tagged: Tagged) -> str:
    outside = tagged.metrics.get("out_of_scope", {})
    out = [row["class_name"] for row in tagged.counts if row["included"] != "True"]
    lines = ["It knows its classes and nothing else, and pictures like those that it was trained on."]
    if outside.get("false_positive_fraction") is not None:
        share = percent(outside["false_positive_fraction"])
        lines.append(
            f"Of {outside.get('num_pictures')} pictures of other things, {share} were shown an answer all the same."
        )
    if out:
        lines.append(f"Classes with too few pictures, which it does not know: {text(listed(out, 20))}.")
    lines.append("Nothing is claimed about people, places or uses that its library does not show.")
    return "## What it cannot do\n\n" + " ".join(lines)


def as_html(markdown: str, name: str) -> markupsafe.Markup:
    """Lay a card out for a page that has a heading of its own; tables may be wider than the page.

    Args:
        markdown: of the card.
        name: of the card, which tells its tables from those of others.
    """
    numbers = itertools.count(1)
    lower = re.sub(r"^#", "##", markdown, flags=re.MULTILINE)
    html = MarkdownIt("commonmark", {"html": False}).enable("table").disable("image").render(lower)

    def region(_: re.Match[str]) -> str:
        label = f"Table {next(numbers)} of {name}"
        return f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'

    wrapped = re.sub("<table>", region, html).replace("</table>", "</table></div>")
    return markupsafe.Markup(wrapped)  # noqa: S704
