"""Roll back: an older promoted model becomes the base of this cycle.

    python -m release.change_base --version 6

The version of this cycle stays one above the newest promoted: numbers are never used twice. The model of this cycle
starts from the older one and is compared with it. What the models in between were trained on may validate and test
again, since the new one does not descend from them.

Reads: the tag model-NNN, NNN being the version, as `release/next_cycle.py` does
Writes: data/base/, data/base.dvc, params.yaml (export.version; shard.compacted, no later than the base), one commit
Params: export, shard
"""

import argparse
import logging
from collections.abc import Collection
from pathlib import Path

from release.next_cycle import replace_base
from release.origin import require_newest, require_same
from release.promote import promoted_versions, tag_name
from runtime import parameters
from runtime.command import run
from runtime.errors import InputError, RepositoryError
from runtime.repository import git, require_committed, require_root
from runtime.undo import undo_killed
from stages.models.base import BASE_VERSION, base_version

log = logging.getLogger(__name__)


def require_older(version: int, base: int | None, promoted: Collection[int]) -> None:
    """Refuse a version that was not promoted, or that is the base.

    Args:
        version: that is to be the base.
        base: version of the base that is here; None where there is none.
        promoted: the versions that tags of this clone name.

    Raises:
        RepositoryError: it cannot become the base.
    """
    if version not in promoted:
        names = ", ".join(tag_name(each) for each in sorted(promoted)) or "none"
        raise RepositoryError(
            f"there is no tag {tag_name(version)} here, and only a promoted model can be the base. Here are: {names}. "
            "`git fetch --tags` brings others; in a shallow clone, `git fetch --tags --depth 1`."
        )
    if version == base:
        raise RepositoryError(f"{tag_name(version)} is the base already.")


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m release.change_base", description="Make an older model the base.")
    parser.add_argument("--version", default="", help="of a promoted model: make base VERSION=6")
    words = parser.parse_args().version
    if not words.isdecimal():
        raise InputError(f"say which promoted model is to be the base, such as make base VERSION=6, not {words!r}.")
    version = int(words)
    require_root()
    undo_killed()
    require_committed()
    promoted = promoted_versions(git("tag", "--list").splitlines())
    require_older(version, _base(), promoted)
    require_newest(tag_name(max(promoted)))
    require_same(tag_name(version))

    cycle, compacted = max(promoted) + 1, parameters.read(parameters.Shard).compacted
    values = {"export.version": cycle, "shard.compacted": min(compacted, version)}
    replace_base(version, values, f"Roll back: the base of {tag_name(cycle)} is {tag_name(version)}")

    log.info(
        "base: the base is %s, export.version is %d. Next: `git push`, `make push`, `make repro`. What is served "
        "does not change by this; docs/guide/serving.md says how to roll that back.",
        tag_name(version),
        cycle,
    )


def _base() -> int | None:
    return base_version() if Path(BASE_VERSION).exists() else None


if __name__ == "__main__":
    run(main)
