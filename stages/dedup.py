"""Find the pairs of pictures that show the same, and say which of the two to keep.

Pictures whose perceptual hashes resemble each other, mirrored and turned ones too, are candidates; thumbnails decide.
Pairs that a person called distinct are left out; pairs that a person called duplicates are in, however far apart.
What an earlier run compared is not compared again.

Reads: data/fingerprints.parquet, data/classes.yaml, data/decisions/
Writes: data/duplicates.parquet (image_a, image_b, kind, distance, similarity, turn, keep, label_conflict)
Params: dedup
"""

import logging
from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from runtime import parameters
from runtime.command import run
from runtime.identity import code_identity
from runtime.workers import over_shared
from stages.duplicates.pairs import near_pairs
from stages.duplicates.similarity import prepare, similarity
from stages.duplicates.thumbnail import NUM_BYTES
from stages.duplicates.turns import BACK, TURNS, turned_back
from stages.labels import classes, decisions
from stages.labels.decisions import Pair
from stages.labels.labelling import label, list_sub_classes
from stages.memos.pair_memo import PairMemo
from stages.tables.duplicates import DUPLICATES
from stages.tables.fingerprints import FINGERPRINTS

# What takes part in a comparison, together with the fingerprints and the parameters: our code.
COMPARING = ("stages.dedup", "stages.duplicates", "stages.images.resample")

log = logging.getLogger(__name__)

# Comparisons of hashes in one piece of work: a twentieth of a second, and candidates for a few megabytes.
_PIECE = 1 << 28
_SIDES = ("image_a", "image_b")


