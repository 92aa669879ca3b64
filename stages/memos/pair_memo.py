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


class PairMemo:
    """Which pictures were compared with each other, and the pairs that were found among them.

    Args:
        name: of the memo.
        columns: what is known of a pair: name to type.
        identity: of the code and the settings that compare (`code_identity`).
        folder: of all memos; by default what RETRAIN_MEMO names, else `.dvc/tmp/retrain/memo`.
    """

    def __init__(self, name: str, columns: dict[str, pa.DataType], identity: str, folder: Path | None = None) -> None:
        self._file = MemoFile(name, identity, NUM_KEPT, folder)
        self._columns = columns
        # One row per picture that was compared with all others, `second` null; then one row per pair.
        self._schema = pa.schema({"first": pa.string(), "second": pa.string(), "looks": pa.binary(), **columns})

    def recall(self, pictures: pd.DataFrame) -> tuple[NDArray[np.bool_], pd.DataFrame]:
        """Say which pictures were compared with each other before, and which pairs were found.

        Args:
            pictures: columns `image_id` (unique, ascending) and `looks` (`digest_looks`).

        Returns:
            Shape (pictures,): whether each was; and the pairs among those, `first` and `second` (rows of `pictures`)
            and the memo's columns.
        """
        rows = (self._file.read() or self._schema.empty_table()).to_pandas()
        of_picture = rows["second"].isna()
        looks = rows[of_picture].set_index("first")["looks"].reindex(pictures["image_id"])
        compared = (looks.to_numpy() == pictures["looks"].to_numpy()).astype(bool)
        row_of = pd.Series(np.flatnonzero(compared), index=pictures["image_id"][compared])
        pairs = rows.loc[~of_picture, ["first", "second", *self._columns]]
        pairs = pairs[pairs["first"].isin(row_of.index) & pairs["second"].isin(row_of.index)]
        sides = {side: pairs[side].map(row_of).astype(np.int64) for side in ("first", "second")}
        types = {name: type_.to_pandas_dtype() for name, type_ in self._columns.items()}
        return compared, pairs.assign(**sides).astype(types)

    def keep(self, pictures: pd.DataFrame, pairs: pd.DataFrame) -> None:
        """Remember that all of these pictures were compared with each other.

        Args:
            pictures: as in `recall`.
            pairs: all that were found, as `recall` returns them.
        """
        names = pictures["image_id"].to_numpy()
        alone = pd.DataFrame({"first": names, "looks": pictures["looks"].to_numpy()})
        named = pairs.assign(first=names[pairs["first"]], second=names[pairs["second"]])
        rows = pd.concat([alone, named]).reindex(columns=self._schema.names)
        try:
            self._file.write(pa.Table.from_pandas(rows, schema=self._schema, preserve_index=False))
        except OSError as error:
            log.warning(
                "dedup: the next run will compare all pictures again, as the memo cannot be kept in %s: %s",
                self._file.folder,
                error,
            )


def digest_looks(columns: list[pd.Series]) -> NDArray[np.object_]:
    """Digest what a comparison looks at.

    Args:
        columns: of pictures: texts, bytes and numbers.

    Returns:
        Shape (pictures,): 16 bytes each.
    """
    rows = zip(*columns, strict=True)
    return np.array([hashlib.blake2b(repr(row).encode(), digest_size=16).digest() for row in rows], dtype=object)
