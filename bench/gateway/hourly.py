"""Start the gateway with its clock two hours behind, so that rows may be shipped at once, and ship each second.

For measurements: a gateway ships what is an hour old, by the hour. Run as `python -m serving` is.
"""

import secrets
import threading
import time
from datetime import UTC, datetime, timedelta

import uvicorn

from serving.app import make_app
from serving.clock import Clock
from serving.keeper import Keeper
from serving.settings import folder_of_log
from serving.start import SERVER, open_gateway, read_arguments

BEHIND = timedelta(hours=2)
SECONDS = 1.0


def ship(keeper: Keeper) -> None:
    """Ship whatever is there; what fails is tried again."""
    while True:
        time.sleep(SECONDS)
        keeper._try(keeper.ship, datetime.now(UTC))


def main() -> None:
    """Run the command."""
    arguments = read_arguments()
    clock = Clock(lambda: datetime.now(UTC) - BEHIND, secrets.randbits)
    opened = open_gateway(arguments, folder_of_log(), clock)
    threading.Thread(target=ship, args=[opened.keeper], daemon=True).start()
    uvicorn.run(make_app(*opened), host=arguments.host, port=arguments.port, **SERVER)


if __name__ == "__main__":
    main()
