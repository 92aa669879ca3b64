"""confused.csv: pairs of classes that are easily confused, and what confusing them weighs.

    truth,predicted,weight
    four,nine,0.5

Every other pair weighs 1. A pair has a direction; the opposite one is a line of its own.
"""

import csv
import difflib
import io
from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType

import pandas as pd

from runtime.errors import InstructionError
from runtime.regular_files import read_small
from stages.labels.names import composed

PATH = "data/confused.csv"
COLUMNS = ["truth", "predicted", "weight"]
# Hundreds of thousands of pairs.
MAX_BYTES = 16 * 2**20
_REMEDY = f"a file with the line {','.join(COLUMNS)} will do."


def read_confused(
    path: str | Path, class_names: Collection[str], renamed: Mapping[str, str] = MappingProxyType({})
) -> pd.DataFrame:
    """Read confused.csv against the classes that there are.

    Args:
        path: of the file.
        class_names: every class that a picture or a model has, in this model or not.
        renamed: old name of a class to its name now, which is then read in its place.

    Returns:
        Columns `truth`, `predicted`, `weight` (0 to 1), one row per pair, in the order of the file.

    Raises:
        InstructionError: the file is absent or has other columns, a line names a class that nobody knows, one class
            twice, or repeats a pair, or its weight is no number from 0 to 1.
    """
    lines = _lines(path)
    number, header = lines[0] if lines else (1, [])
    if header != COLUMNS:
        raise InstructionError(
            f"{path}, line {number}: the columns should be {','.join(COLUMNS)}, got {','.join(header) or 'nothing'}."
        )
    weights: dict[tuple[str, str], float] = {}
    for number, line in lines[1:]:
        pair, weight = _pair(f"{path}, line {number}", line, class_names, renamed)
        if pair in weights:
            raise InstructionError(f"{path}, line {number}: {pair[0]},{pair[1]} is on a line above already; keep one.")
        weights[pair] = weight
    return pd.DataFrame(
        {
            "truth": pd.Series([truth for truth, _ in weights], dtype=str),
            "predicted": pd.Series([predicted for _, predicted in weights], dtype=str),
            "weight": pd.Series(list(weights.values()), dtype=float),
        }
    )


def _lines(path: str | Path) -> list[tuple[int, list[str]]]:
    try:
        text = read_small(path, MAX_BYTES, _REMEDY, InstructionError).decode("utf-8-sig")
        reader = csv.reader(io.StringIO(text, newline=""), strict=True)
        return [(reader.line_num, line) for line in reader if line]
    except (csv.Error, UnicodeDecodeError) as error:
        raise InstructionError(f"{path} is not CSV in UTF-8: {error}.") from None


def _pair(
    where: str, line: list[str], class_names: Collection[str], renamed: Mapping[str, str]
) -> tuple[tuple[str, str], float]:
    if len(line) != len(COLUMNS):
        raise InstructionError(f"{where}: expected {','.join(COLUMNS)}, got {','.join(line)}.")
    line = [*(renamed.get(composed(name), composed(name)) for name in line[:2]), line[2]]
    for name in line[:2]:
        if name not in class_names:
            near = difflib.get_close_matches(name, class_names, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else "Write a class, not a sub-class that is merged into one."
            raise InstructionError(f"{where}: no picture and no model has the class {name!r}. {hint}")
    truth, predicted, text = line
    if truth == predicted:
        raise InstructionError(f"{where}: truth and predicted are both {truth!r}; a pair is two classes.")
    try:
        weight = float(text)
    except ValueError:
        weight = -1
    if not 0 <= weight <= 1:
        raise InstructionError(f"{where}: the weight should be a number from 0 to 1, got {text!r}.")
    return (truth, predicted), weight
