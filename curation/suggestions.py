"""What it would mean to believe the model about many pictures at once, and which of them it must not be believed of."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from curation.ledger import Ledger
from curation.snapshot import Snapshot
from runtime.wording import listed
from stages.tables.duplicates import DUPLICATES

MOST_NAMED = 5  # sub-classes that a sentence names


def suggested(snapshot: Snapshot, image_ids: Sequence[str]) -> dict[str, str]:
    """Give the sub-class that the model suggests for each picture, in their order.

    A picture of which it suggests none, or a class that there is no more, is left out.
    """
    best = snapshot.identified["class_1"].reindex(list(image_ids))
    found: dict[str, str | None] = {}
    for name, members in best.groupby(best, sort=False).groups.items():
        found |= dict(zip(members, snapshot.sub_classes_of(str(name), list(members)), strict=True))
    return {image_id: value for image_id in image_ids if (value := found.get(image_id))}


def resembling_benchmark(snapshot: Snapshot, ledger: Ledger, image_ids: Sequence[str]) -> set[str]:
    """Find those of the pictures that show the same as one of a benchmark, and that nobody called distinct from it."""
    images, pairs = snapshot.images, snapshot.tables[DUPLICATES]
    pairs = pairs[pairs["image_a"].isin(image_ids) | pairs["image_b"].isin(image_ids)]
    benchmark = set(images.index[images["set"] != "library"]) if len(pairs) else set()
    found = set()
    for a, b in zip(pairs["image_a"], pairs["image_b"], strict=True):
        if (a in benchmark) != (b in benchmark):
            said = ledger.answer(a, "pair", b)
            if said is None or said.decision != "distinct":
                found.add(b if a in benchmark else a)
    return found


def num_real(snapshot: Snapshot, ledger: Ledger) -> Counter[str]:
    """Count the real pictures of each class: those in use, and those that were accepted and wait for `make intake`."""
    images = snapshot.images
    used = images[(images["set"] == "library") & images["dropped"].isna() & (images["origin"] == "real")]
    counts = Counter(used["class_name"].dropna().tolist())
    for image_id in snapshot.identified.index:
        said = ledger.answer(image_id, "fate")
        if said is not None and said.decision == "relabel":
            counts[class_of(snapshot, said.value)] += 1
    return counts


def reaching(before: Mapping[str, int], added: Mapping[str, int], minimum: int) -> list[str]:
    """List the classes, sorted, that have fewer pictures than the cut-off and do not when some are added."""
    return sorted(
        name for name, number in added.items() if before.get(name, 0) < minimum <= before.get(name, 0) + number
    )


def class_of(snapshot: Snapshot, sub_class: str) -> str:
    """Name the class of a sub-class; one that there is not yet becomes a class of its own."""
    return snapshot.classes.class_names.get(sub_class, sub_class) or sub_class


def told(values: Iterable[str], snapshot: Snapshot) -> str:
    """Say which sub-classes pictures get, that of most first."""
    counts = sorted(Counter(values).items(), key=lambda each: (-each[1], each[0]))
    names = [name if name in snapshot.classes.class_names else f"{name} (a new sub-class)" for name, _ in counts]
    if len(counts) == 1:
        return f"labelled {names[0]}"
    each = [f"{number:,} {name}" for name, (_, number) in zip(names, counts, strict=True)]
    return f"labelled: {listed(each, most=MOST_NAMED)}"
