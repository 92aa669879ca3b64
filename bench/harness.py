"""What every measurement stands on: alternatives in turn, time and memory of all their processes, and one table.

The machine may be shared, so every measurement runs its alternatives A B A B, takes medians, and gives ratios to the
first. Processor time is given next to the time of the clock, because other work on the machine disturbs it less.
"""

import argparse
import contextlib
import ctypes
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import pandas as pd

from runtime.workers import num_cores

ROOT = Path(__file__).resolve().parents[1]
PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
POLL_SECONDS = 0.1
Item = TypeVar("Item")
Name = TypeVar("Name", str, int)
Result = TypeVar("Result")


class Cost(NamedTuple):
    """What some work cost.

    Attributes:
        clock: seconds by the clock.
        processor: seconds of all processors together.
        peak_bytes: most memory that the processes held at once, as the sum of their proportional set sizes (mapped
            files count); 0 where it was not measured.
        output: what a command printed.
    """

    clock: float
    processor: float
    peak_bytes: int = 0
    output: str = ""


def run(*command: str | Path, folder: str | Path = ".", **environment: str) -> Cost:
    """Run a command to its end, with whatever processes it leaves behind, and measure all of them.

    Args:
        command: the program and its arguments.
        folder: to run it in.
        environment: variables in addition to those of this process; modules of this repository can be imported.
    """
    _adopt_orphans()
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    variables = {**os.environ, "PYTHONPATH": path, **environment}
    before, started, peak = _processor_seconds_of_children(), time.perf_counter(), 0
    process = subprocess.Popen(
        command, cwd=folder, env=variables, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    )
    ended = False
    while not ended:
        peak = max(peak, _group_bytes(process.pid))
        with contextlib.suppress(subprocess.TimeoutExpired):
            output, errors = process.communicate(timeout=POLL_SECONDS)
            ended = True
    clock = time.perf_counter() - started
    assert not process.returncode, errors
    with contextlib.suppress(ChildProcessError):
        while True:  # such as the server that forks our workers
            os.waitpid(-process.pid, 0)
    return Cost(clock, _processor_seconds_of_children() - before, peak, output)


def run_module(module: str, *arguments: str, **environment: str) -> Cost:
    """Run a module of Python, such as a stage or DVC, in the working folder."""
    return run(sys.executable, "-m", module, *arguments, **environment)


def timed(work: Callable[[], object]) -> Cost:
    """Call a function in this process, and time it."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return Cost(time.perf_counter() - clock, time.process_time() - processor)


def in_turn(alternatives: Mapping[Name, Callable[[], Result]], rounds: int) -> dict[Name, list[Result]]:
    """Run every alternative once per round, so that whatever else the machine does falls on all of them.

    Returns:
        What each alternative returned, by round.
    """
    results: dict[Name, list[Result]] = {name: [] for name in alternatives}
    for _ in range(rounds):
        for name, work in alternatives.items():
            results[name].append(work())
    return results


def medians(costs: Sequence[Cost]) -> Cost:
    """Take the median of each figure; the peak is the highest of all."""
    clock, processor = np.median([cost[:2] for cost in costs], axis=0)
    return Cost(float(clock), float(processor), max(cost.peak_bytes for cost in costs))


def in_processes(work: Callable[[Item], Result], items: Iterable[Item], chunk: int = 16) -> list[Result]:
    """Apply a function to every item in a process per core; results are in the order of the items."""
    with ProcessPoolExecutor(num_cores()) as pool:
        return list(pool.map(work, items, chunksize=chunk))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table in Markdown: numbers to the right, fractions with three digits and larger ones with fewer.

    Args:
        columns: headings.
        rows: at least one; a string is printed as it is, None as nothing, NaN as a dash.
    """
    rows = [list(row) for row in rows]
    rules = ["---" if any(isinstance(cell, str) for cell in cells) else "---:" for cells in zip(*rows, strict=True)]
    lines = [columns, rules, *([_cell(cell) for cell in row] for row in rows)]
    print("\n".join("| " + " | ".join(cells) + " |" for cells in lines), flush=True)


