"""Open the next cycle: the promoted release becomes the base that the next model starts from and is compared with.

    python -m release.next_cycle

The release is read from what the tag's commit names, out of DVC's cache or else its remote, never out of the workspace.
Its files keep their digests, so that a push sends none of them again.

Reads: the tag model-NNN, NNN being export.version: its dvc.lock, data/model/, data/shards/index.parquet and
    data/scores/metrics.json, data/scores/calibration.json
Writes: data/base/ (model/, shards/index.parquet, metrics.json, calibration.json, version.json), data/base.dvc,
    params.yaml (export.version, one higher), one commit
Params: export
"""

import logging
from collections.abc import Collection, Mapping
from pathlib import Path

from release.origin import require_newest, require_same
from release.promote import promoted_versions, tag_name
from runtime import parameters
from runtime.command import run
from runtime.errors import RepositoryError
from runtime.outputs import write_json
from runtime.repository import dvc_add, git, is_shallow, require_committed, require_root
from runtime.temporary import temporary_folder
from runtime.tracked_files import TrackedFiles
from runtime.undo import as_before_on_failure, undo_killed
from stages.models.base import BASE, BASE_CALIBRATION, BASE_INDEX, BASE_METRICS, BASE_MODEL, BASE_VERSION
from stages.tables.model import FOLDER as MODEL
from stages.tables.scores import CALIBRATION, METRICS
from stages.tables.shards import INDEX

log = logging.getLogger(__name__)


def require_promoted(version: int, promoted: Collection[int], shallow: bool) -> None:
    """Refuse to open a cycle but from the newest promoted model, which must be the one of this cycle.

    Args:
        version: of this cycle, `export.version`.
        promoted: the versions that tags of this clone name.
        shallow: the clone has part of the history only.

    Raises:
        RepositoryError: the version was not promoted, a later one was, or its tag is not here.
    """
    newest = max(promoted, default=0)
    if newest > version:
        raise RepositoryError(
            f"{tag_name(newest)} is promoted, but export.version in params.yaml is {version}: this commit is of an "
            "older cycle. `git pull` brings the newer one."
        )
    if newest < version:
        # In a whole clone, --depth would cut the history off.
        fetch = "git fetch --tags --depth 1" if shallow else "git fetch --tags"
        opened = f" after {tag_name(newest)}: its cycle is open already, train" if newest else ": train"
        raise RepositoryError(
            f"there is no tag {tag_name(version)} here. If the model was promoted elsewhere, `{fetch}` brings the tag. "
            f"If not, version {version} is still being made{opened} it (`make repro`) and promote it (`make promote`)."
        )


def fetch_release(tag: str, folder: Path) -> None:
    """Write a promoted release's model, shards' index, metrics and calibration as its commit names them.

    Args:
        tag: of the release; its commit is in this clone.
        folder: where the files go, in the layout of data/base.

    Raises:
        RepositoryError: a file is neither in the cache nor on the remote, cannot be fetched, or is damaged.
    """
    release = TrackedFiles(tag)
    model = release.find(MODEL)
    if not model:
        raise RepositoryError(f"the commit of {tag} names no {MODEL}: `make promote` makes tags that do.")
    copies = {path: f"{BASE_MODEL}{path.removeprefix(MODEL)}" for path in model}
    copies |= {INDEX.path: BASE_INDEX, METRICS: BASE_METRICS, CALIBRATION: BASE_CALIBRATION}
    release.fetch({path: folder / Path(copy).relative_to(BASE) for path, copy in copies.items()})


def main() -> None:
    """Run the command."""
    require_root()
    undo_killed()
    version = parameters.read(parameters.Export).version
    tag = tag_name(version)
    require_committed()
    require_promoted(version, promoted_versions(git("tag", "--list").splitlines()), is_shallow())
    require_same(tag)
    require_newest(tag)

    replace_base(version, {"export.version": version + 1}, _subject(version))

    log.info(
        "next: the base is %s, export.version is %d. Next: `git push`, `make push`; change pictures, `make repro`.",
        tag,
        version + 1,
    )


def replace_base(version: int, values: Mapping[str, int], subject: str) -> None:
    """Replace the base by a promoted release, change parameters, and commit both; all of it or nothing.

    Args:
        version: of the release.
        values: parameters by key.
        subject: of the commit.

    Raises:
        RepositoryError: the release cannot be fetched, or git or DVC refuses.
    """
    tag = tag_name(version)
    with temporary_folder("release") as folder:
        release = Path(folder) / "base"
        fetch_release(tag, release)
        write_json(release / Path(BASE_VERSION).name, {"version": version, "tag": tag})
        with as_before_on_failure([BASE], [f"{BASE}.dvc", parameters.PATH]):
            parameters.change(values)
            release.rename(BASE)
            dvc_add([BASE])
            git("commit", "--quiet", "--message", subject, "--", parameters.PATH, f"{BASE}.dvc")


def _subject(version: int) -> str:
    return f"Open the cycle of {tag_name(version + 1)}: the base is {tag_name(version)}"


if __name__ == "__main__":
    run(main)
