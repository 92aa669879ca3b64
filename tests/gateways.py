"""A gateway in a process of its own, as `make gateway` starts it, for tests and measurements."""

import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


class Gateway:
    """A gateway that can be killed and started again, with the same log.

    Args:
        folder: to work in; what a gateway needs of the repository is copied there.
        options: of the command line.
        module: that is run.
    """

    def __init__(self, folder: Path, *options: str | Path, module: str = "serving") -> None:
        self.folder, self.log, self._module = folder, folder / "log", module
        (folder / "data").mkdir(parents=True, exist_ok=True)
        for name in ("params.yaml", "data/advice.yaml"):
            shutil.copy(ROOT / name, folder / name)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {"PYTHONPATH": str(ROOT), "RETRAIN_GATEWAY": str(self.log)}
        self._options = [str(option) for option in options]
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> "Gateway":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it, and wait until it lives."""
        command = [sys.executable, "-m", self._module, "--port", str(self.port), *self._options]
        environment = os.environ | self.environment
        with (self.folder / "errors").open("ab") as errors:
            self.process = subprocess.Popen(command, cwd=self.folder, env=environment, stderr=errors)
        end = time.monotonic() + 300  # on a machine that does much else
        while time.monotonic() < end:
            try:
                self.get("/healthz")
            except OSError:
                time.sleep(0.05)
                if self.process.poll() is not None:
                    break
            else:
                return
        self.process.kill()
        self.process.wait()
        raise RuntimeError((self.folder / "errors").read_text())

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it, and give its exit status."""
        assert self.process
        self.process.send_signal(number)
        return self.process.wait(60)

    def children(self) -> list[int]:
        """The processes that it started."""
        assert self.process
        text = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for path in text for pid in path.read_text().split()]

    def get(self, path: str) -> tuple[int, bytes, Mapping[str, str]]:
        return self.ask("GET", path)

    def ask(
        self, method: str, path: str, data: bytes | None = None, **headers: str
    ) -> tuple[int, bytes, Mapping[str, str]]:
        """Send a request; underscores in the names of headers stand for hyphens."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, data, named, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                return response.status, response.read(), response.headers
        except urllib.error.HTTPError as error:
            return error.code, error.read(), error.headers

    def identify(self, data: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        status, body, _ = self.ask("POST", "/v1/identify", data, **{"Content_Type": "image/jpeg"} | headers)
        return status, json.loads(body)

    def rows(self) -> list[dict[str, Any]]:
        """The log's rows, in the order of their transactions."""
        return rows_of(self.log)

    def picture(self, image_id: str) -> Path:
        return self.log / "pictures" / image_id[:2] / image_id


def rows_of(log: Path) -> list[dict[str, Any]]:
    connection = sqlite3.connect(f"file:{log / 'log.db'}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in connection.execute("SELECT * FROM transactions ORDER BY transaction_id")]
    finally:
        connection.close()
