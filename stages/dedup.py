"""Find the pairs of pictures that show the same thing, and say which of the two to keep.

Candidates are pictures whose perceptual hashes resemble each other, mirrored and turned ones too, and pictures that are
nearest neighbours to a frozen network; thumbnails decide. Neighbours that show no more than nearly the same are alike.
Pairs that a person called distinct are left out; pairs that a person called duplicates are in, however far apart.
What an earlier run compared is not compared again.

Reads: data/fingerprints.parquet, data/embeddings/, data/classes.yaml, data/decisions/, data/base/ (lineage)
Writes: data/duplicates.parquet (image_a, image_b, kind, distance, similarity, turn, keep, label_conflict),
    data/alike.parquet (image_a, image_b, cosine, edges)
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
from runtime.wording import counted
from runtime.workers import over_shared
from stages.duplicates.comparison import COLUMNS, Comparison
from stages.duplicates.copies import COLUMNS as NEIGHBOUR_COLUMNS
from stages.duplicates.copies import are_alike, are_copies, compare_neighbours
from stages.duplicates.turns import TURNS
from stages.embeddings.vectors import read_vectors
from stages.labels import classes, decisions
from stages.labels.decisions import Pair
from stages.labels.labelling import label, list_sub_classes, waiting
from stages.labels.preference import preference
from stages.memos.pair_memo import PairMemo, digest_looks
from stages.models.base import BASE_LINEAGE, has_base
from stages.tables.alike import ALIKE
from stages.tables.duplicates import DUPLICATES
from stages.tables.embeddings import EMBEDDED
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.lineage import LINEAGE

# Our code that a comparison depends on, in addition to the fingerprints and the parameters.
COMPARING = ("stages.dedup", "stages.duplicates", "stages.embeddings.vectors", "stages.images.resample")

log = logging.getLogger(__name__)

_SIDES = ("image_a", "image_b")


def find_pairs(
    pictures: pd.DataFrame,
    params: parameters.Dedup,
    duplicate: frozenset[Pair],
    distinct: frozenset[Pair],
    memo: PairMemo | None = None,
    copies: pd.DataFrame | None = None,
) -> pd.DataFrame:
    """Find the pairs among pictures.

    Args:
        pictures: columns `image_id` (unique, ascending), `phash`, `pixels`, `thumbnail`.
        params: how similar near-duplicates are.
        duplicate: pairs to add, the smaller image_id first; pairs with a picture that is not there are ignored.
        distinct: pairs to leave out.
        memo: of what was compared before with these parameters.
        copies: near-duplicates that were found in another way, columns `image_a` < `image_b`, `edges`, `turn`,
            sorted by the first two.

    Returns:
        Columns `image_a` < `image_b`, `kind`, `distance`, `similarity`, `turn`, sorted by image_a and image_b.
    """
    image_ids = pd.Index(pictures["image_id"])
    looked = pictures.assign(looks=digest_looks([pictures[name] for name in ("phash", "pixels", "thumbnail")]))
    compared, remembered = memo.recall(looked) if memo else (np.zeros(len(pictures), bool), None)
    comparison = Comparison(pictures, params, compared)
    similar = pd.concat([remembered, *over_shared(comparison.search, comparison.starts, "pieces of the pair search")])
    if memo and not compared.all():
        memo.keep(looked, similar)
    added = comparison.judge_in_every_turn(_rows(image_ids, duplicate))
    if copies is not None:
        first, second = (image_ids.get_indexer(pd.Index(copies[side])) for side in _SIDES)
        judged = comparison.judge(first, second, copies["turn"].to_numpy())
        added = pd.concat([judged.assign(similarity=copies["edges"].to_numpy()), added])
    pairs = pd.concat([similar, added]).drop_duplicates(["first", "second"]).sort_values(["first", "second"])
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
    """Look up the rows of the pairs whose pictures are both there: shape (pairs, 2), sorted."""
    names = np.array(sorted(pairs), dtype=object).reshape(-1, 2)
    rows = image_ids.get_indexer(pd.Index(names.ravel())).reshape(-1, 2).astype(np.int64)
    return rows[(rows >= 0).all(axis=1)]


def judge_pairs(pairs: pd.DataFrame, labelled: pd.DataFrame, best_first: pd.Series) -> pd.DataFrame:
    """Say of each pair which picture to keep, and whether the two are in different classes.

    A benchmark's picture is preferred to the library's, a labelled one to an unlabelled one. Among these, what a person
    keeps comes first, then real before staged before synthetic, then the better file.

    Args:
        pairs: columns `image_a`, `image_b`.
        labelled: what `label` returned; rows of removed pictures count like the others.
        best_first: image_ids of all pictures, in the order of `preference`.

    Returns:
        `pairs` with the columns `keep` and `label_conflict`.
    """
    ordered = labelled.assign(in_library=labelled["set"] == "library").sort_values(["in_library", "rank"])
    by_rank = pd.Index(pd.concat([ordered["image_id"], best_first]).dropna().drop_duplicates())
    rank_a, rank_b = (pd.Series(by_rank.get_indexer(pairs[side])) for side in _SIDES)
    known = labelled[labelled["image_id"].isin(np.unique(pairs[list(_SIDES)]))].dropna(subset="class_name")
    class_names = known.groupby("image_id")["class_name"].agg(lambda names: "\n".join(sorted(set(names))))
    class_a, class_b = (pairs[side].map(class_names) for side in _SIDES)
    return pairs.assign(
        keep=pairs["image_a"].where(rank_a <= rank_b, pairs["image_b"]),
        label_conflict=class_a.notna() & class_b.notna() & (class_a != class_b),
    )


def compare_embedded(pictures: pd.DataFrame, params: parameters.Dedup) -> pd.DataFrame:
    """Compare the pictures that have an embedding with their neighbours: what `compare_neighbours` returns, named."""
    embedded = pictures[pictures["image_id"].isin(EMBEDDED.read()["image_id"])]
    memo = PairMemo("neighbours", NEIGHBOUR_COLUMNS, code_identity(COMPARING, params.neighbours))
    compared = compare_neighbours(embedded, read_vectors(embedded["image_id"]), params, memo)
    image_ids = embedded["image_id"].to_numpy()
    return compared.assign(image_a=image_ids[compared["first"]], image_b=image_ids[compared["second"]])


def _sides(pairs: pd.DataFrame) -> pd.MultiIndex:
    """The image_ids of each pair."""
    return pd.MultiIndex.from_frame(pairs[list(_SIDES)])


def main() -> None:
    """Run the stage."""
    params = parameters.read(parameters.Dedup)
    fingerprints = FINGERPRINTS.read()
    sub_classes = list_sub_classes(fingerprints["path"])
    class_table = classes.read_classes(classes.PATH, sub_classes)
    said = decisions.read_decisions(
        decisions.FOLDER, sub_classes, renamed=class_table.renamed, waiting=lambda: waiting(fingerprints)
    )
    verdicts = decisions.settle(said)

    trained = LINEAGE.read(BASE_LINEAGE)["image_id"] if has_base() else pd.Series(dtype=str)
    preferred = preference(fingerprints, trained)
    labelled = label(fingerprints, class_table, verdicts, preferred)
    readable = fingerprints[fingerprints["error"].isna()].drop_duplicates("image_id").sort_values("image_id")
    log.info("dedup: comparing %s", counted(len(readable), "picture"))
    compared = compare_embedded(readable, params)
    by_hash = params.model_dump(include={"distance", "similarity", "colour"})
    memo = PairMemo("pairs", COLUMNS, code_identity(COMPARING, by_hash))
    copies = compared[are_copies(compared, params)]
    pairs = find_pairs(readable, params, verdicts.duplicate, verdicts.distinct, memo, copies)
    judged = judge_pairs(pairs, labelled, fingerprints["image_id"].loc[preferred.sort_values().index])
    alike = compared[are_alike(compared, params) & ~_sides(compared).isin(_sides(pairs))]

    DUPLICATES.write(judged)
    ALIKE.write(alike)
    near = judged["kind"] == "near"
    log.info(
        "dedup: %s and %s; %d of them between two classes; %s alike",
        counted(int((~near).sum()), "identical pair"),
        counted(int(near.sum()), "near pair"),
        judged["label_conflict"].sum(),
        counted(len(alike), "other pair"),
    )


if __name__ == "__main__":
    run(main)
