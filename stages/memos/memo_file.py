"""One table outside the pipeline, which saves time: its file's name says what made it, and whether it is whole."""

import hashlib
import logging
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from runtime.errors import InputError
from runtime.outputs import whole
from runtime.regular_files import read_small

log = logging.getLogger(__name__)

# Next to DVC's own temporary files: ignored by git, on the local disk.
DEFAULT_FOLDER = ".dvc/tmp/retrain/memo"
# More than any table of ours takes (stages/tables/table.py).
MAX_BYTES = 4 * 2**30


class MemoFile:
    """The file of a memo: `<identity>-<SHA-256 of its bytes>.parquet` in the memo's own folder.

    Args:
        name: of the memo.
        identity: of the code and the settings that compute the rows (`code_identity`); no other rows are read.
        num_kept: how many identities' rows are kept, so that going back and forth between branches costs nothing.
        folder: of all memos; by default what RETRAIN_MEMO names, else `.dvc/tmp/retrain/memo`.

    Attributes:
        folder: of this memo.
    """

    def __init__(self, name: str, identity: str, num_kept: int, folder: Path | None = None) -> None:
        self.folder = (folder or Path(os.environ.get("RETRAIN_MEMO", DEFAULT_FOLDER))) / name
        self._identity = identity
        self._num_kept = num_kept

    def read(self) -> pa.Table | None:
        """Read the table; None where there is none that is whole."""
        for path in sorted(self.folder.glob(f"{self._identity}-*.parquet")):
            try:
                data = read_small(path, MAX_BYTES, "everything is computed again.")
            except InputError as error:
                log.warning("memo: %s", error)
                continue
            if path.name == self._name(data):
                return pq.read_table(pa.BufferReader(data))
            log.warning("memo: %s is damaged: everything is computed again.", path)
        return None

    def write(self, table: pa.Table) -> None:
        """Write the table, whole or not at all, and drop what it replaces and the oldest of other identities.

        Raises:
            OSError: it cannot be written; what stood there stays.
        """
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer, compression="lz4")
        data = buffer.getvalue().to_pybytes()
        name = self._name(data)
        with whole(self.folder / name) as partial:
            partial.write_bytes(data)
        others = [path for path in self.folder.glob("*.parquet") if path.name != name]
        newest = sorted(others, key=lambda path: path.stat().st_mtime_ns, reverse=True)
        kept = [path for path in newest if not path.name.startswith(self._identity)][: self._num_kept - 1]
        for path in set(others) - set(kept):
            path.unlink(missing_ok=True)

    def _name(self, data: bytes) -> str:
        return f"{self._identity}-{hashlib.sha256(data).hexdigest()}.parquet"