def print_costs(what: str, costs: Mapping[str, Cost]) -> None:
    """Print what alternatives cost, each figure with its ratio to that of the first alternative."""
    first = next(iter(costs.values()))
    print_table(
        [what, "clock s", "times the first", "processor s", "times the first", "peak MB"],
        [
            (
                *(name, cost.clock, cost.clock / first.clock, cost.processor, cost.processor / first.processor),
                round(cost.peak_bytes / 1e6) or None,
            )
            for name, cost in costs.items()
        ],
    )


def print_frame(frame: pd.DataFrame) -> None:
    """Print a data frame as a table."""
    print_table([*frame.columns], frame.to_numpy(object).tolist())


def save_chart(path: Path, rows: pd.DataFrame, chart: Mapping[str, Any]) -> None:
    """Draw a chart into an SVG or PNG file.

    Args:
        path: of the file; its suffix chooses the format.
        rows: what is drawn.
        chart: the rest of the specification, as Vega-Lite has it.
    """
    import vl_convert

    path.parent.mkdir(parents=True, exist_ok=True)
    specification = {"data": {"values": rows.to_dict("records")}, "config": {"legend": {"labelLimit": 0}}, **chart}
    if path.suffix == ".svg":
        path.write_text(vl_convert.vegalite_to_svg(specification), encoding="utf-8")
    else:
        path.write_bytes(vl_convert.vegalite_to_png(specification, scale=1.5))


def options(description: str | None, *positional: str | tuple[str, type], **defaults: Any) -> argparse.Namespace:
    """Read a command line.

    Args:
        description: the module's docstring.
        positional: names of positional arguments, which are paths unless a type stands next to the name.
        defaults: value of each option; a list takes several values, False is a switch, None an optional path, and a
            type stands for an option of that type that has to be given.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    for each in positional:
        name, kind = (each, Path) if isinstance(each, str) else each
        parser.add_argument(name, type=kind)
    for name, default in defaults.items():
        parser.add_argument(f"--{name.replace('_', '-')}", dest=name, **_option(default))
    return parser.parse_args()


def files_in(folder: Path, pattern: str = "*.jpg") -> list[Path]:
    """List the files below a folder, sorted."""
    return sorted(path for path in folder.rglob(pattern) if path.is_file())


def draw(paths: Sequence[Path], number: int) -> list[Path]:
    """Draw some of the files, always the same ones."""
    order = np.random.default_rng(0).permutation(len(paths))
    return [paths[row] for row in order[:number]]


def _option(default: Any) -> dict[str, Any]:
    if default is False:
        return {"action": "store_true"}
    if isinstance(default, type):
        return {"type": default, "required": True}
    if isinstance(default, list):
        return {"type": type(default[0]), "nargs": "+", "default": default}
    return {"type": Path if default is None else type(default), "default": default}


def _cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    if isinstance(value, int | np.integer):
        return f"{value:,}"
    digits = 3 if abs(value) <= 1 else 2 if abs(value) < 100 else 0
    return "-" if np.isnan(value) else f"{value:,.{digits}f}"


def _adopt_orphans() -> None:
    """Become the parent of processes whose own parent has ended, so that their time is counted."""
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def _processor_seconds_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _group_bytes(group: int) -> int:
    """Add up the proportional set sizes of the processes of a group."""
    total = 0
    for folder in Path("/proc").iterdir():
        # A process may end meanwhile.
        with contextlib.suppress(ValueError, OSError, IndexError):
            if os.getpgid(int(folder.name)) == group:
                rollup = (folder / "smaps_rollup").read_text(encoding="utf-8")
                total += int(rollup.split("\nPss:")[1].split()[0]) * 1024
    return total
