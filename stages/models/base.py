"""data/base: the last promoted release, from which training starts and with which the new model is compared."""

import json
from pathlib import Path

from runtime.errors import BaseError

FOLDER = Path("data/base")
VERSION = "version.json"  # which release it is
FILES = (
    "model/model.weights.h5",
    "model/model.json",
    "model/classes.json",
    "model/lineage.parquet",
    "shards/index.parquet",
    "metrics.json",
    VERSION,
)


def has_base() -> bool:
    """Say whether there is a base: an empty or absent folder means that training starts from scratch.

    Raises:
        BaseError: the folder holds something, but not a whole release.
    """
    if not FOLDER.is_dir() or not any(FOLDER.iterdir()):
        return False
    missing = [name for name in FILES if not (FOLDER / name).is_file()]
    if missing:
        raise BaseError(
            f"{FOLDER} holds files, but lacks {', '.join(missing)}. `dvc checkout {FOLDER}` or `dvc pull {FOLDER}` "
            "brings the release back; to train from scratch, empty the folder and `dvc add` it."
        )
    return True


def class_names() -> list[str]:
    """Read the base's label map: class names in the order of its scores, none without a base.

    Raises:
        BaseError: the base is not whole, or its label map is no JSON.
    """
    if not has_base():
        return []
    path = FOLDER / "model/classes.json"
    try:
        names: list[str] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise BaseError(
            f"{path} is no JSON: {error}. `dvc checkout --force {FOLDER}` brings the release back."
        ) from None
    return names


def base_version() -> int:
    """Say which release the base is: the model's number, `export.version` of the cycle that made it.

    Raises:
        BaseError: data/base/version.json does not say.
    """
    path = FOLDER / VERSION
    try:
        return int(json.loads(path.read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError):
        raise BaseError(
            f'{path} does not hold {{"version": number}}: `dvc checkout {FOLDER}` brings the release back.'
        ) from None