class Comparison:
    """Pictures made ready to be compared in every turn.

    Args:
        pictures: columns `phash`, `pixels`, `thumbnail`.
        params: how alike near-duplicates are.
        compared: shape (pictures,): which were compared with each other before.
    """

    def __init__(self, pictures: pd.DataFrame, params: parameters.Dedup, compared: NDArray[np.bool_]) -> None:
        self.hashes = pictures["phash"].to_numpy(dtype=np.uint64)
        # A pair is searched as its first picture stands, the second turned; turned back, the first is.
        self.forms = turned_back(self.hashes)
        self.planes = prepare(np.frombuffer(b"".join(pictures["thumbnail"]), np.uint8).reshape(-1, NUM_BYTES))
        self.pixels = pd.factorize(pictures["pixels"])[0]
        self.params = params
        # New pictures are searched first, each among those after it.
        self.order = np.argsort(compared, kind="stable")
        self.num_new = int((~compared).sum())
        self.ordered = self.forms[self.order], self.hashes[self.order]

    def search(self, start: int) -> pd.DataFrame:
        """Find the pairs of a piece of the new pictures with one another and with all others.

        Args:
            start: the piece's first picture, of the new ones.

        Returns:
            The columns of `judge`, each pair once, sorted.
        """
        found = near_pairs(*self.ordered, self.params.distance, start, min(start + self.step, self.num_new))
        first, second = self.order[found.first], self.order[found.second]
        # To turn one picture and to turn the other back moves the same bits.
        turn = np.where(first < second, found.form, np.array(BACK)[found.form])
        pairs = self.judge(np.minimum(first, second), np.maximum(first, second), turn)
        return pairs[pairs["identical"] | (pairs["similarity"] >= self.params.similarity)]

    def judge(self, first: NDArray[np.int64], second: NDArray[np.int64], turn: NDArray[np.int64]) -> pd.DataFrame:
        """Compare pairs in given turns, and keep the best of each pair.

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
        return pairs.sort_values(
            ["first", "second", "similarity", "turn"], ascending=[True, True, False, True]
        ).drop_duplicates(["first", "second"])

    @property
    def step(self) -> int:
        """Pictures in a piece."""
        return max(1, _PIECE // max(1, self.forms.size))


def find_pairs(
    pictures: pd.DataFrame,
    params: parameters.Dedup,
    duplicate: frozenset[Pair],
    distinct: frozenset[Pair],
    memo: PairMemo | None = None,
) -> pd.DataFrame:
    """Find the pairs among pictures.

    Args:
        pictures: columns `image_id` (unique, ascending), `phash`, `pixels`, `thumbnail`.
        params: how alike near-duplicates are.
        duplicate: pairs to add, the smaller image_id first; pairs with a picture that is not there are passed over.
        distinct: pairs to leave out.
        memo: of what was compared before with these parameters.

    Returns:
        Columns `image_a` < `image_b`, `kind`, `distance`, `similarity`, `turn`, sorted by image_a and image_b.
    """
    image_ids = pd.Index(pictures["image_id"])
    compared, known = memo.recall(pictures) if memo else (np.zeros(len(pictures), bool), None)
    comparison = Comparison(pictures, params, compared)
    pieces = range(0, max(1, comparison.num_new), comparison.step)
    found = pd.concat([known, *over_shared(comparison.search, pieces, "pieces of the pair search")])
    if memo and not compared.all():
        memo.keep(pictures, found)
    said = _rows(image_ids, duplicate)
    every_turn = np.tile(np.arange(len(TURNS)), len(said))
    first, second = np.repeat(said, len(TURNS), axis=0).T
    added = comparison.judge(first, second, every_turn)
    pairs = pd.concat([found, added]).drop_duplicates(["first", "second"]).sort_values(["first", "second"])
    left_out = pd.MultiIndex.from_arrays(list(_rows(image_ids, distinct).T))
    pairs = pairs[~pd.MultiIndex.from_frame(pairs[["first", "second"]]).isin(left_out)]
    return pd.DataFrame(
        {
            "image_a": image_ids[pairs["first"]],
            "image_b": image_ids[pairs["second"]],
            "kind": np.where(pairs["identical"], "identical", "near"),
            "distance": pairs["distance"].to_numpy(),
            "similarity": pairs["similarity"].to_numpy(),
            "turn": np.array(TURNS, dtype=object)[pairs["turn"]],
        }
    )


def _rows(image_ids: pd.Index, pairs: Iterable[Pair]) -> NDArray[np.int64]:
    """Rows of those pairs of which both pictures are there, shape (pairs, 2), sorted."""
    names = np.array(sorted(pairs), dtype=object).reshape(-1, 2)
    rows = image_ids.get_indexer(pd.Index(names.ravel())).reshape(-1, 2).astype(np.int64)
    return rows[(rows >= 0).all(axis=1)]


def judge_pairs(pairs: pd.DataFrame, labelled: pd.DataFrame) -> pd.DataFrame:
    """Say of each pair which picture to keep, and whether the two stand in different classes.

    A benchmark's picture is kept before the library's, a labelled one before an unlabelled one; within those the rule
    is a person's decision, else real before staged before synthetic, else the smaller image_id.

    Args:
        pairs: columns `image_a`, `image_b`.
        labelled: what `label` returned; rows of removed pictures count like the others.

    Returns:
        `pairs` with the columns `keep` and `label_conflict`.
    """
    ordered = labelled.assign(in_library=labelled["set"] == "library").sort_values(["in_library", "rank"])
    place = pd.Index(ordered["image_id"].drop_duplicates())
    rank_a, rank_b = (pd.Series(place.get_indexer(pairs[side])).replace(-1, len(place)) for side in _SIDES)
    known = labelled[labelled["image_id"].isin(np.unique(pairs[list(_SIDES)]))].dropna(subset="class_name")
    class_names = known.groupby("image_id")["class_name"].agg(lambda names: "\n".join(sorted(set(names))))
    class_a, class_b = (pairs[side].map(class_names) for side in _SIDES)
    return pairs.assign(
        keep=pairs["image_a"].where(rank_a <= rank_b, pairs["image_b"]),
        label_conflict=class_a.notna() & class_b.notna() & (class_a != class_b),
    )


def main() -> None:
    """Run the stage."""
    params = parameters.read(parameters.Dedup)
    fingerprints = FINGERPRINTS.read()
    sub_classes = list_sub_classes(fingerprints["path"])
    class_table = classes.read_classes(classes.PATH, sub_classes)
    verdicts = decisions.settle(decisions.read_decisions(decisions.FOLDER, sub_classes))

    labelled = label(fingerprints, class_table, verdicts)
    readable = fingerprints[fingerprints["error"].isna()].drop_duplicates("image_id").sort_values("image_id")
    memo = PairMemo(code_identity(COMPARING, params.model_dump()))
    pairs = find_pairs(readable, params, verdicts.duplicate, verdicts.distinct, memo)
    judged = judge_pairs(pairs, labelled)

    DUPLICATES.write(judged)
    log.info(
        "dedup: %d identical and %d near pairs among %d pictures; %d pairs stand in two classes%s",
        (judged["kind"] == "identical").sum(),
        (judged["kind"] == "near").sum(),
        len(readable),
        judged["label_conflict"].sum(),
        ": decide them in data/decisions" if judged["label_conflict"].any() else "",
    )


if __name__ == "__main__":
    run(main)
