"""Train, evaluate and identify in the working directory, whose world this writes, where TensorFlow cannot be imported.

Run by tests/test_without_tensorflow.py in a process of its own, with KERAS_BACKEND=jax.
"""

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


class Absent:
    """Lets every import of TensorFlow fail, as where it is not installed."""

    @staticmethod
    def find_spec(name: str, _path: object = None, _target: object = None) -> None:
        if name.partition(".")[0] == "tensorflow":
            raise ModuleNotFoundError(name)


sys.meta_path.insert(0, Absent)  # type: ignore[arg-type]

from worlds import write_world  # noqa: E402

from stages import evaluate, identify, train  # noqa: E402
from stages.tables.fingerprints import FINGERPRINTS  # noqa: E402
from stages.tables.images import IMAGES  # noqa: E402
from stages.tables.splits import SPLITS  # noqa: E402


def main() -> None:
    """Take two of the test pictures for unlabelled ones."""
    rows = write_world(train=12, epochs_from_scratch=2, average_weights=1.0)
    new = rows.loc[rows["number"] == rows["number"].max(), "image_id"]
    SPLITS.write(rows[~rows["image_id"].isin(new)])
    images = IMAGES.read()
    IMAGES.write(images[~images["image_id"].isin(new)])
    there = new.to_frame().assign(path=[f"unlabelled/{image_id}.png" for image_id in new], error=None)
    FINGERPRINTS.write(
        there.reindex(columns=FINGERPRINTS.schema.names).astype({"thumbnail": object, "taken_at": object})
    )
    for stage in (train, evaluate, identify):
        stage.main()


if __name__ == "__main__":
    main()
