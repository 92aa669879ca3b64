"""Answer pictures with an exported model, in a process that knows nothing of this repository but TensorFlow.

    python release/answer.py SAVED_MODEL PICTURE...

Writes: on its standard output a line of JSON a picture: what the signature `serving_default` gives of it
"""

import json
import sys
from pathlib import Path
from typing import Any

import tensorflow as tf


def plain(value: Any) -> Any:
    """Turn arrays' elements, text among them, into what JSON can hold."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def main() -> None:
    """Run the command."""
    folder, *pictures = sys.argv[1:]
    answer = tf.saved_model.load(folder).signatures["serving_default"]
    for path in pictures:
        given = answer(image_bytes=tf.constant([Path(path).read_bytes()]))
        sys.stdout.write(json.dumps({name: plain(value.numpy().tolist()[0]) for name, value in given.items()}) + "\n")


if __name__ == "__main__":
    main()
