"""Answer pictures with an exported model, in a process that knows nothing of this repository but TensorFlow.

    python release/answer.py SAVED_MODEL PICTURE...

Writes: on its standard output one line of JSON per picture: what the signature `serving_default` gives of it, or
    `refused`: why it does not take the picture
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tensorflow as tf


def plain(value: Any) -> Any:
    """Turn arrays' elements, text among them, into what JSON can hold."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value.decode() if isinstance(value, bytes) else value


def answer(signature: Callable[..., dict[str, tf.Tensor]], data: bytes) -> dict[str, Any]:
    """Answer one picture, or say why the signature refuses it."""
    try:
        given = signature(image_bytes=tf.constant([data]))
    except tf.errors.InvalidArgumentError as error:
        # Before it stands where the operation was defined, and behind it the operation's name.
        words = str(error.message).partition("\n\t [[")[0].splitlines()[-1]
        return {"refused": words.removeprefix("assertion failed: ").strip("[]")}
    return {name: plain(value.numpy().tolist()[0]) for name, value in given.items()}


def main() -> None:
    """Run the command."""
    folder, *pictures = sys.argv[1:]
    signature = tf.saved_model.load(folder).signatures["serving_default"]
    for path in pictures:
        sys.stdout.write(json.dumps(answer(signature, Path(path).read_bytes())) + "\n")


if __name__ == "__main__":
    main()
