"""Keep what JAX compiles, so that the next run and the next stage need not compile it again."""

import os
from pathlib import Path

import keras

# Next to the checkpoints: ignored by git, on the local disk. A program's key is a digest of what it was compiled from.
DEFAULT_FOLDER = ".dvc/tmp/retrain/compiled"
MAX_BYTES = 2 * 10**9  # then those that were not used for longest go


def keep_compiled() -> None:
    """Have JAX keep its programs in what RETRAIN_COMPILED names, else in `.dvc/tmp/retrain/compiled`."""
    if keras.backend.backend() == "jax":
        import jax

        folder = Path(os.environ.get("RETRAIN_COMPILED", DEFAULT_FOLDER)).resolve()
        jax.config.update("jax_compilation_cache_dir", str(folder))
        jax.config.update("jax_compilation_cache_max_size", MAX_BYTES)
