"""Promote the model: tag this commit as the release that goes into production, when the gate allows it.

    python -m release.promote [--reason "why a model that fails its gate is promoted all the same"]

Before, the export answers ten pictures in a fresh process (`release/smoke.py`); no reason overrides a wrong answer.

Reads: data/scores/gate.json, data/scores/metrics.json, dvc.lock (through DVC); of the commit data/fingerprints.parquet,
    data/export, ten pictures and what `evaluate` said of them
Asks: the DVC remote, if there is one, which must have all that the commit needs
Writes: the annotated tag model-NNN, NNN being export.version
Params: export
"""

import argparse
import logging
import re
from collections.abc import Mapping, Sequence
from typing import Any

from release.origin import TAG, require_free
from release.pictures import require_same_pictures
from release.smoke import require_answers
from remote.clone import opened
from remote.stores import lacking
from runtime import parameters
from runtime.command import run
from runtime.errors import GateError, RemoteError, RepositoryError
from runtime.regular_files import require_no_pipes
from runtime.repository import dvc, git, require_committed, require_root
from runtime.tracked import DATA
from runtime.wording import counted
from stages.models.base import require_base_after_release
from stages.tables.documents import read_gate, read_metrics

log = logging.getLogger(__name__)

# What stands in the tag's message, of every set but the validation set: that one chose the model.
MAIN_METRICS = (
    "top_1_accuracy",
    "log_loss",
    "weighted_log_loss",
    "true_positive_fraction",
    "false_positive_fraction",
    "num_errors",
)
# What `dvc repro --dry` ends with when no stage would run. Should DVC ever word it differently, nothing is promoted.
_UP_TO_DATE = "Data and pipelines are up to date."


def tag_name(version: int) -> str:
    """Name the tag of a promoted model.

    Args:
        version: 1 to 999, as `export.version` has it.
    """
    return f"model-{version:03d}"


def promoted_versions(tags: Sequence[str]) -> list[int]:
    """Read the versions of promoted models off a list of tags."""
    return [int(match[1]) for match in map(TAG.fullmatch, tags) if match]


def require_pass(gate: Mapping[str, Any], reason: str) -> None:
    """Refuse a model that fails its gate, unless somebody gives a reason.

    Args:
        gate: `verdict`, yes or no, and `rules`, each with `set`, `metric`, `passed` and `why`.
        reason: why it is promoted all the same; empty for none.

    Raises:
        GateError: the verdict is not yes, and there is no reason.
    """
    if gate["verdict"] != "yes" and not reason:
        raise GateError(
            f"the gate says {gate['verdict']}:\n"
            + "\n".join(_failures(gate))
            + '\nImprove the model, or say why it may go into production all the same: make promote REASON="..."'
        )


def message(tag: str, gate: Mapping[str, Any], metrics: Mapping[str, Mapping[str, Any]], reason: str) -> str:
    """Write the tag's message: the verdict, the failed rules, the reason if there is one, and the main metrics.

    Args:
        tag: its name.
        gate: as `require_pass` has it.
        metrics: a mapping of metric to figure for each set; a figure that is None is left out.
        reason: empty for none.
    """
    parts = [f"{tag}: the gate says {gate['verdict']}"]
    if reason:
        parts.append(f"Promoted because: {reason}")
    if failures := _failures(gate):
        parts.append("\n".join(["Failed rules:", *failures]))
    parts.append("\n".join(_figures(name, figures) for name, figures in metrics.items() if name != "validation"))
    return "\n\n".join(parts) + "\n"


def require_up_to_date() -> None:
    """Refuse when dvc.lock is not what the committed data, code and parameters give.

    Data that is not on this machine is taken for what its .dvc file says, so that a clone without pictures will do.

    Raises:
        RepositoryError: DVC would run a stage again, or cannot tell, or would wait for a pipe.
    """
    require_no_pipes(*DATA.glob("*"))
    done = dvc("repro", "--dry", "--allow-missing")
    if done.returncode or _UP_TO_DATE not in done.stdout:
        stages = dict.fromkeys(re.findall(r"^Running stage '(.+)'", done.stdout, re.MULTILINE))
        why = f"these stages would run again: {', '.join(stages)}" if stages else done.stderr.strip()
        raise RepositoryError(
            f"dvc.lock is stale, the model is not what this commit describes ({why}). "
            "`dvc status` says what changed: add changed data with `dvc add`, run `make repro`, commit, promote again."
        )


def require_pushed() -> None:
    """Refuse while the remote, if there is one, lacks anything that the model is or was made of.

    Raises:
        RemoteError: it lacks something, or does not answer.
    """
    with opened() as clone:
        if clone.remote is None:
            return
        wanted = clone.needed([])
        lacks = lacking(wanted.objects, clone.remote.listed(), clone.cache.listed())
        lacks += [oid for oid in wanted.unread if oid not in lacks]
        if lacks:
            objects = counted(len(wanted.objects), "object")
            raise RemoteError(
                f"{clone.remote.name} lacks {len(lacks)} of the {objects} that this commit needs. "
                f"`make push` sends them, then promote again.{wanted.named(lacks)}"
            )


def _failures(gate: Mapping[str, Any]) -> list[str]:
    return [f"- {rule['set']} {rule['metric']}: {rule['why']}" for rule in gate["rules"] if not rule["passed"]]


def _figures(name: str, figures: Mapping[str, Any]) -> str:
    known = (f"{metric} {figures[metric]:.6g}" for metric in MAIN_METRICS if figures.get(metric) is not None)
    return f"{name}: " + ", ".join(known)


def _require_new(tag: str) -> None:
    if git("tag", "--list", tag):
        raise RepositoryError(
            f"the tag {tag} is there already: this version was promoted before. `make next` opens the next cycle; "
            "for another model of this cycle raise export.version in params.yaml by hand, and run `make repro`."
        )
    require_free(tag)


def _reason() -> str:
    parser = argparse.ArgumentParser(prog="python -m release.promote", description="Tag the model for production.")
    parser.add_argument("--reason", default="", help="why a model that fails its gate is promoted all the same")
    reason: str = parser.parse_args().reason
    return reason.strip()


def main() -> None:
    """Run the command."""
    reason = _reason()
    version = parameters.read(parameters.Export).version
    tag = tag_name(version)
    gate, metrics = read_gate(), read_metrics()

    require_root()
    require_committed()
    _require_new(tag)
    require_base_after_release(version)
    require_pass(gate, reason)
    require_up_to_date()
    require_pushed()
    require_same_pictures()
    require_answers("HEAD", version)

    git("tag", "--annotate", tag, "--cleanup=whitespace", "--file=-", text=message(tag, gate, metrics, reason))
    log.info(
        "promote: %s is %s, the gate says %s. Next: `git push origin %s`, `make publish TO=...`, then `make next`.",
        tag,
        git("rev-parse", "--short", "HEAD").strip(),
        gate["verdict"],
        tag,
    )


if __name__ == "__main__":
    run(main)
