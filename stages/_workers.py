"""Work over many pictures: the machine's processes, or a Dask cluster when DASK_SCHEDULER_ADDRESS names one."""

import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

from stages._progress import progress

# Large enough that handing a chunk over costs nothing beside decoding it, small enough to share out evenly.
CHUNK = 64
# Starting processes takes as long as reading so many pictures.
FEW = 4 * CHUNK
Item = TypeVar("Item")
Result = TypeVar("Result")


def over(function: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """Apply `function` to every item in parallel and yield the results in the order of the items.

    Results do not depend on how many workers there are. At most a few chunks a worker are in flight, so that memory
    stays bounded however many items there are.

    Args:
        function: a function of a module, or a `functools.partial` of one; it is called in another process.
        items: what can be sent to another process.
        what: the items in plural, such as "pictures", for the progress bar.
    """
    yield from progress(_ordered(function, items), total=len(items), what=what)


def num_cores() -> int:
    """Count the cores that this process may use."""
    return len(os.sched_getaffinity(0))


def _ordered(function: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    if len(items) <= FEW:
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
        from distributed import Client  # the extra `cluster`

        with Client(address) as client:
            yield client.get_executor(), max(1, len(client.scheduler_info(n_workers=-1)["workers"]))
    else:
        # Not fork: a forked process inherits locks that another thread may hold.
        context = get_context("forkserver")
        context.set_forkserver_preload(_modules())
        # A worker a core: threads of their own for small products of matrices make each twenty times as slow.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
        with ProcessPoolExecutor(num_cores(), mp_context=context) as executor:
            yield executor, num_cores()


def _modules() -> list[str]:
    """Name our modules that are loaded, to import them once for all workers; the stage itself each runs anew."""
    main = getattr(sys.modules["__main__"], "__spec__", None)
    return [name for name in sorted(sys.modules) if name.startswith("stages.") and (not main or name != main.name)]
