"""Pictures that users sent and people gave a sub-class: from the harvest to the library, a part of `make intake`.

What was forgotten is not in the harvest any more, and does not go on. A file's name begins with the hash of its sender,
where one is known, so that `merge.source_pattern` can read it.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from intake.harvest import PICTURES
from runtime.digest import md5_of_bytes
from runtime.errors import InputError
from runtime.outputs import whole
from stages.labels.decisions import Verdicts
from stages.labels.folders import DATA

_SENDER = re.compile(r"[0-9a-f]{12}")  # letters of a sender's hash that a name begins with
_FORMATS = {b"\xff\xd8\xff": "jpg", b"\x89PNG": "png", b"RIFF": "webp"}  # that a gateway keeps, by how they begin


class Brought(NamedTuple):
    """A picture that goes to the library.

    Attributes:
        image_id: of the picture.
        folder: where it goes, relative to data/.
        sender: begins its name; empty where nothing is known of who sent it.
    """

    image_id: str
    folder: str
    sender: str


def plan(
    rows: Iterable[Mapping[str, Any]], verdicts: Verdicts, folders: Collection[str], known: Collection[str]
) -> list[Brought]:
    """Say which pictures go where.

    Args:
        rows: what was harvested, `image_id` and `user_hash` of each.
        verdicts: what people decided.
        folders: the library's sub-classes that hold pictures.
        known: image_ids that data/ holds already.

    Returns:
        In the order of the image_ids, each once.
    """
    senders: dict[str, str] = {}
    for row in rows:
        image_id = row["image_id"]
        senders[image_id] = senders.get(image_id) or _sender(row["user_hash"])
    wanted = sorted(senders.keys() & verdicts.relabelled.keys() - verdicts.removed - set(known))
    chosen = [(image_id, verdicts.relabelled[image_id]) for image_id in wanted]
    return [Brought(each, f"library/{name}", senders[each]) for each, name in chosen if name in folders]


def _sender(user_hash: str | None) -> str:
    """Give what a file's name begins with; what a place holds instead of a hash must not say where the file goes."""
    found = _SENDER.match(user_hash or "")
    return found[0] if found else ""


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
        name = "_".join(filter(None, (each.sender, f"{each.image_id}.{kinds[0]}")))
        with whole(DATA / each.folder / name) as partial:
            partial.write_bytes(data)
