"""Work on a Dask cluster, whose workers must give the same results as this process.

A scheduler unpickles every task, and need not have our code. So a task consists of what Python and Dask have, and of
bytes that only workers unpickle.
"""

import pickle
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING, Any, TypedDict

from runtime.errors import InputError
from runtime.identity import changed_code, library_versions, loaded_code
from runtime.wording import listed

if TYPE_CHECKING:
    from distributed import Client

Submit = Callable[[Any], Future[Any]]


class Surroundings(TypedDict):
    """What a result depends on apart from its inputs: whether the folder is the run's, the code and the libraries."""

    folder: bool
    code: dict[str, str]
    libraries: dict[str, str | None]


@contextmanager
def on_cluster(address: str, function: Callable[[Any], object]) -> Iterator[tuple[Submit, int]]:
    """Have the workers of a cluster call `function`.

    Args:
        address: of the scheduler.
        function: what can be pickled. Each worker is given it once, with all that it holds.

    Yields:
        What submits an item, which can be pickled, and returns its future; and how many items are worked on at a time.

    Raises:
        InputError: no cluster answers there, or one of its workers would not give the same results.
    """
    if changed := changed_code():
        raise InputError(f"{listed(changed)} changed after this run began. Start the run again.")
    with _connected(address) as client, _token() as token:
        from cloudpickle import dumps  # comes with Dask

        ours = surroundings(token)
        _require_same_surroundings(client, token, ours)
        # A task's result, not scattered data: when the worker that has it dies, the scheduler makes it again.
        work = client.submit(bytes, dumps((ours, function)), pure=False)

        # Within another function, so that the scheduler is sent its code, not its name.
        def call(work: bytes, item: bytes) -> object:
            from runtime.cluster import perform

            return perform(token, work, item)

        num_workers = sum(client.nthreads().values())
        try:
            yield lambda item: client.submit(call, work, dumps(item), pure=False), num_workers
        except ImportError as error:
            raise _refusal("that joined during the run", [_cannot_load(error)]) from None


# The function of the last run that this worker took part in, by the run's token.
_functions: dict[str, Callable[[Any], object]] = {}


def perform(token: str, work: bytes, item: bytes) -> object:
    """Apply a run's function to an item, on a worker.

    A worker may join after the run began, and a nanny starts another in the place of one that dies. So each is compared
    before its first item, when it has loaded the function's code; later edits do not reach it.

    Args:
        token: of the run: the name of a file in its folder.
        work: pickled: the surroundings of the process that asks, and the function.
        item: pickled.

    Raises:
        InputError: this worker would not give the same results.
    """
    function = _functions.get(token)
    if function is None:
        from distributed import get_worker

        ours, function = pickle.loads(work)  # noqa: S301 - the process that asks for the work pickled it
        _require_same(get_worker().address, ours, surroundings(token))
        _functions.clear()
        _functions[token] = function
    return function(pickle.loads(item))  # noqa: S301


@contextmanager
def _connected(address: str) -> "Iterator[Client]":
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
    with client:
        yield client


@contextmanager
def _token() -> Iterator[str]:
    """Give the name of a file that is in this folder as long as the run lasts."""
    with NamedTemporaryFile(dir=".", prefix="shared-", suffix=".partial") as file:
        yield Path(file.name).name


def surroundings(token: str) -> Surroundings:
    """Say what results depend on in this process, apart from the inputs.

    Args:
        token: name of a file in the run's folder.
    """
    return {"folder": Path(token).is_file(), "code": loaded_code(), "libraries": library_versions()}


def _require_same_surroundings(client: "Client", token: str, ours: Surroundings) -> None:
    answers = client.run(surroundings, token, on_error="return")
    if not answers:
        raise InputError("the Dask cluster has no workers: start some in this folder, or unset DASK_SCHEDULER_ADDRESS.")
    for worker, theirs in sorted(answers.items()):
        _require_same(worker, ours, theirs)


def _require_same(worker: str, ours: Surroundings, theirs: Surroundings | Exception) -> None:
    if found := differences(ours, theirs):
        raise _refusal(worker, found)


def _refusal(worker: str, found: list[str]) -> InputError:
    return InputError(
        f"the Dask worker {worker} would not give the same results: {'; '.join(found)}. Start the workers again, all "
        "in this very folder, shared between the machines, and in the same environment as here (docs/guide/cluster.md)."
    )


def differences(ours: Surroundings, theirs: Surroundings | Exception) -> list[str]:
    """Say how a worker differs from this process.

    Args:
        ours: `surroundings` here.
        theirs: what the worker answered. One that has loaded older code may not know each key.

    Returns:
        Clauses with the worker as their subject; none if it gives the same results.
    """
    if isinstance(theirs, Exception):
        return [_cannot_load(theirs)]
    if missing := sorted(ours.keys() - theirs.keys()):
        return [f"it loaded older code, which does not tell its {' and '.join(missing)}"]
    found = [] if theirs["folder"] else ["it works in another folder"]
    if files := _differing(ours["code"], theirs["code"]):
        found.append(f"it loaded other code than this run: {listed(files)}")
    if libraries := _differing(ours["libraries"], theirs["libraries"]):
        found.append(f"it has another {listed(libraries)}")
    return found


def _differing(ours: Mapping[str, str | None], theirs: Mapping[str, str | None]) -> list[str]:
    return sorted(key for key in ours.keys() | theirs.keys() if ours.get(key) != theirs.get(key))


def _cannot_load(error: Exception) -> str:
    return f"it cannot load the code of this run ({error})"
