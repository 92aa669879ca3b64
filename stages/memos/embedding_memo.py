"""A memo of embeddings, outside the pipeline: a picture that was embedded is not embedded again."""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from stages.memos.memo_file import MemoFile

log = logging.getLogger(__name__)

# Of other networks; 2.5 kB per picture each.
NUM_KEPT = 2


class EmbeddingMemo:
    """The embeddings of pictures by their image_id.

    Args:
        identity: of the code, the network and the settings that embed (`code_identity`).
        folder: of all memos; by default what RETRAIN_MEMO names, else `.dvc/tmp/retrain/memo`.
    """

    def __init__(self, identity: str, folder: Path | None = None) -> None:
        self._file = MemoFile("embeddings", identity, NUM_KEPT, folder)

    def recall(self, image_ids: Sequence[str]) -> tuple[NDArray[np.bool_], NDArray[np.float16]]:
        """Look up pictures.

        Args:
            image_ids: unique.

        Returns:
            Shape (pictures,): whether each is known; and the embeddings of those that are, in their order, float16.
        """
        table = self._file.read()
        if table is None:
            return np.zeros(len(image_ids), np.bool_), np.empty((0, 0), np.float16)
        rows = pd.Index(table["image_id"].to_pandas()).get_indexer(pd.Index(image_ids))
        vectors = table["embedding"].combine_chunks()
        matrix = np.frombuffer(vectors.buffers()[1], np.float16)[: len(table) * vectors.type.byte_width // 2]
        return rows >= 0, matrix.reshape(len(table), -1)[rows[rows >= 0]]

    def keep(self, image_ids: Sequence[str], embeddings: NDArray[np.float16]) -> None:
        """Remember these pictures and no others.

        Args:
            image_ids: unique.
            embeddings: of shape (pictures, features), float16, in their order.
        """
        matrix = np.ascontiguousarray(embeddings)
        type_ = pa.binary(matrix.shape[1] * matrix.itemsize)
        vectors = pa.Array.from_buffers(type_, len(matrix), [None, pa.py_buffer(matrix)])
        try:
            self._file.write(pa.table({"image_id": pa.array(image_ids, pa.string()), "embedding": vectors}))
        except OSError as error:
            log.warning(
                "memo: cannot be kept in %s (%s): the next run takes longer.", self._file.folder, error.strerror
            )
