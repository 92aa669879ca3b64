"""Read JSON files, of a bounded size and a known form; what is wrong with one is said in one line."""

from pathlib import Path
from typing import TypeVar

from pydantic import TypeAdapter, ValidationError

from runtime.errors import InputError, RetrainError
from runtime.regular_files import read_small

Value = TypeVar("Value")

# The longest, model.json, has a line for each class and sub-class: a megabyte for ten thousand of them.
MAX_BYTES = 16 * 2**20
_NUM_SHOWN = 3
_LONGEST = 60  # characters of a key or a message that are shown


def read_json(
    path: str | Path, form: TypeAdapter[Value], what: str, remedy: str, error: type[RetrainError] = InputError
) -> Value:
    """Read a JSON file.

    Args:
        path: of the file.
        form: what it should hold; strictly, a whole number is no text.
        what: the same in words, such as "list of class names".
        remedy: what brings a good file back, as a sentence.
        error: what to raise.

    Raises:
        RetrainError: of the type `error`: the file is absent, no regular file, too large, or has another form.
    """
    return parse_json(read_small(path, MAX_BYTES, remedy, error), path, form, what, remedy, error)


def parse_json(
    content: bytes | str,
    path: str | Path,
    form: TypeAdapter[Value],
    what: str,
    remedy: str,
    error: type[RetrainError] = InputError,
) -> Value:
    """Check what a JSON file holds that was read already; arguments and errors as in `read_json`."""
    try:
        return form.validate_json(content, strict=True)
    except ValidationError as problem:
        raise error(f"{path} is no {what}: {_problems(problem)}. {remedy}") from None


def _problems(error: ValidationError) -> str:
    """Say what is wrong, and where in the file."""
    details = error.errors(include_input=False, include_context=False, include_url=False)
    shown = [
        f"{_short('.'.join(map(str, detail['loc']))) or 'the file'}: {detail['msg'][0].lower()}{detail['msg'][1:]}"
        for detail in details[:_NUM_SHOWN]
    ]
    return "; ".join(shown) + (f"; and {len(details) - _NUM_SHOWN:,} more" if len(details) > _NUM_SHOWN else "")


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
