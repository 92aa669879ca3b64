"""The commands as `make` lists them: the daily ones first, every one named, on one screen."""

import re
import subprocess

from conftest import ROOT


def test_make_lists_every_command_on_one_screen_and_the_daily_ones_first():
    words = subprocess.run(["make"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True).stdout
    lines = words.splitlines()
    assert lines[0] == "Every day:"
    assert [line.split()[1] for line in lines[1:6]] == ["repro", "review", "push", "pull", "promote"]
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 100
    commands = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help"}
    assert commands <= set(re.findall(r"[a-z-]+", words))
