"""The models that were promoted, as their tags tell: when, with which verdict, and how good they were."""

from dataclasses import dataclass

from release.promote import promoted_versions, tag_name
from runtime.errors import RepositoryError
from runtime.repository import git
from stages.tables.documents import parse_gate, parse_metrics
from stages.tables.scores import GATE, METRICS


@dataclass(frozen=True)
class Promoted:
    """A promoted model.

    Attributes:
        version: 1 to 999.
        on: the day, as year-month-day.
        verdict: of its gate, "yes" or "no"; empty where its commit has none.
        metrics: what its metrics.json holds: set to figure to number, on the pictures of its time.
    """

    version: int
    on: str
    verdict: str
    metrics: dict[str, dict[str, float | None]]


def promoted_models(newest: int) -> list[Promoted]:
    """Read the tags of this clone that name promoted models, in the order of their versions.

    Args:
        newest: the version after which none is wanted.
    """
    listed = git("for-each-ref", "--format=%(refname:strip=2) %(creatordate:short)", "refs/tags/model-*").splitlines()
    days = dict(line.rsplit(" ", 1) for line in listed)
    versions = [version for version in sorted(promoted_versions(list(days))) if version <= newest]
    return [_read(tag_name(version), version, days[tag_name(version)]) for version in versions]


def _read(tag: str, version: int, on: str) -> Promoted:
    gate, metrics = (_text_at(tag, path) for path in (GATE, METRICS))
    verdict = parse_gate(gate, f"{tag}:{GATE}")["verdict"] if gate else ""
    return Promoted(version, on, verdict, parse_metrics(metrics or "{}", f"{tag}:{METRICS}"))


def _text_at(tag: str, path: str) -> str:
    try:
        return git("show", f"{tag}:{path}")
    except RepositoryError:
        return ""  # a tag that somebody set by hand
