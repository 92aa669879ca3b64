"""classes.yaml: which sub-classes merge into which class, which are staged, synthetic or unknown, and old names.

    merge:
      seven: [seven, seven_crossed]
    origin:
      staged: [four_staged]
      synthetic: [four_synthetic]
      unknown: [unknown_digit]
    was:
      seven_crossed: [seven_with_bar]

`was` says what a folder was called before: decisions and benchmarks that have the old name are then about this folder,
and so are the classes of a base that was trained before.

A folder that it does not name is a real class of its own, so an empty file will do.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from runtime.errors import InstructionError
from runtime.regular_files import read_small
from stages.labels.names import composed

PATH = "data/classes.yaml"
ORIGINS = ("real", "staged", "synthetic", "unknown")
# Tens of thousands of sub-classes; a larger file takes PyYAML minutes.
MAX_BYTES = 4 * 2**20
HEADINGS = ("merge", "origin", "was")


@dataclass(frozen=True)
class Classes:
    """What each sub-class is.

    Attributes:
        class_names: sub-class to the class it belongs to, None where the origin is unknown; every sub-class is a key.
        origins: sub-class to its origin; every sub-class is a key.
        renamed: old name to the sub-class that has it no more.
    """

    class_names: dict[str, str | None]
    origins: dict[str, str]
    renamed: dict[str, str] = field(default_factory=dict)

    def of_benchmark(self, folder: str) -> str | None:
        """Name the class of a benchmark's folder, which has the name of a class or a sub-class; None if of neither."""
        if folder in self.class_names.values():
            return folder
        return self.class_names.get(self.name_of_folder(folder))

    def name_of_folder(self, folder: str) -> str:
        """Name the sub-class or class of a folder that may have an old name, as a benchmark's may."""
        return folder if folder in self.class_names.values() else self.renamed.get(folder, folder)

    def old_names(self, sub_class: str) -> str | None:
        """Join the names that a sub-class had before, sorted, with / between them; None if it had none."""
        return "/".join(sorted(old for old, now in self.renamed.items() if now == sub_class)) or None


