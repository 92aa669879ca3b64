"""Merge what two branches did to a folder under DVC, file by file: the driver that Git calls for `data/*.dvc`.

    python -m remote.merge ANCESTOR OURS THEIRS PATH

Written is the merged `.dvc` file, over OURS, and the list that it names into DVC's cache. `make pull` then brings the
pictures. DVC has a driver as well (`dvc git-hook merge-driver`); it needs every picture of both sides in the cache
before it can merge their lists, and fails where both sides removed the same picture.

For files that a run writes (`dvc.lock`, `data/scores/*`) there is nothing to merge: `--written` keeps ours, without
marks of a conflict, and says what to do.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from remote.clone import Clone, opened
from runtime.command import run
from runtime.errors import RepositoryError
from runtime.outputs import whole
from runtime.wording import listed

GUIDE = "docs/guide/merging.md"
EMPTY = "d751713988987e9331980363e24189ce.dir"  # the list of no files
# MD5 of each file by its path in the folder.
Listing = Mapping[str, str]


def merge_listings(ancestor: Listing, ours: Listing, theirs: Listing) -> dict[str, str]:
    """Merge two listings by what each changed: additions, removals and changes of different files go together.

    Args:
        ancestor: what both started from.
        ours: of the branch that is merged into.
        theirs: of the branch that is merged.

    Returns:
        The merged listing, in the order of the paths.

    Raises:
        RepositoryError: both changed the same file, each in another way.
    """
    merged, clashes = {}, []
    for path in sorted({*ancestor, *ours, *theirs}):
        before, mine, other = ancestor.get(path), ours.get(path), theirs.get(path)
        if mine not in (other, before) and other != before:
            clashes.append(path)
        kept = other if mine == before else mine
        if kept is not None:
            merged[path] = kept
    if clashes:
        raise RepositoryError(f"both branches changed {listed(clashes)}, each in another way")
    return merged


def merge_files(clone: Clone, ancestor: Path, ours: Path, theirs: Path) -> str:
    """Merge three `.dvc` files of one folder.

    Returns:
        The text of the merged one.

    Raises:
        RepositoryError: both changed the same file; a list is neither in the cache nor on the remote.
    """
    outs = [_out(path) for path in (ancestor, ours, theirs)]
    listings = [_listing(clone, str(out["md5"])) for out in outs]
    merged = merge_listings(*listings)
    content = json.dumps([{"md5": md5, "relpath": path} for path, md5 in _in_dvc_order(merged)])
    digest = _store(clone, content)
    described = {"md5": digest, "size": _size(outs, listings), "nfiles": len(merged)}
    out = {key: value for key, value in {**outs[1], **described}.items() if value is not None}
    return yaml.safe_dump({**yaml.safe_load(ours.read_text(encoding="utf-8")), "outs": [out]}, sort_keys=False)


def _out(file: Path) -> dict[str, Any]:
    try:
        out: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))["outs"][0]
    except TypeError:  # an empty file: only one branch has the folder
        return {"md5": EMPTY, "size": 0, "nfiles": 0}
    return out


def _listing(clone: Clone, digest: str) -> dict[str, str]:
    if digest == EMPTY:
        return {}
    content = clone.cache.read(digest)
    if content is None and clone.remote is not None:
        clone.cache.add(clone.remote, [digest])
        content = clone.cache.read(digest)
    if content is None:
        raise RepositoryError(
            f"the list {digest} is neither in this clone's cache nor on the remote: who made that commit has yet to "
            "`make push`"
        )
    return {entry["relpath"]: entry["md5"] for entry in json.loads(content)}


def _in_dvc_order(listing: Listing) -> list[tuple[str, str]]:
    return sorted(listing.items(), key=lambda entry: tuple(entry[0].split("/")))


def _store(clone: Clone, content: str) -> str:
    from dvc_data.hashfile.tree import Tree

    tree = Tree.from_list(json.loads(content), hash_name="md5")
    tree.digest()
    clone.repo.cache.local.add(tree.path, tree.fs, tree.oid)
    return str(tree.oid)


def _size(outs: list[dict[str, Any]], listings: list[dict[str, str]]) -> int | None:
    """Add up the bytes of the merged folder; None where the three sizes do not tell, since both did the same."""
    ancestor, ours, theirs = (set(listing.items()) for listing in listings)
    if (ours ^ ancestor) & (theirs ^ ancestor) or not all("size" in out for out in outs):
        return None
    return int(outs[1]["size"] + outs[2]["size"] - outs[0]["size"])


def main() -> None:
    """Run the command."""
    if sys.argv[1] == "--written":
        raise RepositoryError(
            f"both branches ran the pipeline, and each wrote {sys.argv[2]}. Ours stands there now, without marks. When "
            f"the other conflicts are solved: `make pull`, `make repro`, `git add --all`, `git commit`. See {GUIDE}."
        )
    ancestor, ours, theirs = map(Path, sys.argv[1:4])
    try:
        with opened() as clone:
            text = merge_files(clone, ancestor, ours, theirs)
    except RepositoryError as error:
        raise RepositoryError(f"{sys.argv[4]}: {error}. {GUIDE} says how to go on; nothing is lost.") from None
    with whole(ours) as partial:
        partial.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run(main)
