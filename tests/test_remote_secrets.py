"""A key and a SAS appear nowhere but where they were put, however much is said and whoever refuses."""

import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs, quote

import pytest
from azure.storage.blob import ContainerSasPermissions, generate_container_sas
from azurite import ACCOUNT, KEY, Azurite
from clones import World, world, write_pictures
from repositories import ROOT, commit, dvc, write

pytestmark = pytest.mark.slow

PIPELINE = """\
stages:
  export:
    cmd: mkdir -p data/export && cp data/model.h5 data/export
    deps: [data/model.h5]
    outs: [data/export]
"""
# Everything in two processes, ours and plain DVC's, since most of a command's time is its imports.
OURS = """
import logging, runpy, sys
logging.basicConfig(level=0)
sys.argv = ["command"]
for module in ("check", "push", "pull", "verify", "gc"):
    try:
        runpy.run_module(f"remote.{module}", run_name="__main__")
        print(f"{module} ended with 0")
    except SystemExit as ended:
        print(f"{module} ended with {ended.code}")
"""
PLAIN = """
from dvc.cli import main
for line in ("push", "status -c", "fetch", "repro", "pull"):
    print(f"dvc {line} ended with", main([*line.split(), "-vv"]))
"""


@pytest.fixture
def clone(tmp_path: Path, azurite: Azurite) -> Iterator[World]:
    with world(tmp_path, azurite, pictures=2) as made:
        write("dvc.yaml", PIPELINE)
        dvc("repro", "--quiet")
        commit("An export")
        yield made


def sas(container: str, **rights: bool) -> str:
    return generate_container_sas(
        ACCOUNT,
        container,
        account_key=KEY,
        permission=ContainerSasPermissions(**rights),
        expiry=datetime.now(UTC) + timedelta(hours=1),
    )


def run_all() -> str:
    """Run every command verbosely; returns all that they printed, and how they ended."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = [
        subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, encoding="utf-8")
        for script in (OURS, PLAIN)
    ]
    return "".join(one.stdout + one.stderr for one in done)


def places(secrets: list[str], printed: str, folder: Path, but: Path) -> list[str]:
    """List where secrets are."""
    found = ["what was printed"] if any(secret in printed for secret in secrets) else []
    for file in folder.rglob("*"):
        if file.is_file() and file != but and any(secret.encode() in file.read_bytes() for secret in secrets):
            found.append(str(file))
    return found


@pytest.mark.parametrize("kind", ["in .dvc/config.local", "in the environment"])
def test_a_secret_is_nowhere_but_where_it_was_put(
    clone: World, azurite: Azurite, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    reading = sas(clone.container.container_name, read=True, list=True)
    signature = parse_qs(reading)["sig"][0]
    secrets = [KEY, quote(KEY, safe=""), signature, quote(signature, safe="")]
    local = clone.clone / ".dvc/config.local"

    def use(credential: str) -> None:
        connection = azurite.connection(credential)
        if kind == "in the environment":
            monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", connection)
            local.unlink(missing_ok=True)
        else:
            local.write_text(f'[\'remote "cloud"\']\n    connection_string = "{connection}"\n')

    use(f"AccountKey={KEY}")
    allowed = run_all()
    assert allowed.count(" ended with 0\n") == 10, allowed
    assert "DEBUG" in allowed and "TRACE" in allowed

    use(f"SharedAccessSignature={reading}")
    write_pictures("data/library", 3, seed=9)
    dvc("add", "--quiet", "data/library")
    refused = run_all()
    assert "check ended with 1" in refused and "push ended with 1" in refused
    assert "has no right to do this" in refused
    assert places(secrets, allowed + refused, clone.clone.parent, local) == []
