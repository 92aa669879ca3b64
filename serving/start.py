"""Start the gateway: it answers pictures over HTTP, and remembers what it answered.

    make gateway PORT=8080
    python -m serving --help

Reads: an export (data/export/NNN) or a server of models; data/advice.yaml; params.yaml; data/fingerprints.parquet where
    it is there, for how sharp the library's pictures are
Writes: the folder that RETRAIN_GATEWAY names (build/gateway by default): log.db, pictures/aa/<image_id>, salt.json
Params: fingerprint, quality
"""

import argparse
import ipaddress
import logging
import math
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn

from runtime import parameters
from runtime.errors import InputError
from runtime.workers import num_cores
from serving.advice import read_advice
from serving.app import Door, make_app
from serving.archive import Archive
from serving.clients import Keys, Rates
from serving.clock import MACHINE, Clock
from serving.gateway import Gateway, Second
from serving.keeper import Keeper
from serving.log import Log
from serving.models import Exports, open_model
from serving.prepare import Limits, preparing
from serving.processes import Processes
from serving.settings import folder_of_log
from stages.images.faults import own_limit
from stages.tables.exported import EXPORT
from stages.tables.fingerprints import FINGERPRINTS

log = logging.getLogger(__name__)

MAX_PIXELS = 50_000_000
_HERE = "127.0.0.1"
_REMEDY = (
    f"Give --min-sharpness: `make gateway` says which, in the clone that has {FINGERPRINTS.path}; 0 looks for no blur."
)
SERVER: dict[str, Any] = {
    "log_config": None,
    "log_level": "warning",
    "access_log": False,
    "server_header": False,
    "timeout_graceful_shutdown": 30,
}


class Opened(NamedTuple):
    """A gateway and what belongs to it, as `make_app` takes them."""

    gateway: Gateway
    door: Door
    keeper: Keeper


def main() -> None:
    """Run the command."""
    arguments, folder = read_arguments(), folder_of_log()
    opened = open_gateway(arguments, folder)
    name = opened.gateway.model.name
    log.info("gateway: http://%s:%d/ asks %s; its log is %s", arguments.host, arguments.port, name, folder)
    opened.keeper.start()
    where = {"host": arguments.host, "port": arguments.port, "forwarded_allow_ips": arguments.forwarded_allow_ips}
    uvicorn.run(make_app(*opened), **where, **SERVER)