def read_classes(path: str | Path, sub_classes: Collection[str], empty: Collection[str] = ()) -> Classes:
    """Read classes.yaml against the folders that there are.

    Args:
        path: of the file.
        sub_classes: names of the library's folders that hold pictures.
        empty: names of those that hold none, for the message.

    Raises:
        InstructionError: the file is absent or no YAML, names a folder that does not exist or one twice, merges into a
            class that has the name of a folder outside it, a class has no name that a folder could have, or an old
            name is that of a folder.
    """
    try:
        text = read_small(path, MAX_BYTES, "an empty file will do.", InstructionError).decode()
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except RecursionError:
        raise InstructionError(f"{path} is nested deeper than headings, names and lists of names are.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InstructionError(f"{path} is not YAML: {error}") from None
    headed = _headed(path, root)
    renamed = _renamed(path, headed["was"], sub_classes, empty)
    merged: dict[str, str] = {}
    origins: dict[str, str] = {}
    for key, names in headed["merge"]:
        for name in names:
            _add(path, name, key.value, merged, sub_classes, empty, renamed)
    for key, names in headed["origin"]:
        if key.value not in ORIGINS[1:]:
            raise _fault(path, key, f"expected staged, synthetic or unknown, got {key.value!r}")
        for name in names:
            _add(path, name, key.value, origins, sub_classes, empty, renamed)
    _refuse_namesakes(path, merged, sub_classes)
    for class_name in sorted({*sub_classes, *merged.values()}):
        if not _is_name(class_name):
            raise InstructionError(f"{path}: {class_name!r} is no name for a class. Rename the class, or its folder.")
    return Classes(
        {name: None if origins.get(name) == "unknown" else merged.get(name, name) for name in sorted(sub_classes)},
        {name: origins.get(name, "real") for name in sorted(sub_classes)},
        renamed,
    )


def _headed(path: str | Path, root: yaml.Node | None) -> dict[str, list[tuple[yaml.ScalarNode, list[yaml.ScalarNode]]]]:
    """The entries under each heading: a name, and the names that are listed for it."""
    headed: dict[str, list[tuple[yaml.ScalarNode, list[yaml.ScalarNode]]]] = {heading: [] for heading in HEADINGS}
    for heading, entries in _entries(path, root):
        if heading.value not in HEADINGS:
            raise _fault(path, heading, f"expected the heading merge, origin or was, got {heading.value!r}")
        headed[heading.value] = [(key, _names(path, names)) for key, names in _entries(path, entries)]
    return headed


def _renamed(
    path: str | Path,
    entries: list[tuple[yaml.ScalarNode, list[yaml.ScalarNode]]],
    sub_classes: Collection[str],
    empty: Collection[str],
) -> dict[str, str]:
    """Old name to the sub-class's name now."""
    renamed: dict[str, str] = {}
    for key, names in entries:
        for name in names:
            _require_old_name(path, name, key.value, sub_classes)
            if name.value in renamed:
                other = renamed[name.value]
                raise _fault(path, name, f"{name.value} is an old name of {other} already. It can be of one only")
            renamed[name.value] = key.value
    for key, _ in entries:
        if key.value in renamed:
            now = renamed[key.value]
            message = f"{key.value} is itself an old name, of {now}. Write all old names in the list of the last one"
            raise _fault(path, key, message)
        _require_folder(path, key, sub_classes, empty)
    return renamed


def _require_old_name(path: str | Path, name: yaml.ScalarNode, now: str, sub_classes: Collection[str]) -> None:
    if name.value in sub_classes:
        message = (
            f"data/library/{name.value} is still there, so it is no old name of {now}. "
            "Take the name out of the list, or move the folder's pictures"
        )
        raise _fault(path, name, message)
    if not _is_name(name.value):
        raise _fault(path, name, f"{name.value!r} was no folder's name. Take it out of the list")


def _is_name(name: str) -> bool:
    return bool(name.strip()) and name not in (".", "..") and "/" not in name and not re.search(r"[\x00-\x1f]", name)


def _add(
    path: str | Path,
    name: yaml.Node,
    value: str,
    known: dict[str, str],
    sub_classes: Collection[str],
    empty: Collection[str],
    renamed: dict[str, str],
) -> None:
    if name.value in renamed:
        raise _fault(path, name, f"{name.value} is an old name of {renamed[name.value]}. Write the new name")
    _require_folder(path, name, sub_classes, empty)
    if name.value in known:
        raise _fault(path, name, f"{name.value} is named under {known[name.value]} already. It can be in one only")
    known[name.value] = value


def _require_folder(path: str | Path, name: yaml.Node, sub_classes: Collection[str], empty: Collection[str]) -> None:
    if name.value in empty:
        raise _fault(
            path, name, f"data/library/{name.value} is empty. Put pictures there, or take the name out of the file"
        )
    if name.value not in sub_classes:
        raise _fault(
            path, name, f"there is no folder data/library/{name.value}. Correct the name, or take it out of the file"
        )


def _refuse_namesakes(path: str | Path, merged: dict[str, str], sub_classes: Collection[str]) -> None:
    for class_name in sorted(set(merged.values())):
        if class_name in sub_classes and merged.get(class_name) != class_name:
            raise InstructionError(
                f"{path}: the class {class_name} has the name of a folder that does not belong to it. "
                f"Add {class_name} to its list, or choose another name for the class."
            )


def _entries(path: str | Path, node: yaml.Node | None) -> Iterator[tuple[yaml.ScalarNode, yaml.Node]]:
    if node is None or (isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"):
        return
    if not isinstance(node, yaml.MappingNode):
        raise _fault(path, node, "expected `name: ...` entries")
    seen = set()
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise _fault(path, key, "expected a name before the colon")
        key.value = composed(key.value)
        if key.value in seen:
            raise _fault(path, key, f"{key.value} appears here a second time")
        seen.add(key.value)
        yield key, value


def _names(path: str | Path, node: yaml.Node) -> list[yaml.ScalarNode]:
    if isinstance(node, yaml.SequenceNode) and all(isinstance(item, yaml.ScalarNode) for item in node.value):
        for name in node.value:
            name.value = composed(name.value)
        return list(node.value)
    if isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null":
        return []
    raise _fault(path, node, "expected a list of sub-classes such as [seven, seven_crossed]")


def _fault(path: str | Path, node: yaml.Node, message: str) -> InstructionError:
    return InstructionError(f"{path}, line {node.start_mark.line + 1}: {message}.")
