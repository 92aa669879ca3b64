"""Answer picture files with an export, without TensorFlow.

    python -m serving.answer data/export/007 PICTURE...

Writes: on its standard output one line of JSON per picture: path, classes, confidences, in_scope and version, or
    `refused`: why it is not taken
"""

import json
import sys
from pathlib import Path

from runtime.command import run
from runtime.errors import InputError
from runtime.regular_files import read_small
from serving.onnx_model import OnnxModel
from stages.images.errors import UnreadableError

# The limit of params.yaml as it comes, and the bytes of a file within it.
MAX_PIXELS, MAX_BYTES = 100_000_000, 2**30


def answer(model: OnnxModel, path: Path) -> dict[str, object]:
    """Answer one file, or say why it is refused."""
    try:
        given = model.answer(read_small(path, MAX_BYTES, "Name a picture."))
    except UnreadableError as error:
        return {"path": str(path), "refused": str(error)}
    shown = {key: given[key] for key in ("classes", "confidences", "in_scope", "version")}
    return {"path": str(path), **shown}


def main() -> None:
    """Run the command."""
    if len(sys.argv) < 3:
        raise InputError("name the folder of an export and pictures: python -m serving.answer data/export/001 a.jpg")
    model = OnnxModel(Path(sys.argv[1]), MAX_PIXELS)
    for path in sys.argv[2:]:
        sys.stdout.write(json.dumps(answer(model, Path(path))) + "\n")


if __name__ == "__main__":
    run(main)
