"""Pictures compared with one another in every turn: hashes find the candidates, thumbnails decide."""

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from runtime import parameters
from stages.duplicates.pairs import near_pairs
from stages.duplicates.similarity import prepare, similarity
from stages.duplicates.thumbnail import NUM_BYTES
from stages.duplicates.turns import BACK, TURNS, turned_back

# Of a pair; what a memo keeps of those found.
COLUMNS = {"turn": pa.int64(), "distance": pa.int64(), "similarity": pa.float64(), "identical": pa.bool_()}
# Comparisons of hashes in one piece of work: a twentieth of a second, and candidates for a few megabytes.
_PIECE = 1 << 28


class Comparison:
    """Pictures made ready to be compared in every turn.

    Args:
        pictures: columns `phash`, `pixels`, `thumbnail`.
        params: how similar near-duplicates are.
        compared: shape (pictures,): which were compared with each other before.
    """

    def __init__(self, pictures: pd.DataFrame, params: parameters.Dedup, compared: NDArray[np.bool_]) -> None:
        self.hashes = pictures["phash"].to_numpy(dtype=np.uint64)
        # In a pair it is the second picture that is turned. To compare hashes, the first is turned back instead.
        self.forms = turned_back(self.hashes)
        self.planes = prepare(np.frombuffer(b"".join(pictures["thumbnail"]), np.uint8).reshape(-1, NUM_BYTES))
        self.pixels = pd.factorize(pictures["pixels"])[0]
        self.params = params
        # New pictures are searched first, each among those after it.
        self.order = np.argsort(compared, kind="stable")
        self.num_new = int((~compared).sum())
        self.ordered = self.forms[self.order], self.hashes[self.order]
        self.piece = max(1, _PIECE // max(1, self.forms.size))

    @property
    def starts(self) -> range:
        """Where the pieces begin that `search` takes, in the order of the new pictures; at least one."""
        return range(0, max(1, self.num_new), self.piece)

    def search(self, start: int) -> pd.DataFrame:
        """Find the pairs of a piece of the new pictures with one another and with all others.

        Args:
            start: the piece's first picture, one of `starts`.

        Returns:
            The columns of `judge`, each pair once, sorted.
        """
        near = near_pairs(*self.ordered, self.params.distance, start, min(start + self.piece, self.num_new))
        first, second = self.order[near.first], self.order[near.second]
        # To turn one picture and to turn the other back moves the same bits.
        turn = np.where(first < second, near.form, np.array(BACK)[near.form])
        pairs = self.judge(np.minimum(first, second), np.maximum(first, second), turn)
        return pairs[pairs["identical"] | (pairs["similarity"] >= self.params.similarity)]

    def judge_in_every_turn(self, pairs: NDArray[np.int64]) -> pd.DataFrame:
        """Compare pairs, however different their hashes are.

        Args:
            pairs: shape (pairs, 2): rows of the pictures, the smaller one first.

        Returns:
            The columns of `judge`, each pair once, sorted.
        """
        first, second = np.repeat(pairs, len(TURNS), axis=0).T
        return self.judge(first, second, np.tile(np.arange(len(TURNS)), len(pairs)))

    def judge(self, first: NDArray[np.int64], second: NDArray[np.int64], turn: NDArray[np.int64]) -> pd.DataFrame:
        """Compare pairs in given turns, and keep the best turn of each pair.

        Args:
            first: shape (pairs,): rows of the pictures.
            second: shape (pairs,): rows of the pictures.
            turn: shape (pairs,): how the second is turned, indices into TURNS.

        Returns:
            Columns `first`, `second`, `turn`, `distance`, `similarity`, `identical`, sorted by the first two.
        """
        pairs = pd.DataFrame(
            {
                "first": first,
                "second": second,
                "turn": turn,
                "distance": np.bitwise_count(self.forms[first, turn] ^ self.hashes[second]).astype(np.int64),
                "similarity": similarity(self.planes, first, second, turn, self.params.colour),
                "identical": self.pixels[first] == self.pixels[second],
            }
        )
        best_first = pairs.sort_values(["first", "second", "similarity", "turn"], ascending=[True, True, False, True])
        return best_first.drop_duplicates(["first", "second"])
