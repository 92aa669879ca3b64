"""Pictures that users sent: from the harvest to the library or to a benchmark, a part of `make intake`.

To the library goes what people gave a sub-class, to a benchmark what somebody nominated and others, who looked without
knowing, called the same; never to both. What was forgotten is not in the harvest any more, and does not go on. A file's
name begins with the hash of its sender, where one is known, so that `merge.source_pattern` can read it.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from intake.harvest import PICTURES
from intake.new_folder import can_be_folder
from intake.nominations import Nomination, Settled
from runtime.digest import md5_of_bytes
from runtime.errors import InputError
from runtime.outputs import whole
from stages.labels.classes import Classes
from stages.labels.decisions import Verdicts
from stages.labels.folders import DATA
from stages.labels.labelling import OUT_OF_SCOPE

SOURCE_PATTERN = r"library/[^/]+/([0-9a-f]{12})_[0-9a-f]{32}[.]"  # for merge.source_pattern: of `bring` alone
_SENDER = re.compile(r"[0-9a-f]{12}")  # letters of a sender's hash that a name begins with
_FORMATS = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp"}  # that a gateway keeps, by how they begin


class Brought(NamedTuple):
    """A picture that goes to the library or to a benchmark.

    Attributes:
        image_id: of the picture.
        folder: where it goes, relative to data/.
        sender: begins its name; empty where nothing is known of who sent it.
    """

    image_id: str
    folder: str
    sender: str


def senders_of(rows: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """Say of each harvested picture what its file's name begins with.

    Args:
        rows: what was harvested, `image_id` and `user_hash` of each.
    """
    senders: dict[str, str] = {}
    for row in rows:
        image_id = row["image_id"]
        senders[image_id] = senders.get(image_id) or _sender(row["user_hash"])
    return senders


def plan(
    senders: Mapping[str, str], verdicts: Verdicts, folders: Collection[str], left_out: Collection[str]
) -> list[Brought]:
    """Say which pictures go where in the library.

    Args:
        senders: from `senders_of`.
        verdicts: what people decided.
        folders: the library's sub-classes that hold pictures.
        left_out: image_ids that data/ holds already, or that are nominated for a benchmark.

    Returns:
        In the order of the image_ids, each once.
    """
    wanted = sorted(senders.keys() & for_library(verdicts) - set(left_out))
    chosen = [(image_id, verdicts.relabelled[image_id]) for image_id in wanted]
    return [Brought(each, f"library/{name}", senders[each]) for each, name in chosen if name in folders]


def plan_benchmarks(
    senders: Mapping[str, str], settled: Settled, verdicts: Verdicts, classes: Classes, known: Collection[str]
) -> list[Brought]:
    """Say which pictures go where in the benchmarks.

    Args:
        senders: from `senders_of`.
        settled: what people nominated.
        verdicts: what people decided: what has a sub-class or was removed goes to no benchmark.
        classes: what each sub-class is. A picture of a class that there is no more goes nowhere.
        known: image_ids that data/ holds already.

    Returns:
        In the order of the image_ids, each once.
    """
    wanted = sorted(senders.keys() & settled.agreed.keys() - verdicts.relabelled.keys() - verdicts.removed - set(known))
    folders = ((each, _folder(settled.agreed[each], classes)) for each in wanted)
    return [Brought(each, f"benchmarks/{folder}", senders[each]) for each, folder in folders if folder is not None]


def for_library(verdicts: Verdicts) -> set[str]:
    """List the pictures that have a sub-class by a decision, and were not removed."""
    return verdicts.relabelled.keys() - verdicts.removed


def _folder(nomination: Nomination, classes: Classes) -> str | None:
    """Name the folder of a nominated picture, relative to data/benchmarks; None where its class can have none."""
    if nomination.benchmark == OUT_OF_SCOPE:
        return OUT_OF_SCOPE
    class_name = classes.of_benchmark(nomination.value)
    return f"{nomination.benchmark}/{class_name}" if class_name and can_be_folder(class_name) else None


def _sender(user_hash: str | None) -> str:
    """Give what a file's name begins with; what a place holds instead of a hash must not say where the file goes."""
    found = _SENDER.match(user_hash or "")
    return found[0] if found else ""


def have_sources(pictures: Iterable[Brought], pattern: str | None) -> bool:
    """Say whether all pictures whose sender is known have it as their source.

    Args:
        pictures: that are brought to the library.
        pattern: `merge.source_pattern`.
    """
    names = (f"{each.folder}/{_name(each, 'jpg')}" for each in pictures if each.sender)
    return all(pattern is not None and re.search(pattern, name) for name in names)


def bring(pictures: Iterable[Brought]) -> None:
    """Copy pictures to where they go.

    Raises:
        InputError: one is not what was harvested.
    """
    for each in pictures:
        data = (PICTURES / each.image_id).read_bytes()
        kinds = [kind for begin, kind in _FORMATS.items() if data.startswith(begin)]
        if not kinds or md5_of_bytes(data) != each.image_id:
            raise InputError(
                f"{PICTURES / each.image_id} is not the picture that was fetched. Delete it; `make harvest`."
            )
        with whole(DATA / each.folder / _name(each, kinds[0])) as partial:
            partial.write_bytes(data)


def _name(picture: Brought, kind: str) -> str:
    return "_".join(filter(None, (picture.sender, f"{picture.image_id}.{kind}")))
