"""Files of what people said, a CSV file per person: what is the same in data/decisions and data/outcomes.

A line that begins with # is a comment; empty lines, and empty columns at a line's end, count for nothing: spreadsheets
write them.
"""

import csv
import io
import re
from datetime import datetime
from pathlib import Path

from runtime.errors import InstructionError
from runtime.litter import is_litter
from runtime.regular_files import read_small

# A hundred bytes a line: a person would have to decide two million times.
MAX_BYTES = 256 * 2**20
_REMEDY = "`git checkout` brings the committed one back."
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,6})?(Z|\+00:00)", re.ASCII)


def list_files(folder: str | Path) -> list[Path]:
    """List every person's file, sorted; what file managers and editors left there is ignored.

    Raises:
        InstructionError: something else is no `<person>.csv`, so that nobody would obey what it says.
    """
    paths = sorted(path for path in Path(folder).glob("*") if not is_litter(path.name))
    for path in paths:
        if path.suffix != ".csv" or not path.is_file():
            raise InstructionError(
                f"{path} is not read: a file of {path.parent.name} is called <person>.csv. "
                "Rename it, or move it out of the folder."
            )
    return paths


def read_text(path: Path) -> str:
    """Read a person's file.

    Raises:
        InstructionError: it is too large, no regular file, or not UTF-8.
    """
    try:
        return read_small(path, MAX_BYTES, _REMEDY, InstructionError).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InstructionError(f"{path} is not UTF-8: {error}. Save it as UTF-8.") from None


def read_lines(text: str, name: str, columns: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    """Read the lines of a person's file that are neither empty nor comments, the header among them.

    Args:
        text: of the file, its line ends as they are.
        name: of the file, for the message.
        columns: of the file.

    Returns:
        The number of each line, and its fields; empty ones beyond the columns are left out.

    Raises:
        InstructionError: the text is no CSV.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        lines = [(reader.line_num, _without_empty_end(fields, len(columns))) for fields in reader]
    except csv.Error as error:
        raise InstructionError(f"{name}, line {reader.line_num}: no CSV: {error}. Correct the line.") from None
    return [(number, fields) for number, fields in lines if any(fields) and not fields[0].startswith("#")]


def read_rows(text: str, name: str, columns: tuple[str, ...]) -> list[tuple[int, list[str]]]:
    """Read the lines below the header; a union merge may repeat it. As `read_lines`.

    Raises:
        InstructionError: the text is no CSV, or has another header.
    """
    lines = read_lines(text, name, columns)
    if lines and tuple(lines[0][1]) != columns:
        raise InstructionError(
            f"{name}, line {lines[0][0]}: expected {','.join(columns)}, got {','.join(lines[0][1])}. "
            "Make this the first line, and save the file with commas between the columns."
        )
    return [(number, fields) for number, fields in lines if tuple(fields) != columns]


def read_time(text: str) -> datetime | None:
    """Read a time in UTC, as in 2026-11-02T09:15:00.000Z; None where it is none."""
    try:
        return datetime.fromisoformat(text) if _TIME.fullmatch(text) else None
    except ValueError:
        return None


def _without_empty_end(fields: list[str], num_columns: int) -> list[str]:
    while len(fields) > num_columns and not fields[-1].strip():
        fields = fields[:-1]
    return fields
