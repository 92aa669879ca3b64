"""The commands as `make` lists them: daily ones first, all named, on one screen; what a person gives is text."""

import os
import re
import shutil
import subprocess

import pytest
from conftest import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
# The variables that the help text and the message about Python name, each with a command that takes it.
DOCUMENTED = sorted(
    {
        (name, command)
        for command, words in re.findall(r"^([a-z-]+):.*## (.*)$", MAKEFILE, re.MULTILINE)
        for name in re.findall(r"([A-Z]+)=", words)
    }
    | {("PYTHON", "help")}
)


def test_make_lists_every_command_on_one_screen_and_the_daily_ones_first():
    words = subprocess.run(
        ["make", "--no-print-directory"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
    ).stdout
    lines = words.splitlines()
    assert lines[0] == "Every day:"
    assert [line.split()[1] for line in lines[1:6]] == ["repro", "review", "push", "pull", "promote"]
    assert len(lines) <= 30
    assert max(map(len, lines)) <= 100
    commands = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE)) - {"help"}
    assert commands <= set(re.findall(r"[a-z-]+", words))


def make(folder, *arguments, **variables):
    """Run make in a folder with our Makefile, where each program does nothing but write down what it is given."""
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", folder)
    for name in ("requirements.lock", ".venv/ready"):
        (folder / name).touch()
    (programs / "python").write_text('#!/bin/bash\nprintf "%s\\0" "$@" >> given\nenv -0 > environment\n')
    (programs / "python").chmod(0o755)
    (folder / "Makefile").write_text(f"{MAKEFILE}\nshow:\n\t@python\n")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    subprocess.run(["make", "--silent", *arguments], cwd=folder, env=os.environ | variables, check=True)
    return (folder / "given").read_text().split("\0") if (folder / "given").exists() else []


HOSTILE = "\"$(shell touch ran) `touch ran` $$(touch ran) ${HOME} ' ; touch ran #"


@pytest.mark.parametrize(("name", "command"), [each for each in DOCUMENTED if each[0] not in ("PYTHON", "DELETE")])
@pytest.mark.parametrize("given_as", ["argument", "environment"])
def test_what_a_person_gives_reaches_the_command_as_it_was_typed(tmp_path, name, command, given_as):
    value = HOSTILE
    given = (
        make(tmp_path, command, f"{name}={value}")
        if given_as == "argument"
        else make(tmp_path, command, **{name: value})
    )
    assert any(argument == f"--{name.lower()}={value}" for argument in given)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["PYTHON", "DELETE", "OTHER"])
def test_no_variable_is_ever_expanded(tmp_path, name):
    make(tmp_path, "show", f"{name}={HOSTILE}")
    assert f"{name}={HOSTILE}" in (tmp_path / "environment").read_text().split("\0")
    assert not (tmp_path / "ran").exists()


def test_recipes_read_what_a_person_gives_in_the_shell_alone():
    assert {name for name, _ in DOCUMENTED} >= {"TO", "LIBRARY", "COMMITS", "REASON", "VERSION", "DELETE"}
    for name, _ in DOCUMENTED:
        assert not re.search(rf"(?<!\$)\$[({{]{name}\b", MAKEFILE), name
