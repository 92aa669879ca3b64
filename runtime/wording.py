"""Counts and lists as sentences have them, for messages and logs."""

from collections.abc import Collection


def counted(number: int, singular: str, plural: str | None = None) -> str:
    """Say how many there are: "1 picture", "1,204 pictures".

    Args:
        number: how many.
        singular: the word for one, such as "picture".
        plural: the word for any other number; by default the singular with an s.
    """
    return f"{number:,} {singular if number == 1 else plural or f'{singular}s'}"


def listed(names: Collection[str], most: int = 5) -> str:
    """List the first few names, and how many more there are: "a, b and 3 more"."""
    return ", ".join(list(names)[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
