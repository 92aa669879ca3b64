"""Work over many pictures: the machine's processes, or a Dask cluster when DASK_SCHEDULER_ADDRESS names one."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from itertools import chain
from multiprocessing import get_context
from typing import Any, TypeVar

from runtime.cluster import Submit, on_cluster
from runtime.progress import progress

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
    yield from progress(_in_chunks(function, items, few), total=len(items), what=what)


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
    if len(items) > 1 and (address := _cluster_address()):
        yield from progress(_in_order(on_cluster(address, function), items), total=len(items), what=what)
    else:
        with ThreadPoolExecutor(num_cores()) as executor:
            yield from progress(executor.map(function, items), total=len(items), what=what)


def num_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _cluster_address() -> str | None:
    return os.environ.get("DASK_SCHEDULER_ADDRESS")


def _in_chunks(function: Callable[[Item], Result], items: Sequence[Item], few: int) -> Iterator[Result]:
    address = _cluster_address()
    if len(items) <= (CHUNK if address else few):
        yield from map(function, items)
        return
    chunks = (items[start : start + CHUNK] for start in range(0, len(items), CHUNK))
    work = partial(_chunk, function)
    workers = on_cluster(address, work) if address else _on_processes(work)
    yield from chain.from_iterable(_in_order(workers, chunks))


def _chunk(function: Callable[[Item], Result], chunk: Sequence[Item]) -> list[Result]:
    return [function(item) for item in chunk]


def _in_order(workers: AbstractContextManager[tuple[Submit, int]], items: Iterable[object]) -> Iterator[Any]:
    with workers as (submit, num_workers):
        pending: deque[Future[Any]] = deque()
        for item in items:
            pending.append(submit(item))
            if len(pending) > 4 * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@contextmanager
def _on_processes(function: Callable[[Any], object]) -> Iterator[tuple[Submit, int]]:
    # Not fork: a forked process inherits locks that another thread may hold.
    context = get_context("forkserver")
    context.set_forkserver_preload(_modules())
    # One worker per core: threads of their own for small products of matrices make each twenty times as slow.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    with ProcessPoolExecutor(num_cores(), mp_context=context) as executor:
        yield lambda item: executor.submit(function, item), num_cores()


def _modules() -> list[str]:
    """Name our modules that are loaded, to import them once for all workers; each runs the stage's own module again."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    return [name for name in sorted(sys.modules) if name.startswith("stages.") and (not main or name != main.name)]
