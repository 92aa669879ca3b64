"""A stub that speaks TensorFlow Serving's protocol: it answers at once, and can be slow, wrong or gone."""

import asyncio
import json
import multiprocessing
import socket
import time
import urllib.request
from typing import Any

from aiohttp import web

from tests.exports import CLASSES

RIGHT, SLOW, WRONG = "right", "slow", "wrong"
SLOW_SECONDS = 5.0
# By version, of three classes.
CONFIDENCES = {7: [90.0, 6.0, 4.0], 8: [80.0, 15.0, 5.0]}
NO_ANSWERS: tuple[Any, ...] = ({"predictions": []}, "<html>502 Bad Gateway</html>", {"error": "no such signature"})


class Stub:
    """The stub, in a process of its own."""

    def __init__(self) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port: int = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self._port}/v1/models/stub"

    def __enter__(self) -> "Stub":
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def start(self) -> None:
        """Start it, and wait until it answers."""
        context = multiprocessing.get_context("spawn")
        self._process = context.Process(target=_serve, args=(self._port,), daemon=True)
        self._process.start()
        end = time.monotonic() + 60
        while True:
            try:
                return self.become()
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)

    def kill(self) -> None:
        """Kill it, as a server that goes away."""
        self._process.kill()
        self._process.join()

    def become(self, **state: object) -> None:
        """Change what it does: `manner` (RIGHT, SLOW or WRONG), or the `version` that it answers with."""
        url = self.url.replace("/v1/models/stub", "/become")
        with urllib.request.urlopen(url, json.dumps(state).encode(), timeout=5):  # noqa: S310
            pass


def _serve(port: int) -> None:
    state = {"manner": RIGHT, "version": 7, "wrong": 0}

    async def answer(request: web.Request) -> web.Response:
        await request.read()
        if state["manner"] == WRONG:
            state["wrong"] += 1
            return web.json_response(NO_ANSWERS[state["wrong"] % len(NO_ANSWERS)])
        if state["manner"] == SLOW:
            await asyncio.sleep(SLOW_SECONDS)
        confidences = CONFIDENCES[state["version"]]
        scores = [confidence / 100 for confidence in confidences]
        row = {"classes": CLASSES, "confidences": confidences, "scores": scores, "version": state["version"]}
        return web.json_response({"predictions": [row]})

    async def status(_: web.Request) -> web.Response:
        available = {"version": str(state["version"]), "state": "AVAILABLE"}
        return web.json_response({"model_version_status": [available]})

    async def become(request: web.Request) -> web.Response:
        state.update(await request.json())
        return web.json_response({})

    app = web.Application(client_max_size=2**26)
    app.add_routes([web.get("/v1/models/stub", status), web.post("/v1/models/stub:predict", answer)])
    app.add_routes([web.post("/become", become)])
    web.run_app(app, host="127.0.0.1", port=port, print=None)
