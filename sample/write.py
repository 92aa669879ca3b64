"""Write the sample library into a folder."""

from contextlib import ExitStack
from pathlib import Path

import yaml

from runtime.errors import InputError
from runtime.outputs import whole
from runtime.repository import folder_digest
from sample.arrange import Pictures, arrange
from sample.instructions import write_instructions
from sample.planted import plant

FOLDERS = ("library", "benchmarks", "unlabelled")
BASE = "base"  # the sample's is empty


def write(folder: str | Path) -> int:
    """Write library, benchmarks, unlabelled pictures, an empty base, and the instructions that are absent.

    Args:
        folder: gets `library/`, `benchmarks/`, `unlabelled/`, `base/`, `decisions/`, `classes.yaml`, `confused.csv`.

    Returns:
        How many pictures were written.

    Raises:
        InputError: there is a library already, or benchmarks or unlabelled pictures; or a .dvc file in `folder` says
            that something other than the sample belongs there. Nothing was written.
    """
    folder = Path(folder)
    for name in FOLDERS:
        if (folder / name).exists():
            raise InputError(
                f"{folder / name} is there already, and the sample overwrites nothing: expected none of "
                f"{', '.join(FOLDERS)} in {folder}. Move them away first, or use what is there: `dvc repro`."
            )
    pictures = plant(arrange())
    absent = [name for name in (*FOLDERS, BASE) if not (folder / name).exists()]
    with ExitStack() as stack:
        # The last to be opened is moved into place first: once the library is there, everything is there.
        partials = {name: stack.enter_context(whole(folder / name)) for name in absent}
        for name, partial in partials.items():
            _write_folder(partial, name, pictures)
            _require_recorded(partial, folder / f"{name}.dvc")
    _write_absent(folder, write_instructions(pictures))
    return len(pictures)


def _write_folder(partial: Path, name: str, pictures: Pictures) -> None:
    partial.mkdir()
    for path in (path for path in pictures if path.startswith(f"{name}/")):
        file = partial / path.removeprefix(f"{name}/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(pictures[path])


def _require_recorded(written: Path, recorded: Path) -> None:
    if not recorded.exists():
        return
    if yaml.safe_load(recorded.read_text(encoding="utf-8"))["outs"][0]["md5"] != folder_digest(written):
        raise InputError(
            f"{recorded.with_suffix('')} is not here, and {recorded} says that it is not the sample's: this is a clone "
            "of a library of your own, or of a later cycle. Nothing was written. `dvc pull` fetches what belongs here "
            "(`dvc remote list` shows from where); then `make repro` again."
        )


def _write_absent(folder: Path, texts: dict[str, str]) -> None:
    for path, text in texts.items():
        if not (folder / path).exists():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
