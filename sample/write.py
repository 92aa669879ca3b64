"""Write the sample library into a folder."""

from pathlib import Path

from sample.arrange import arrange
from sample.instructions import write_instructions
from sample.planted import plant
from stages._errors import InputError
from stages._outputs import whole

# The library comes last: where it stands, everything stands.
FOLDERS = ("benchmarks", "unlabelled", "library")


def write(folder: str | Path) -> int:
    """Write library, benchmarks, unlabelled pictures, an empty base, and the instructions that are absent.

    Args:
        folder: gets `library/`, `benchmarks/`, `unlabelled/`, `base/`, `decisions/`, `classes.yaml`, `confused.csv`.

    Returns:
        How many pictures were written.

    Raises:
        InputError: there is a library already, or benchmarks or unlabelled pictures.
    """
    folder = Path(folder)
    for name in FOLDERS:
        if (folder / name).exists():
            raise InputError(
                f"{folder / name} is there already, and the sample overwrites nothing: expected none of "
                f"{', '.join(FOLDERS)} in {folder}. Move them away first, or go on with what is there: `dvc repro`."
            )
    pictures = plant(arrange())
    for name in FOLDERS:
        with whole(folder / name) as partial:
            for path in (path for path in pictures if path.startswith(f"{name}/")):
                file = partial / path.removeprefix(f"{name}/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(pictures[path])
    (folder / "base").mkdir(exist_ok=True)
    _write_absent(folder, write_instructions(pictures))
    return len(pictures)


def _write_absent(folder: Path, texts: dict[str, str]) -> None:
    for path, text in texts.items():
        if not (folder / path).exists():
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(text, encoding="utf-8")
