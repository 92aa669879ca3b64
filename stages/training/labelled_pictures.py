"""Pictures to train or validate with, what they show, and the order in which an epoch takes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stages.shards.batches import Pictures, batches


@dataclass(frozen=True)
class LabelledPictures:
    """Pictures in shards and what they show.

    Attributes:
        pictures: where they are read.
        image_ids: which ones.
        labels: class of each, shape (pictures,), int64, 0 to num_classes - 1.
        num_classes: of the network.
    """

    pictures: Pictures
    image_ids: Sequence[str]
    labels: NDArray[np.int64]
    num_classes: int

    def batches(self, order: NDArray[np.int64], batch_size: int) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
        """Yield pictures, and targets with a 1 in each row, in the given order; the last batch has what is left."""
        image_ids = [self.image_ids[row] for row in order]
        one_hot = np.eye(self.num_classes, dtype=np.float32)
        for number, batch in enumerate(batches(self.pictures, image_ids, batch_size)):
            rows = order[number * batch_size : number * batch_size + len(batch)]
            yield batch, one_hot[self.labels[rows]]


def epoch_order(num_pictures: int, batch_size: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Draw the order in which an epoch takes the pictures; it depends on the arguments only.

    What does not fill the last batch is left out, other pictures each epoch: a batch of one or two would disturb
    BatchNormalization. Fewer pictures than one batch are one batch.

    Returns:
        Row numbers, shape (steps x batch_size,), int64.
    """
    order = np.random.default_rng([seed, epoch]).permutation(num_pictures)
    return order[: max(num_pictures // batch_size * batch_size, min(batch_size, num_pictures))]
