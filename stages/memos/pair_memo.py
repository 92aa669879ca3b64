"""A memo of pairs, outside the pipeline: what was compared is not compared again; losing it costs time only.

A picture that was compared is known by its image_id and by a digest of everything that the comparison looks at.
"""

import hashlib
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from stages.memos.memo_file import MemoFile

log = logging.getLogger(__name__)

# Of other parameters and branches; some megabytes each.
NUM_KEPT = 3
_COMPARED = {"turn": pa.int64(), "distance": pa.int64(), "similarity": pa.float64(), "identical": pa.bool_()}
# One row per picture that was compared with all others, `second` null; then one row per pair.
_SCHEMA = pa.schema({"first": pa.string(), "second": pa.string(), "looks": pa.binary(), **_COMPARED})


class PairMemo:
    """Which pictures were compared with each other, and the similar pairs among them.

    Args:
        identity: of the code and the settings that compare (`code_identity`).
        folder: of all memos; by default what RETRAIN_MEMO names, else `.dvc/tmp/retrain/memo`.
    """

    def __init__(self, identity: str, folder: Path | None = None) -> None:
        self._file = MemoFile("pairs", identity, NUM_KEPT, folder)

    def recall(self, pictures: pd.DataFrame) -> tuple[NDArray[np.bool_], pd.DataFrame]:
        """Say which pictures were compared with each other before, and which pairs are similar.

        Args:
            pictures: columns `image_id` (unique, ascending), `phash`, `pixels`, `thumbnail`.

        Returns:
            Shape (pictures,): whether each was; and the pairs among those, columns `first` < `second` (rows of
            `pictures`), `turn`, `distance`, `similarity`, `identical`.
        """
        rows = (self._file.read() or _SCHEMA.empty_table()).to_pandas()
        of_picture = rows["second"].isna()
        looks = rows[of_picture].set_index("first")["looks"].reindex(pictures["image_id"])
        compared = (looks.to_numpy() == _looks(pictures)).astype(bool)
        row_of = pd.Series(np.flatnonzero(compared), index=pictures["image_id"][compared])
        pairs = rows.loc[~of_picture, ["first", "second", *_COMPARED]]
        pairs = pairs[pairs["first"].isin(row_of.index) & pairs["second"].isin(row_of.index)]
        sides = {side: pairs[side].map(row_of).astype(np.int64) for side in ("first", "second")}
        return compared, pairs.assign(**sides).astype({"turn": np.int64, "distance": np.int64, "identical": bool})

    def keep(self, pictures: pd.DataFrame, pairs: pd.DataFrame) -> None:
        """Remember that all of these pictures were compared with each other.

        Args:
            pictures: as in `recall`.
            pairs: all similar pairs, as `recall` returns them.
        """
        names = pictures["image_id"].to_numpy()
        alone = pd.DataFrame({"first": names, "looks": _looks(pictures)})
        named = pairs.assign(first=names[pairs["first"]], second=names[pairs["second"]])
        rows = pd.concat([alone, named]).reindex(columns=_SCHEMA.names)
        try:
            self._file.write(pa.Table.from_pandas(rows, schema=_SCHEMA, preserve_index=False))
        except OSError as error:
            log.warning(
                "dedup: the next run will compare all pictures again, as the memo cannot be kept in %s: %s",
                self._file.folder,
                error,
            )


def _looks(pictures: pd.DataFrame) -> NDArray[np.object_]:
    columns = zip(pictures["phash"], pictures["pixels"], pictures["thumbnail"], strict=True)
    digests = [
        hashlib.blake2b(b"%d %s %s" % (phash, pixels.encode(), thumbnail), digest_size=16).digest()
        for phash, pixels, thumbnail in columns
    ]
    return np.array(digests, dtype=object)