def open_gateway(arguments: argparse.Namespace, folder: Path, clock: Clock = MACHINE) -> Opened:
    """Open the log and start the processes.

    Args:
        arguments: of the command line.
        folder: of the log.
        clock: of the gateway.

    Raises:
        RetrainError: the model cannot be opened, another gateway has the log, or a file that is read is damaged.
    """
    advice = read_advice()
    limits, keys = _limits(arguments.min_sharpness), Keys.read(arguments.keys) if arguments.keys else Keys()
    exports = Exports(Path(arguments.exports))
    seconds, threads = arguments.timeout, max(1, num_cores() // 2)
    opened = partial(open_model, exports=exports, timeout_seconds=seconds, num_threads=threads)
    database = Log(folder)
    model = opened(arguments.model or str(exports.newest()))
    second = Second(opened(arguments.second), arguments.share) if arguments.second else None
    workers = Processes("preparing", partial(preparing, limits), arguments.workers, seconds)
    gateway = Gateway(folder, database, workers, model, second, advice, clock)
    archive = Archive(arguments.ship_to) if arguments.ship_to else None
    keeper = Keeper(folder, database, gateway.pictures, gateway.replica, archive, arguments.retention, clock)
    return Opened(gateway, Door(keys, Rates(arguments.rate), arguments.queue, arguments.within), keeper)


def _limits(min_sharpness: float | None) -> Limits:
    quality = parameters.read(parameters.Quality)
    if min_sharpness is None:
        min_sharpness = _library_s_own() if quality.min_sharpness is None else quality.min_sharpness
    most = min(MAX_PIXELS, parameters.read(parameters.Fingerprint).max_pixels)
    return Limits(most, quality, min_sharpness)


def _library_s_own() -> float:
    """Say below which sharpness a picture is blurred, from how sharp the library's pictures are."""
    path = Path(FINGERPRINTS.path)
    if not path.is_file():
        log.warning(
            "gateway: no picture will be called blurred: quality.min_sharpness is empty in %s, and %s is not here. %s",
            parameters.PATH, path, _REMEDY,
        )  # fmt: skip
        return 0.0
    limit = own_limit(FINGERPRINTS.parse(path.read_bytes(), ["sharpness"])["sharpness"])
    log.info(
        "gateway: by how sharp the library's pictures are, a picture is blurred as with --min-sharpness=%.4g", limit
    )
    return limit


def read_arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line, or these words instead of it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--port", type=_port, default=8080)
    parser.add_argument(
        "--host", type=_host, default=_HERE, help="an address of this machine, which others reach; 0.0.0.0 for all"
    )
    parser.add_argument("--model", default="", help="folder of an export, or URL of a server; else the newest export")
    parser.add_argument("--second", default="", help="another model: a shadow that answers nobody, or, with --share,")
    parser.add_argument("--share", type=_share, default=None, help="that answers this share of the pictures, 0 to 1")
    parser.add_argument("--exports", default=EXPORT, help="folder of the exports of what servers serve")
    parser.add_argument("--queue", type=_positive, default=32, help="most pictures under way; others are told to wait")
    parser.add_argument(
        "--within", type=float, default=1.0,
        help="seconds in which an answer should be there: others are told to wait; 0: however long the queue takes",
    )  # fmt: skip
    parser.add_argument("--rate", type=int, default=0, help="most requests of a client per minute; 0: any number")
    parser.add_argument(
        "--forwarded-allow-ips", type=_proxies, default=os.environ.get("FORWARDED_ALLOW_IPS", ""), metavar="PROXIES",
        help="addresses and networks, with commas between, whose X-Forwarded-For is believed; else FORWARDED_ALLOW_IPS",
    )  # fmt: skip
    parser.add_argument("--keys", type=Path, default=None, help="file of keys of the API, one per line")
    parser.add_argument("--workers", type=_positive, default=1, help="processes that prepare pictures")
    parser.add_argument("--ship-to", default="", help="where rows and pictures go by the hour, such as az://logs")
    parser.add_argument("--retention", type=_positive, default=None, help="days after which both are removed")
    parser.add_argument(
        "--min-sharpness", type=_sharpness, default=None, help="below: blurred; else as params.yaml has it"
    )
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds that a model may take")
    return parser.parse_args(words)


def _port(text: str) -> int:
    if not text:
        return 8080
    if not text.isdecimal() or not 0 < int(text) < 2**16:
        raise InputError(f"PORT={text} is no port: expected a number from 1 to 65535, such as 8080.")
    return int(text)


def _host(text: str) -> str:
    return text or _HERE  # to the server, nothing would mean all addresses


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number of at least 1")
    return int(text)


def _proxies(text: str) -> str:
    """Check what uvicorn takes; it would never meet an address that is misspelt, and with * clients chose theirs."""
    for address in filter(None, map(str.strip, text.split(","))):
        try:
            ipaddress.ip_network(address)
        except ValueError:
            raise InputError(
                f"--forwarded-allow-ips or FORWARDED_ALLOW_IPS: {address} is no address of a proxy, and no network: "
                "expected such as 10.0.0.5 or 10.244.0.0/16, with commas between them."
            ) from None
    return text


def _sharpness(text: str) -> float:
    try:
        sharpness = float(text)
    except ValueError:
        sharpness = math.nan
    if not 0 <= sharpness < math.inf:
        raise InputError(f"--min-sharpness={text} is no sharpness: expected a number of at least 0. {_REMEDY}")
    return sharpness


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1")
    return share
