"""Azurite, which speaks Azure Blob Storage's protocol, for tests and measurements: on a free port, data in a folder."""

import base64
import contextlib
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

from azure.storage.blob import BlobServiceClient

NPM = Path(__file__).parent / "npm"
PROGRAM = NPM / "node_modules/.bin/azurite-blob"
ACCOUNT = "retrain"
KEY = base64.b64encode(b"a key that opens nothing but this server").decode()


def why_absent() -> str | None:
    """Say why there is no Azurite here; None if there is."""
    if not shutil.which("node"):
        return "node is not here, and Azurite needs it"
    return None if PROGRAM.exists() else f"Azurite is not here: `npm ci` in {NPM}, or `make test`, installs it"


class Azurite:
    """A server that can be killed and started again, on the same port and with the same data.

    Attributes:
        folder: where it keeps its data.
    """

    def __init__(self, folder: Path, program: str | Path = PROGRAM):
        self.folder = folder
        self._program = program
        self._server: subprocess.Popen[bytes] | None = None
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]

    def __enter__(self) -> "Azurite":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ("--silent", "--skipApiVersionCheck", "--disableTelemetry", "--location", str(self.folder))
        self._server = subprocess.Popen(
            [self._program, "--blobHost", "127.0.0.1", "--blobPort", str(self._port), *options],
            env=os.environ | {"AZURITE_ACCOUNTS": f"{ACCOUNT}:{KEY}"},
            stdout=subprocess.DEVNULL,
            process_group=0,
        )
        end = time.monotonic() + 60
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self._port)):
                return
            if self._server.poll() is not None or time.monotonic() > end:
                raise RuntimeError("Azurite does not start")
            time.sleep(0.1)

    def stop(self) -> None:
        """End it, after it has written down all that it was sent; a kill would undo its last seconds."""
        assert self._server
        self._server.terminate()
        self._server.wait(60)

    def kill(self) -> None:
        """Kill it, as a machine that goes away."""
        if self._server:
            self._server.kill()
            self._server.wait()

    def connection(self, credential: str = f"AccountKey={KEY}", account: str = ACCOUNT) -> str:
        """Give a connection string."""
        endpoint = f"BlobEndpoint=http://127.0.0.1:{self._port}/{account}"
        return f"DefaultEndpointsProtocol=http;AccountName={account};{credential};{endpoint};"

    def service(self) -> BlobServiceClient:
        """Give a client of it."""
        return BlobServiceClient.from_connection_string(self.connection())

    def wait_until_written(self, *words: str) -> None:
        """Wait until what it knows, written down every five seconds, has all words: a kill would undo the rest."""
        index = self.folder / "__azurite_db_blob__.json"
        while not index.exists() or not all(map(index.read_text().__contains__, words)):
            time.sleep(0.1)
