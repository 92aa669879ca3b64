"""What goes to a benchmark: which benchmarks there are, what stands against a picture, and who may look at which."""

from bisect import bisect
from collections.abc import Iterable
from itertools import chain

from curation.ledger import Ledger
from curation.naming import as_written
from curation.snapshot import Snapshot
from intake.nominations import NOMINATED
from runtime.errors import InputError
from stages.labels.decisions import Decision
from stages.labels.labelling import OUT_OF_SCOPE

BENCHMARKS = ("difficult", OUT_OF_SCOPE, "most_common", "least_common")  # offered even where they have no picture yet


def benchmarks(snapshot: Snapshot) -> list[str]:
    """List the benchmarks that a picture may be nominated for: the usual ones first."""
    found = set(snapshot.images["set"].dropna()) - {"library"}
    return [*BENCHMARKS, *sorted(found.difference(BENCHMARKS))]


def class_of_now(snapshot: Snapshot, name: str) -> str:
    """Find the class that was named, maybe by a sub-class or an old name of it.

    Raises:
        InputError: there is none of this name.
    """
    name = as_written(snapshot, name)
    found = snapshot.classes.of_benchmark(name)
    if found is None:
        raise InputError(f"there is no class {name!r} now. Nothing was written; choose one of the list.")
    return found


def nominators(ledger: Ledger, image_id: str) -> list[str]:
    """Name who nominated a picture for a benchmark."""
    return [person for person, said in ledger.nominated().get(image_id, {}).items() if said.said == NOMINATED]


def givers(ledger: Ledger, image_id: str) -> dict[str, Decision]:
    """Say who gave a picture a sub-class of the library, each by a decision."""
    return ledger.standing(image_id).get(((image_id, ""), "label"), {})


def may_look(snapshot: Snapshot, ledger: Ledger, image_id: str) -> bool:
    """Say whether the viewer can name a harvested picture blind: who judged, nominated or named it, cannot."""
    return (
        image_id in snapshot.harvested.of_picture
        and not snapshot.paths(image_id)
        and not ledger.has_judged(ledger.viewer, image_id)
        and ledger.viewer not in (*ledger.nominated().get(image_id, ()), *givers(ledger, image_id))
    )


def waiting(snapshot: Snapshot, ledger: Ledger) -> list[str]:
    """List the nominated pictures that wait for the viewer's second look, in the order of the image_ids."""
    nominated = ledger.nominations(snapshot.classes).waiting
    return [each for each in nominated if may_look(snapshot, ledger, each) and not givers(ledger, each)]


def others(snapshot: Snapshot, ledger: Ledger, nominated: Iterable[str]) -> set[str]:
    """Choose pictures that nobody nominated, among which nominated ones are shown: for each second one of these one.

    Which one follows from the image_ids, so that what was answered brings no further one.
    """
    known = ledger.nominations(snapshot.classes).image_ids
    pool = sorted(snapshot.harvested.of_picture.keys() - known)
    chosen = {pool[bisect(pool, each) % len(pool)] for each in nominated if pool and int(each, 16) % 2}
    return {each for each in chosen if may_look(snapshot, ledger, each)}


def for_both(snapshot: Snapshot, ledger: Ledger) -> dict[str, dict[str, Decision]]:
    """List the harvested pictures that are nominated and have a sub-class of the library: who gave it that.

    So it may be where two branches were merged.
    """
    settled = ledger.nominations(snapshot.classes)
    ids = sorted(chain(settled.agreed, settled.waiting, settled.disputes))
    here = (each for each in ids if each in snapshot.harvested.of_picture and not snapshot.paths(each))
    return {each: given for each in here if (given := givers(ledger, each))}
