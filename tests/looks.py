"""What a made-up network sees of made-up pictures, for tests and measurements of drift."""

import numpy as np
from numpy.typing import NDArray

from serving.projection import project
from serving.usage.embeddings import Embeddings

FEATURES = 100


class Network:
    """Features lie around the middle of their class, wider in some directions than in others.

    Args:
        num_classes: that it knows.
        rng: draws where they are.

    Attributes:
        class_names: of its classes.
    """

    def __init__(self, num_classes: int, rng: np.random.Generator) -> None:
        self.class_names = np.array([f"class {number}" for number in range(num_classes)], object)
        self._middles, self._way = rng.normal(size=(num_classes, FEATURES)), rng.normal(size=FEATURES)
        self._widths = rng.uniform(0.7, 1.4, num_classes)

    def embeddings(
        self,
        rng: np.random.Generator,
        num: int,
        p: NDArray[np.float64],
        look: float = 0.0,
        wide: float = 1.0,
        others: float = 0.0,
    ) -> Embeddings:
        """Draw pictures, and give what the log keeps of them.

        Args:
            rng: draws them.
            num: of them.
            p: share of each class.
            look: how far all pictures have moved in one direction.
            wide: how much farther than usual they are from the middle.
            others: share of pictures that have moved four times the usual width.
        """
        classes = rng.choice(len(p), num, p=p)
        around = rng.standard_t(5, (num, FEATURES)) / np.sqrt(1 + np.arange(FEATURES))
        around *= wide * self._widths[classes][:, None]
        moved = look + 4 * (rng.random(num) < others)
        way = self._way / np.linalg.norm(self._way)
        return Embeddings(self.class_names[classes], project(self._middles[classes] + around + moved[:, None] * way))
