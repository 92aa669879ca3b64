"""Read the reports of the stages: CSV files with known columns, in which a number is a number."""

import csv
import io
import math
import re
from collections.abc import Sequence

from runtime.errors import InputError
from runtime.regular_files import read_small
from stages.tables.documents import REMEDY
from stages.tables.splits import COUNT_COLUMNS

# The longest, the threshold report of every class of every set, is far smaller.
MAX_BYTES = 64 * 2**20
# All other columns are numbers, or empty.
_TEXTS = frozenset(
    {"model", "set", "class_name", "benchmark", "requirement", "passed", "in_model"}
    | {"missed_as", "wrong_guesses_of", "included", "why_out"}
)
# Of class_counts.csv: of these every row has one.
_COUNTS = frozenset(COUNT_COLUMNS) - _TEXTS
_COUNT = re.compile(r"[0-9]{1,12}")


def read_report(path: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Read a report.

    Args:
        path: of the file.
        columns: that it should have; more are welcome.

    Raises:
        InputError: the file is absent, no regular file, too large, no CSV, lacks a column or a field, or holds
            something else than a number in a column of numbers, or than a whole one in a column of counts.
    """
    return parse_report(read_small(path, MAX_BYTES, REMEDY), path, columns)


def parse_report(content: bytes, name: str, columns: Sequence[str]) -> list[dict[str, str]]:
    """Check what a report holds that was read already; `name` says which, for the message."""
    try:
        rows = list(csv.DictReader(io.StringIO(content.decode(), newline=""), strict=True))
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{name} is no CSV in UTF-8: {error}. {REMEDY}") from None
    for number, row in enumerate(rows, start=1):
        if missing := [column for column in dict.fromkeys([*columns, *row]) if row.get(column) is None]:
            raise InputError(f"{name}, row {number} lacks the columns {', '.join(missing)}. {REMEDY}")
        for column, value in row.items():
            if column not in _TEXTS and not _is_number(value):
                raise InputError(f"{name}, row {number}: {column} should be a number, it is {value!r:.60}. {REMEDY}")
            if column in _COUNTS and not _COUNT.fullmatch(value):
                raise InputError(
                    f"{name}, row {number}: {column} should be a whole number, it is {value!r:.60}. {REMEDY}"
                )
    return rows


def _is_number(value: object) -> bool:
    try:
        return not value or math.isfinite(float(str(value)))
    except ValueError:
        return False
