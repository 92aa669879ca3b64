"""Identities of transactions: UUIDv7, which sort by time and cannot be guessed."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID


def new_id(milliseconds: int | None = None) -> str:
    """Draw an identity.

    Source: RFC 9562, section 5.7: 48 bits of milliseconds since 1970, the version, 12 random bits, the variant, 62
    random bits.

    Args:
        milliseconds: since 1970; now by default.
    """
    moment = time.time_ns() // 1_000_000 if milliseconds is None else milliseconds
    bits = secrets.randbits(74)
    return str(UUID(int=moment << 80 | 7 << 76 | bits >> 62 << 64 | 0b10 << 62 | bits & (2**62 - 1)))


def time_of(transaction: str) -> datetime:
    """Say when an identity was drawn.

    Raises:
        ValueError: it is no UUIDv7.
    """
    identity = UUID(transaction)
    if identity.version != 7:
        raise ValueError(f"{transaction} is no UUIDv7")
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=identity.int >> 80)
