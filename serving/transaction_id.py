"""Identities of transactions: UUIDv7, which sort by time and cannot be guessed."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def new_id(moment: datetime | None = None, random_bits: Callable[[int], int] = secrets.randbits) -> str:
    """Draw an identity.

    Source: RFC 9562, section 5.7: 48 bits of milliseconds since 1970, the version, 12 random bits, the variant, 62
    random bits.

    Args:
        moment: of the transaction; now by default.
        random_bits: draws a number of so many bits, which nobody can guess by default.
    """
    milliseconds = ((moment or datetime.now(UTC)) - _EPOCH) // timedelta(milliseconds=1)
    bits = random_bits(74)
    return str(UUID(int=milliseconds << 80 | 7 << 76 | bits >> 62 << 64 | 0b10 << 62 | bits & (2**62 - 1)))


def time_of(transaction: str) -> datetime:
    """Say when an identity was drawn.

    Raises:
        ValueError: it is no UUIDv7.
    """
    identity = UUID(transaction)
    if identity.version != 7:
        raise ValueError(f"{transaction} is no UUIDv7")
    return _EPOCH + timedelta(milliseconds=identity.int >> 80)
