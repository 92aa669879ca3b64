"""data/base: the last promoted release, from which training starts and with which the new model is compared."""

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, Field, TypeAdapter

from runtime.errors import BaseError, RepositoryError
from runtime.json_files import read_json
from runtime.repository import git
from stages.tables import model
from stages.tables.model import read_label_map

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


class _Version(BaseModel):
    version: Annotated[int, Field(strict=True, ge=0, le=999)]


_VERSION = TypeAdapter(_Version)


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
            "brings the release back."
        )
    return True


def require_base_after_release(version: int) -> None:
    """Refuse an empty base once a model was promoted: the new one would be compared with nothing.

    Args:
        version: of the model that is made, `export.version`.

    Raises:
        BaseError: there is no base, though the version or Git's tags say that there must be one.
    """
    if has_base():
        return
    if version > 1:
        why = f"export.version in params.yaml is {version}"
    elif tags := _promoted():
        why = f"{tags[-1]} was promoted in an earlier commit"
    else:
        return
    raise BaseError(
        f"{BASE} is empty, but {why}: the model would be trained from scratch and compared with nothing. `make pull` "
        f"brings what {BASE}.dvc names. If that is empty too, `git log -- {BASE}.dvc` shows who emptied it, and "
        "`make next` in the commit of the newest promoted model makes it again."
    )


def _promoted() -> list[str]:
    try:
        return git("tag", "--list", "model-*", "--merged", "HEAD").split()
    except RepositoryError:  # outside of a repository, or before the first commit
        return []


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
    return read_json(BASE_VERSION, _VERSION, '{"version": number}', _REMEDY, BaseError).version
