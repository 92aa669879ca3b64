"""Work over many pictures: the machine's processes, or a Dask cluster when DASK_SCHEDULER_ADDRESS names one."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, TypeVar

from runtime.errors import InputError
from runtime.identity import code_identity, library_versions
from runtime.progress import progress

if TYPE_CHECKING:
    from distributed import Client

# Large enough that handing a chunk over costs nothing next to decoding it, small enough to share out evenly.
CHUNK = 64
# Below this count, starting processes costs more than the work; a cluster's are started already.
FEW = 4 * CHUNK
Item = TypeVar("Item")
Result = TypeVar("Result")


def over(function: Callable[[Item], Result], items: Sequence[Item], what: str, few: int = FEW) -> Iterator[Result]:
    """Apply `function` to every item in parallel and yield the results in the order of the items.

    Results do not depend on how many workers there are, nor on one that dies in the middle on a cluster: its work is
    done again by another. At most a few chunks per worker are in flight, so that memory stays bounded however many
    items there are.

    Args:
        function: a function of a module, or a `functools.partial` of one; it is called in another process.
        items: what can be sent to another process.
        what: the items in plural, such as "pictures", for the progress bar.
        few: up to this many items the work is done in this process, since starting others costs more.

    Raises:
        InputError: the cluster cannot be used.
    """
    yield from progress(_ordered(function, items, few), total=len(items), what=what)


def over_shared(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """Apply `function`, which holds large arrays that all items share, and yield the results in the order of the items.

    The work is done by threads, so that nothing is copied; on a cluster, each worker is given the arrays once.

    Args:
        function: a method or a `functools.partial` that holds the arrays; compiled code in it lets go of Python's lock.
        items: what it is called with: few, and each seconds of work.
        what: the items in plural, for the progress bar.

    Raises:
        InputError: the cluster cannot be used.
    """
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if address and len(items) > 1:
        yield from progress(_on_cluster(address, function, items), total=len(items), what=what)
    else:
        with ThreadPoolExecutor(num_cores()) as executor:
            yield from progress(executor.map(function, items), total=len(items), what=what)


def num_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _ordered(function: Callable[[Item], Result], items: Sequence[Item], few: int) -> Iterator[Result]:
    if len(items) <= (CHUNK if os.environ.get("DASK_SCHEDULER_ADDRESS") else few):
        yield from map(function, items)
        return
    chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    work = partial(_chunk, function)
    with _executor() as (executor, num_workers):
        pending: deque[Future[list[Result]]] = deque()
        for chunk in chunks:
            pending.append(executor.submit(work, chunk))
            if len(pending) > 4 * num_workers:
                yield from pending.popleft().result()
        while pending:
            yield from pending.popleft().result()


def _chunk(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    return [function(item) for item in chunk]


@contextmanager
def _executor() -> Iterator[tuple[Executor, int]]:
    address = os.environ.get("DASK_SCHEDULER_ADDRESS")
    if address:
        with _client(address) as client:
            yield client.get_executor(), sum(client.nthreads().values())
    else:
        # Not fork: a forked process inherits locks that another thread may hold.
        context = get_context("forkserver")
        context.set_forkserver_preload(_modules())
        # One worker per core: threads of their own for small products of matrices make each twenty times as slow.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        with ProcessPoolExecutor(num_cores(), mp_context=context) as executor:
            yield executor, num_cores()


def _on_cluster(address: str, function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    with _client(address) as client:
        # A task's result, not scattered data: when the worker that has it dies, the scheduler makes it again.
        shared = client.submit(_same, function, pure=False)
        for future in [client.submit(_call, shared, item, pure=False) for item in items]:
            yield future.result()


def _same(function: Callable[[Item], Result]) -> Callable[[Item], Result]:
    return function


def _call(function: Callable[[Item], Result], item: Item) -> Result:
    return function(item)


def _client(address: str) -> "Client":
    try:
        from distributed import Client
    except ImportError:
        raise InputError(
            "DASK_SCHEDULER_ADDRESS is set, and Dask is not installed: `pip install .[cluster]`, or unset it."
        ) from None
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise InputError(
            f"DASK_SCHEDULER_ADDRESS is {address}, where no Dask scheduler answers ({error}). Start one, or unset it."
        ) from None
    try:
        _require_same_surroundings(client)
    except BaseException:
        client.close()
        raise
    return client


def _require_same_surroundings(client: "Client") -> None:
    """Refuse workers that would give other results: in another folder, with other code or other libraries."""
    with NamedTemporaryFile(dir=".", prefix="shared-", suffix=".partial") as token:
        name = Path(token.name).name
        ours = _surroundings(name)
        surroundings = client.run(_surroundings, name, on_error="return")
    if not surroundings:
        raise InputError("the Dask cluster has no workers: start some in this folder, or unset DASK_SCHEDULER_ADDRESS.")
    for worker, theirs in sorted(surroundings.items()):
        if theirs != ours:
            differs = [key for key in ours if theirs[key] != ours[key]] if isinstance(theirs, dict) else [str(theirs)]
            raise InputError(
                f"the Dask worker {worker} would not give the same results: {', '.join(differs)}. Start every worker "
                "in this very folder, shared between the machines, and in the same environment as here."
            )


def _surroundings(token: str) -> dict[str, object]:
    """List what a result depends on apart from its inputs; a key is how a message names a difference."""
    return {
        "it works in another folder": Path(token).is_file(),
        "other code stands in runtime/ or stages/": code_identity(["runtime", "stages"]),
        **{f"it has another {name}": version for name, version in library_versions().items()},
    }


def _modules() -> list[str]:
    """Name our modules that are loaded, to import them once for all workers; each runs the stage's own module again."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    return [name for name in sorted(sys.modules) if name.startswith("stages.") and (not main or name != main.name)]
