"""Whether the pictures that the model was made of are those of the commit.

DVC digests what a stage read after the stage: where a picture changed or arrived while it ran, `dvc.lock` and the
`.dvc` files have the new one, and the model the old one. What the run read stands in the fingerprints.
"""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd

from runtime.errors import RepositoryError
from runtime.litter import is_litter
from runtime.tracked import contents, tracked_folders
from runtime.tracked_files import TrackedFiles
from runtime.wording import counted, listed
from stages.tables.fingerprints import FINGERPRINTS

FOLDERS = (Path("data/library"), Path("data/benchmarks"), Path("data/unlabelled"))


def require_same_pictures() -> None:
    """Refuse the last commit if its pictures are not those that its fingerprints name; the tree is committed.

    Raises:
        RepositoryError: some differ; the message names them.
    """
    commit = TrackedFiles("HEAD")
    if not commit.find(FINGERPRINTS.path):
        return  # of a pipeline without this stage
    read = FINGERPRINTS.parse(commit.read(FINGERPRINTS.path), ["path", "image_id"]).dropna()
    differing = differences(read, _recorded(commit))
    if differing:
        raise RepositoryError(
            f"{counted(len(differing), 'picture')} of this commit changed, came or went while the run that made the "
            f"model worked: {listed(differing)}. `dvc repro --force fingerprint`, then `make repro`, makes the "
            "model of what is there now; commit that, and promote again."
        )


def _recorded(commit: TrackedFiles) -> dict[str, str]:
    """MD5 of each picture by its path in the repository."""
    digests: dict[str, str] = {}
    with contents() as held:
        for tracked in tracked_folders(FOLDERS):
            listing = held.of_digest(tracked.recorded)
            if listing is None:  # of a clone without the pictures: the remote has the list
                digests |= commit.digests(str(tracked.folder))
            else:
                digests |= {f"{tracked.folder}/{path}": md5 for path, md5 in listing.items()}
    return digests


def differences(read: pd.DataFrame, recorded: Mapping[str, str]) -> list[str]:
    """List the paths at which a run read something else than what is recorded.

    Args:
        read: columns `path` (relative to data/) and `image_id`, of the fingerprints.
        recorded: MD5 by path in the repository, as `.dvc` files name them.

    Returns:
        Paths in the repository, sorted; litter, which no stage reads, is none of them.
    """
    was_read = {f"data/{path}": image_id for path, image_id in zip(read["path"], read["image_id"], strict=True)}
    pictures = {path: md5 for path, md5 in recorded.items() if not is_litter(path)}
    return sorted(path for path in was_read.keys() | pictures.keys() if was_read.get(path) != pictures.get(path))
