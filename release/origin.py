"""What Git's remote `origin` says of promoted versions: two clones may promote the same number."""

import re

from runtime.errors import RepositoryError
from runtime.repository import git

PATTERN = "model-*"
TAG = re.compile(r"model-(\d{3})")


def tags_at_origin() -> dict[str, str]:
    """List the tags of promoted models at origin, with the object that each names; none where there is no origin.

    Raises:
        RepositoryError: origin cannot be asked.
    """
    if "origin" not in git("remote").split():
        return {}
    try:
        lines = git("ls-remote", "--tags", "--refs", "origin", PATTERN).splitlines()
    except RepositoryError as error:
        raise RepositoryError(
            f"origin cannot be asked which versions were promoted elsewhere, so this one may be taken there: {error}"
        ) from None
    tags = {name.removeprefix("refs/tags/"): oid for oid, name in (line.split("\t") for line in lines)}
    return {tag: oid for tag, oid in tags.items() if TAG.fullmatch(tag)}


def require_free(tag: str) -> None:
    """Refuse a version that another clone promoted.

    Raises:
        RepositoryError: origin has the tag, or cannot be asked.
    """
    if tag in tags_at_origin():
        raise RepositoryError(
            f"origin has the tag {tag} already: somebody promoted this version from another clone. `git fetch --tags` "
            f"brings it, `git show {tag}` says what it is. `git pull`, then `make next`, continues from that model; "
            "yours can then be promoted under the next version, after `make repro`."
        )


def require_same(tag: str) -> None:
    """Refuse a tag of this clone that is another object at origin.

    Raises:
        RepositoryError: origin has another model under this tag, or cannot be asked.
    """
    there = tags_at_origin()
    if there.get(tag, ours := git("rev-parse", tag).strip()) != ours:
        raise RepositoryError(
            f"{tag} is another model at origin than here: two clones promoted the same version. `git show {tag}` shows "
            f"this one; `git tag --delete {tag}` and `git fetch --tags` take the other's. The model that loses can be "
            "promoted under the next version."
        )


def require_newest(tag: str) -> None:
    """Refuse a tag that is older than what is promoted at origin, also where this clone has no tag of it.

    Raises:
        RepositoryError: origin has a later version, or cannot be asked.
    """
    if later := sorted(other for other in tags_at_origin() if other > tag):
        raise RepositoryError(
            f"origin has {later[-1]}, which is later than {tag}: `git pull --tags`, then `make pull`, continue from it."
        )
