"""Ask for a compaction: in this cycle, every shard that is not full is packed again with the new pictures.

    python -m release.compact

Each cycle adds a shard of its own, however few its pictures are, and deleted files leave gaps. The request is a number
in params.yaml, so that it stands in git and any machine that runs the pipeline builds the same shards.

Reads: params.yaml data/base/version.json
Writes: params.yaml (shard.compacted)
Params: shard
"""

import logging
from pathlib import Path

from runtime import parameters
from runtime.command import run
from runtime.errors import BaseError
from stages.models.base import BASE, base_version, has_base

log = logging.getLogger(__name__)


def main() -> None:
    """Run the command."""
    compacted = parameters.read(parameters.Shard).compacted
    if not Path(BASE).is_dir():
        raise BaseError(f"{BASE} is not here: `dvc checkout {BASE}` or `dvc pull {BASE}` brings it.")
    if not has_base():
        log.info("compact: there is no base yet, so every run packs all shards from scratch. Nothing was changed.")
        return
    version = base_version() + 1  # as `shard` counts: after `make base` it is not export.version
    if compacted == version:
        log.info("compact: shard.compacted is %d, this cycle's number, already. Nothing was changed.", version)
        return

    parameters.change({"shard.compacted": version})

    log.info(
        "compact: shard.compacted is %d, was %d. Next: `make repro`, `git commit`, `make push`; the push sends every "
        "shard that was not full, once.",
        version,
        compacted,
    )


if __name__ == "__main__":
    run(main)
