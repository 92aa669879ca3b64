import shutil
from pathlib import Path

import pytest
from hypothesis import settings

# How long an example takes depends on what else the machine does.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")
ROOT = Path(__file__).parents[1]


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    """An empty repository's root: params.yaml, empty instructions and empty folders of data; the working directory."""
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "params.yaml", tmp_path)
    for name in ("library", "benchmarks", "unlabelled", "base", "decisions"):
        (tmp_path / "data" / name).mkdir(parents=True)
    (tmp_path / "data/classes.yaml").touch()
    (tmp_path / "data/confused.csv").write_text("truth,predicted,weight\n")
    return tmp_path
