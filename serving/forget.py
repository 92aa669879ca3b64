"""Forget a transaction: its row, its picture, and what was shipped of both. A note stays that it was forgotten.

    make forget TRANSACTION=01a21c44-f07f-7e89-87a7-fd10adc1e8a9

A picture that another transaction has too stays until that one is forgotten. A gateway that runs does it itself.
Environment: RETRAIN_GATEWAY, as the gateway has it; what the place that it ships to needs
"""

import argparse
import logging
from datetime import UTC, datetime
from uuid import UUID

from runtime.command import run
from runtime.errors import InputError, RepositoryError
from serving.keeper import FORGOTTEN, UNKNOWN, Keeper, ask_to_forget
from serving.log import NAME, BusyError, Log
from serving.pictures import Pictures
from serving.settings import folder_of_log
from serving.transaction_id import time_of

log = logging.getLogger(__name__)

_SECONDS = 120.0


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--transaction", required=True)
    transaction = _checked(parser.parse_args().transaction)
    folder = folder_of_log()
    if not (folder / NAME).exists():
        raise InputError(f"{folder} holds no log. Name its folder by RETRAIN_GATEWAY.")
    try:
        outcome: str | None = _forget_here(transaction)
    except BusyError:
        outcome = ask_to_forget(folder, transaction, _SECONDS)
    if outcome == UNKNOWN:
        raise InputError(f"{UNKNOWN}: {transaction}. It was forgotten before, or another replica answered it.")
    if outcome != FORGOTTEN:
        raise RepositoryError(
            f"the gateway did not forget {transaction} within {_SECONDS:.0f} s. It will, unless what it writes to its "
            "standard error says why not. Run this again to see."
        )
    log.info("forget: nothing of %s is left", transaction)


def _forget_here(transaction: str) -> str:
    folder = folder_of_log()
    database = Log(folder)
    try:
        keeper = Keeper(folder, database, Pictures(folder / "pictures"), database.replica())
        return FORGOTTEN if keeper.forget(transaction, datetime.now(UTC)) else UNKNOWN
    finally:
        database.close()


def _checked(text: str) -> str:
    try:
        time_of(text)
        if str(UUID(text)) != text:
            raise ValueError
    except ValueError:
        raise InputError(
            f"TRANSACTION={text} is no transaction: expected what an answer calls so, such as "
            "01a21c44-f07f-7e89-87a7-fd10adc1e8a9."
        ) from None
    return text


if __name__ == "__main__":
    run(main)
