"""What a typed name means: a class or sub-class that there is, or a new one."""

from collections.abc import Sequence

from curation.snapshot import Snapshot
from intake.new_folder import can_be_folder
from runtime.errors import InputError
from stages.labels.names import composed


def as_written(snapshot: Snapshot, typed: str) -> str:
    """Read a typed name: spaces around it count only where a class or sub-class has them."""
    name, classes = composed(typed), snapshot.classes
    known = (classes.class_names, classes.renamed, snapshot.sub_classes, snapshot.class_names)
    return name if any(name in names for names in known) else name.strip()


def known_sub_class(snapshot: Snapshot, typed: str, image_id: str) -> str:
    """Find the sub-class that somebody typed, maybe by its class or by an old name.

    Raises:
        InputError: there is none of this name.
    """
    name = _name_now(snapshot, typed)
    if name in snapshot.classes.class_names:
        return name
    if name in snapshot.sub_classes:
        return snapshot.sub_class_for(name, image_id)
    raise InputError(f"there is no sub-class {name!r}. Choose one of the list.")


def sub_class_named(snapshot: Snapshot, typed: str, image_id: str) -> str:
    """Find the sub-class that somebody typed; a name that there is not yet becomes a new one.

    Raises:
        InputError: the name cannot be a folder's.
    """
    name = _name_now(snapshot, typed)
    if name in snapshot.classes.class_names or name in snapshot.sub_classes:
        return known_sub_class(snapshot, name, image_id)
    if not can_be_folder(name):
        raise InputError(
            f"{name!r} cannot be the name of a new sub-class: it becomes a folder. Use letters, digits and _."
        )
    return name


def sub_classes_named(snapshot: Snapshot, typed: str, ids: Sequence[str]) -> dict[str, str]:
    """Give pictures the sub-class or class that somebody typed; a name that there is not yet becomes a sub-class.

    Raises:
        InputError: the name cannot be a folder's.
    """
    name = _name_now(snapshot, typed)
    if name in snapshot.sub_classes and name not in snapshot.classes.class_names:
        chosen = zip(ids, snapshot.sub_classes_of(name, ids), strict=True)
        return {image_id: value for image_id, value in chosen if value}
    return dict.fromkeys(ids, sub_class_named(snapshot, name, ids[0]))


def _name_now(snapshot: Snapshot, typed: str) -> str:
    return snapshot.classes.name_of_folder(as_written(snapshot, typed))
