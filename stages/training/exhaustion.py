"""Say what to change when memory or a disk is full."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from runtime.errors import TrainingError

_FULL = {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def exhaustion_explained(batch_size: int, precision: str) -> Iterator[None]:
    """Turn what backends, operating system and file formats raise when something is full into one message.

    Args:
        batch_size: of params.yaml.
        precision: of params.yaml.

    Raises:
        TrainingError: memory, of the machine or of a GPU, or a disk is full. Any other error is left as it is.
    """
    try:
        yield
    except Exception as error:
        if _is_memory(error):
            half = ", set train.precision to bfloat16" if precision == "float32" else ""
            raise TrainingError(
                f"Memory is full ({_first_line(error)}). No model was written. Lower train.batch_size in params.yaml "
                f"(it is {batch_size}){half}, or end what else runs there."
            ) from error
        if isinstance(error, OSError) and error.errno in _FULL:
            raise TrainingError(
                f"The disk is full ({_first_line(error)}). No model was written. Training writes to data/, to dvclive/ "
                "and its checkpoints to .dvc/tmp/, or to what RETRAIN_CHECKPOINTS names. Free some space, or name a "
                "folder on another disk; run again, it goes on from the last checkpoint."
            ) from error
        raise


def _is_memory(error: Exception) -> bool:
    # TensorFlow, JAX and PyTorch share no class for it: ResourceExhaustedError, XlaRuntimeError, OutOfMemoryError.
    names = {kind.__name__ for kind in type(error).__mro__}
    return bool({"MemoryError", "ResourceExhaustedError", "OutOfMemoryError"} & names) or (
        isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" in str(error)
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
