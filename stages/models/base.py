"""data/base: the last promoted release, from which training starts and with which the new model is compared."""

import json
from pathlib import Path

from runtime.errors import BaseError
from stages.models.label_map import read_label_map
from stages.tables import model

BASE = "data/base"
BASE_MODEL = f"{BASE}/model"  # with the files of data/model
BASE_LINEAGE = f"{BASE_MODEL}/{model.LINEAGE}"
BASE_INDEX = f"{BASE}/shards/index.parquet"
BASE_METRICS = f"{BASE}/metrics.json"
BASE_CALIBRATION = f"{BASE}/calibration.json"  # the one file that a base may lack
BASE_VERSION = f"{BASE}/version.json"
FILES = (
    *(f"{BASE_MODEL}/{name}" for name in (model.WEIGHTS, model.DESCRIPTION, model.CLASSES, model.LINEAGE)),
    BASE_INDEX,
    BASE_METRICS,
    BASE_VERSION,
)
_REMEDY = f"`dvc checkout --force {BASE}` brings the release back."


def has_base() -> bool:
    """Say whether there is a base: an empty or absent folder means that training starts from scratch.

    Raises:
        BaseError: the folder holds something, but not a whole release.
    """
    folder = Path(BASE)
    if not folder.is_dir() or not any(folder.iterdir()):
        return False
    missing = [str(Path(path).relative_to(BASE)) for path in FILES if not Path(path).is_file()]
    if missing:
        raise BaseError(
            f"{BASE} holds files, but lacks {', '.join(missing)}. `dvc checkout {BASE}` or `dvc pull {BASE}` "
            "brings the release back; to train from scratch, empty the folder and `dvc add` it."
        )
    return True


def base_class_names() -> list[str]:
    """Read the base's label map: class names in the order of its scores, none without a base.

    Raises:
        BaseError: the base is not whole, or its label map is none.
    """
    return read_label_map(f"{BASE_MODEL}/{model.CLASSES}", _REMEDY, BaseError) if has_base() else []


def base_version() -> int:
    """Say which release the base is: the model's number, `export.version` of the cycle that made it.

    Raises:
        BaseError: data/base/version.json does not say.
    """
    try:
        return int(json.loads(Path(BASE_VERSION).read_text(encoding="utf-8"))["version"])
    except (ValueError, KeyError, TypeError):
        raise BaseError(f'{BASE_VERSION} does not hold {{"version": number}}: {_REMEDY}') from None
