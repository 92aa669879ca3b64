"""Headless Chromium or Chrome, for measurements, tests and pictures of pages."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

PATH = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)


@contextmanager
def browsing() -> Iterator[Any]:
    """Open the browser at PATH, which is None where there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=PATH, args=["--no-sandbox"])
        yield browser
        browser.close()


class Tab:
    """A tab that is asked by Chromium's DevTools protocol, through pipes, and by nothing else.

    Args:
        commands: takes messages, each ended by a zero byte.
        answers: gives them.
        url: of the page.
    """

    def __init__(self, commands: Any, answers: Any, url: str) -> None:
        self._commands, self._answers, self._number = commands, answers, 0
        target = self._send("Target.createTarget", {"url": url})["targetId"]
        self._session = self._send("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]

    def _send(self, method: str, parameters: dict[str, object], session: str | None = None) -> Any:
        """Send a command, to the browser or to a session, and give the result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        self._commands.write(json.dumps(message | ({"sessionId": session} if session else {})).encode() + b"\0")
        while (answer := self._read()).get("id") != self._number:
            pass
        return answer["result"]

    def _read(self) -> Any:
        data = bytearray()
        while (byte := self._answers.read(1)) != b"\0":
            data += byte
        return json.loads(data)

    def wait_for(self, expression: str) -> Any:
        """Wait until a JavaScript expression is true in the tab, and give its value."""
        asked: dict[str, object] = {"expression": expression, "returnByValue": True}
        while not (value := self._send("Runtime.evaluate", asked, self._session)["result"].get("value")):
            time.sleep(0.005)
        return value

    def press(self, letter: str) -> None:
        """Press the key of a letter."""
        for kind, text in (("keyDown", letter), ("keyUp", "")):
            key: dict[str, object] = {"type": kind, "key": letter, "code": f"Key{letter.upper()}", "text": text}
            self._send("Input.dispatchKeyEvent", key, self._session)

    def let_go(self) -> None:
        """Let the browser free what it can draw again, as it does when the machine needs the memory."""
        self._send("Memory.simulatePressureNotification", {"level": "critical"})
        time.sleep(2)


@contextmanager
def unwatched(url: str) -> Iterator[Tab]:
    """Open a page in a browser of its own, whose memory is the page's: Playwright has tabs keep what they were sent."""
    (theirs, ours), (answers, their_answers) = os.pipe(), os.pipe()
    with TemporaryDirectory(ignore_cleanup_errors=True) as profile:  # its processes end in their own time
        options = ["--headless=new", "--no-sandbox", "--remote-debugging-pipe", "--window-size=1400,850"]
        command = [PATH or "chromium", *options, f"--user-data-dir={profile}", "about:blank"]
        redirected = ["bash", "-c", f'exec "$@" 3<&{theirs} 4>&{their_answers}', "bash", *command]
        with os.fdopen(ours, "wb", buffering=0) as commands, os.fdopen(answers, "rb") as read:
            process = subprocess.Popen(redirected, pass_fds=(theirs, their_answers), stderr=subprocess.DEVNULL)
            for each in (theirs, their_answers):
                os.close(each)
            try:
                yield Tab(commands, read, url)
            finally:
                process.terminate()
                process.wait()
