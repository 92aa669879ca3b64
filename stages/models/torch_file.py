"""Read the arrays of a file that PyTorch's `save` wrote in its first format (before 1.6): a pickle, taken as data.

The format: five pickles one after the other (a magic number, a version, the sizes of types, the names of the arrays
with where each lies in its storage, the order of the storages), then each storage: the number of its values in eight
bytes and the values, little-endian. Source: torch/serialization.py, `_legacy_load`.
"""

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from runtime.errors import InputError

_MAGIC = 0x1950A86A20F9469CFC6C
_TYPES: Mapping[str, np.dtype[Any]] = {"torch.FloatStorage": np.dtype("<f4"), "torch.LongStorage": np.dtype("<i8")}
_LARGEST = 2**31  # bytes of all storages together
# What the unpickler and what follows raise of bytes that are no such file.
_MALFORMED = (
    pickle.UnpicklingError,
    EOFError,
    LookupError,
    ValueError,
    TypeError,
    AttributeError,
    OverflowError,
    MemoryError,
)


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype[Any]
    num_values: int


class _View(NamedTuple):
    """Where an array lies: all in numbers of values of its storage."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Names(dict[str, _View]):
    """PyTorch's dictionary of arrays; what is noted beside it is dropped."""

    def __setstate__(self, state: object) -> None:
        pass


def _view(storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object) -> _View:
    return _View(storage, offset, shape, strides)


class _Reader(pickle.Unpickler):
    """An unpickler that can build names, numbers and views of storages, and calls nothing else."""

    _ALLOWED: Mapping[tuple[str, str], Any] = {
        ("collections", "OrderedDict"): _Names,
        ("torch._utils", "_rebuild_tensor_v2"): _view,
        **{("torch", name.removeprefix("torch.")): name for name in _TYPES},
    }

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._ALLOWED:
            raise pickle.UnpicklingError(f"it names {module}.{name}, which is no array")
        return self._ALLOWED[module, name]

    def persistent_load(self, reference: Any) -> _Storage:
        kind, type_name, key, _, num_values, _ = reference
        if kind != "storage" or not isinstance(num_values, int) or num_values < 0:
            raise pickle.UnpicklingError("it refers to something that is no storage")
        return _Storage(str(key), _TYPES[type_name], num_values)


def read_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """Read every array of a file.

    Args:
        path: of a `.pth` in the format of before PyTorch 1.6.

    Returns:
        The arrays by name, in the file's order, contiguous.

    Raises:
        InputError: the file is no such file, is cut off, or holds anything but arrays of 32-bit floats and 64-bit
            integers.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except _MALFORMED as error:
        raise InputError(f"{path} holds no arrays that can be read: {error}. Fetch the file again.") from None


def _read(file: IO[bytes]) -> dict[str, NDArray[Any]]:
    magic, _, system, views, order = (_Reader(file).load() for _ in range(5))
    if magic != _MAGIC or not isinstance(views, _Names) or not system["little_endian"]:
        raise ValueError("it was not written by PyTorch's first format")
    storages = {view.storage.key: view.storage for view in views.values()}
    if sum(storage.num_values * storage.dtype.itemsize for storage in storages.values()) > _LARGEST:
        raise ValueError("it would take more than 2 GB")
    values = {key: _read_storage(file, storages[key]) for key in order}
    return {name: _array(values[view.storage.key], view) for name, view in views.items()}


def _read_storage(file: IO[bytes], storage: _Storage) -> NDArray[Any]:
    num_values = int.from_bytes(file.read(8), "little")
    content = file.read(storage.num_values * storage.dtype.itemsize)
    if num_values != storage.num_values or len(content) < num_values * storage.dtype.itemsize:
        raise ValueError("it is cut off, or its sizes contradict each other")
    return np.frombuffer(content, storage.dtype)


def _array(values: NDArray[Any], view: _View) -> NDArray[Any]:
    """The array that a view describes: PyTorch's arrays need not lie row by row."""
    last = view.offset + sum((length - 1) * stride for length, stride in zip(view.shape, view.strides, strict=True))
    smallest = min((view.offset, *view.shape, *view.strides))
    if smallest < 0 or last >= values.size or math.prod(view.shape) > values.size:
        raise ValueError("an array reaches beyond its storage")
    strides = tuple(stride * values.itemsize for stride in view.strides)
    return np.ascontiguousarray(np.lib.stride_tricks.as_strided(values[view.offset :], view.shape, strides))
