from pathlib import Path

import pytest
from test_shard import library, release

from release import compact
from runtime.errors import BaseError
from stages import shard

pytestmark = pytest.mark.slow

__all__ = ["library"]


def set_version(version):
    path = Path("params.yaml")
    path.write_text(path.read_text().replace("version: 1 ", f"version: {version} "))


def test_the_cycle_s_number_is_noted_and_nothing_else_changes(library, caplog):
    caplog.set_level("INFO")
    shard.main()
    release(library)
    set_version(2)
    before = Path("params.yaml").read_text()
    compact.main()
    assert Path("params.yaml").read_text() == before.replace("compacted: 0", "compacted: 2")
    assert "shard.compacted is 2, was 0. Next: `make repro`" in caplog.text
    shard.main()
    compact.main()
    assert "this cycle's number, already" in caplog.text


def test_without_a_base_there_is_nothing_to_compact(workspace, caplog):
    caplog.set_level("INFO")
    before = Path("params.yaml").read_bytes()
    compact.main()
    assert "every run packs all shards from scratch" in caplog.text
    assert Path("params.yaml").read_bytes() == before


def test_a_base_that_was_not_pulled_is_named(workspace):
    Path("data/base").rmdir()
    with pytest.raises(BaseError, match="data/base is not here: `dvc checkout data/base`"):
        compact.main()
