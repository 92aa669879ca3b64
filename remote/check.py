"""Say what is wrong with the DVC remote before a run is paid for: list, write, read back and delete there.

    python -m remote.check

Before anything is sent it refuses a key or a SAS in what git tracks, and a remote whose downloads DVC would not verify.
"""

import logging
import re
import socket
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from fsspec.asyn import sync

from remote.clone import SECRET_OPTIONS, Clone, explained, opened
from runtime.command import run
from runtime.errors import RemoteError, RepositoryError, is_storage_failure
from runtime.repository import git, require_root
from runtime.wording import listed

log = logging.getLogger(__name__)

CONFIG = ".dvc/config"
# Always the same, so that one which could not be deleted is the only one.
PROBE = "retrain-remote-check"
_OPTION = rf"^[[:space:]]*({'|'.join(SECRET_OPTIONS)})[[:space:]]*="
_SECRET = r"AccountKey=[A-Za-z0-9+/]{20,}|[?&\"' ;]sig=[A-Za-z0-9%+/]{20,}"  # noqa: S105, a pattern


def require_no_secrets() -> None:
    """Refuse a key or a SAS in what is committed, or will be.

    Raises:
        RemoteError: there is one; it is not shown.
    """
    remedy = (
        "Take it out, put it into .dvc/config.local (`dvc remote modify --local`) or the environment, and have a new "
        "one made: whoever has a clone has the old one."
    )
    config = Path(CONFIG).read_text(encoding="utf-8") if Path(CONFIG).exists() else ""
    options = re.findall(_OPTION.replace("[[:space:]]", r"\s"), config, re.MULTILINE)
    if options:
        raise RemoteError(f"{CONFIG}, which git tracks, has a secret: {listed(sorted(set(options)))}. {remedy}")
    files = _files_with(_SECRET)
    if files:
        raise RemoteError(f"there is a key or a SAS in {listed(files)}, which git tracks or would. {remedy}")
    commit = git("log", "--all", "-1", "--format=%h", "-G", _OPTION, "--", CONFIG).strip()
    if commit:
        log.warning("remote-check: %s had a secret near commit %s: if it opens anything still, end it.", CONFIG, commit)


def _files_with(pattern: str) -> list[str]:
    done = subprocess.run(["git", "grep", "-lzIE", "--untracked", "-e", pattern], capture_output=True, encoding="utf-8")
    if done.returncode > 1:  # 1 says that there is none
        raise RepositoryError(f"`git grep` failed: {done.stderr.strip()}")
    return done.stdout.split("\0")[:-1]


def require_reachable(url: str) -> None:
    """Refuse a server that no connection can be made to; its client would try for a minute.

    Args:
        url: of the server.

    Raises:
        RemoteError: there is no such host, or it does not answer.
    """
    parts = urlsplit(url)
    if parts.scheme in urllib.request.getproxies():
        return  # the proxy makes the connection
    try:
        socket.create_connection((parts.hostname or "", parts.port or 443), timeout=10).close()
    except socket.gaierror:
        raise RemoteError(
            f"there is no host {parts.hostname}: the account's name is wrong (account_name, or the connection string), "
            "or this machine has no network."
        ) from None
    except OSError as error:
        raise RemoteError(f"{parts.hostname} port {parts.port or 443} does not answer: {error}.") from None


def require_credential(connection: str | None) -> None:
    """Refuse a connection string without a credential; an account's name alone is fine, there an identity may do.

    Raises:
        RemoteError: neither a key nor a SAS is in it.
    """
    if connection and not re.search(r"(AccountKey|SharedAccessSignature)=", connection):
        raise RemoteError(
            "no credential: neither AccountKey nor SharedAccessSignature is in the connection string. Copy it again "
            "(`az storage account show-connection-string`), or give account_name alone and an identity."
        )


def try_out(remote: Any) -> list[str]:
    """List, write and read back on the remote, and delete if that is allowed.

    Args:
        remote: DVC's.

    Returns:
        What could be done.

    Raises:
        RemoteError: something could not that a push or a pull needs.
    """
    client, path = remote.fs.fs, remote.fs.join(remote.path, PROBE)
    can_list = remote.fs.protocol == "azure"
    if can_list:
        _require(remote.name, "list", lambda: sync(client.loop, _first_blob, client.service_client, remote.path))
    _require_write_and_read(remote.name, client, path)
    can_delete = _try_to_delete(remote, path)
    return ["list"] * can_list + ["write", "read"] + ["delete"] * can_delete


def _require_write_and_read(name: str, client: Any, path: str) -> None:
    with TemporaryDirectory(prefix="retrain-check-") as folder:
        sent, received = Path(folder, "sent"), Path(folder, "received")
        sent.write_bytes(PROBE.encode())
        _require(name, "write", lambda: client.put_file(str(sent), path))
        _require(name, "read", lambda: client.get_file(path, str(received)))
        if received.read_bytes() != sent.read_bytes():
            raise RemoteError(f"the remote {name} gives back other bytes than were written to it.")


def _try_to_delete(remote: Any, path: str) -> bool:
    try:
        _require(remote.name, "delete", lambda: remote.fs.remove([path]))
    except RemoteError:
        log.warning("remote-check: the credential may not delete, so `make gc` cannot work, and %s stays there.", path)
        return False
    return True


async def _first_blob(service: Any, path: str) -> None:
    container, _, prefix = path.partition("/")
    async with service.get_container_client(container) as client:
        async for _ in client.list_blobs(name_starts_with=prefix):
            return


def _require(name: str, step: str, act: Callable[[], Any]) -> None:
    try:
        act()
    except Exception as error:
        if not is_storage_failure(error):
            raise
        raise RemoteError(f"the remote {name} does not let us {step}: {explained(error)}") from error


def _try(clone: Clone) -> None:
    clone.require_remote()
    name = clone.repo.config["core"]["remote"]
    config = clone.repo.config["remote"][name]
    if not config.get("verify"):
        raise RemoteError(
            f"plain DVC believes whatever the remote {name} sends: `dvc remote modify {name} verify true`, and commit."
        )
    remote = clone.repo.cloud.get_remote(name)
    if remote.fs.protocol == "azure":
        require_credential(remote.fs.fs_args.get("connection_string"))
        require_reachable(remote.fs.fs.service_client.primary_endpoint)
    done = try_out(remote)
    log.info("remote-check: %s (%s) lets us %s.", name, config["url"], ", ".join(done))


def main() -> None:
    """Run the command."""
    require_root()
    require_no_secrets()
    with opened() as clone:
        _try(clone)


if __name__ == "__main__":
    run(main)
