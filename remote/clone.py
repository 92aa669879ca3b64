"""The clone's DVC repository, opened so that nothing which an interrupted command left behind is believed."""

import argparse
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from remote.diagnosis import causes, diagnosis
from remote.needed import Needed, needed
from remote.stores import Store
from runtime.errors import RemoteError, RetrainError, is_storage_failure
from runtime.repository import mend_cut_off_files, require_root

if TYPE_CHECKING:
    from dvc.repo import Repo

# Where DVC looks when its configuration does not say.
SECRET_VARIABLES = (
    "AZURE_STORAGE_CONNECTION_STRING",
    "AZURE_STORAGE_KEY",
    "AZURE_STORAGE_SAS_TOKEN",
    "AZURE_CLIENT_SECRET",
)
SECRET_OPTIONS = ("connection_string", "account_key", "sas_token", "client_secret", "password", "secret_access_key")
# A key in a connection string, a signature in a SAS.
_SECRET_WORDS = re.compile(r"(?i)((?:AccountKey|SharedAccessSignature|sig)=)[^;&\s'\"]+")


@dataclass(frozen=True)
class Clone:
    """An open clone.

    Attributes:
        repo: DVC's.
        cache: of this clone.
        remote: the default one; None when there is none.
    """

    repo: "Repo"
    cache: Store
    remote: Store | None

    def needed(self, commits: list[str], everything: bool = False, workspace: bool = True) -> Needed:
        """Collect what the workspace and commits need, as `remote.needed.needed` does."""
        return needed(self.repo, self.stores, commits, everything, workspace)

    @property
    def stores(self) -> list[Store]:
        """The cache, and the remote where there is one."""
        return [self.cache] if self.remote is None else [self.cache, self.remote]

    def require_remote(self) -> Store:
        """Give the remote.

        Raises:
            RemoteError: there is none.
        """
        if self.remote is None:
            raise RemoteError(
                "no DVC remote is configured. `dvc remote add --default NAME URL` adds one, docs/guide/remote.md has "
                "the whole path; `make remote-check` says whether it works."
            )
        return self.remote


@contextmanager
def opened() -> Iterator[Clone]:
    """Open the clone whose root is the working folder; what DVC or the remote's client raise inside becomes a message.

    A site cache of its own, gone when it ends, keeps out DVC's index of earlier commands: half written by one that was
    killed, it makes plain DVC skip objects and report success (docs/measurements/dvc-push.md).

    Raises:
        RemoteError: DVC or the remote's client failed; no secret of the configuration is in the words.
    """
    from dvc.repo import Repo

    require_root()
    mend_cut_off_files()
    logging.getLogger("azure").setLevel(logging.WARNING)  # it tells every request otherwise
    secrets = set(filter(None, map(os.environ.get, SECRET_VARIABLES)))
    try:
        with _own_site_cache(), Repo() as repo:
            secrets |= _secrets(repo.config)
            yield Clone(repo, Store(repo.cache.local, "the cache"), _remote(repo))
    except RetrainError as error:
        raise type(error)(masked(str(error), secrets)) from error
    except Exception as error:
        if not is_storage_failure(error):
            raise
        raise RemoteError(masked(explained(error), secrets)) from error


def masked(text: str, secrets: Collection[str]) -> str:
    """Take secrets out of a text.

    Args:
        text: for people.
        secrets: that are known; what looks like a key or a signature is taken out besides.
    """
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _SECRET_WORDS.sub(r"\1***", text)


def commits_wanted(description: str) -> list[str]:
    """Read the commits from the command line; none means the workspace alone."""
    parser = argparse.ArgumentParser(description=description)
    add_commits(parser)
    commits: str = parser.parse_args().commits
    return commits.split()


def add_commits(parser: argparse.ArgumentParser) -> None:
    """Give a command the option that says which commits besides the workspace are meant."""
    parser.add_argument("--commits", default="", help="tags, branches or commits besides the workspace, with spaces")


def _remote(repo: "Repo") -> Store | None:
    name = repo.config["core"].get("remote")
    return Store(repo.cloud.get_remote_odb(name), f"the remote {name}") if name else None


def _secrets(config: Mapping[str, Any]) -> set[str]:
    return {
        value
        for remote in config["remote"].values()
        for option, value in remote.items()
        if option in SECRET_OPTIONS and value
    }


def explained(error: BaseException) -> str:
    """Put an error of DVC or of a remote's client in words: what it means, if that is known, and its own."""
    messages: list[str] = []
    for cause in causes(error):
        words = str(cause).strip() or type(cause).__name__
        if hasattr(cause, "error_code"):
            words = words.split("\n")[0]  # the rest is for the service's own people
        if not any(words in before for before in messages):
            messages.append(words)
    meaning = diagnosis(error)
    own = ": ".join(messages)
    end = "" if meaning and meaning.endswith("?") else "."
    return f"{meaning}{end}\n({own})" if meaning else own


@contextmanager
def telling(how_far: str) -> Iterator[None]:
    """Say how far a command came, where the block fails because a remote went away.

    Args:
        how_far: in sentences.

    Raises:
        RemoteError: the remote failed.
    """
    try:
        yield
    except Exception as error:
        if not is_storage_failure(error):
            raise
        raise RemoteError(f"{explained(error)}\n{how_far}") from error


@contextmanager
def _own_site_cache() -> Iterator[None]:
    before = os.environ.get("DVC_SITE_CACHE_DIR")
    with TemporaryDirectory(prefix="retrain-site-") as folder:
        os.environ["DVC_SITE_CACHE_DIR"] = folder
        try:
            yield
        finally:
            if before is None:
                del os.environ["DVC_SITE_CACHE_DIR"]
            else:
                os.environ["DVC_SITE_CACHE_DIR"] = before
