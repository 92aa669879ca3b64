"""classes.yaml: which sub-classes merge into which class, and which are staged, synthetic or unknown.

    merge:
      seven: [seven, seven_crossed]
    origin:
      staged: [four_staged]
      synthetic: [four_synthetic]
      unknown: [unknown_digit]

A folder that it does not name is a real class of its own, so an empty file will do.
"""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import yaml

from runtime.errors import InstructionError
from stages.labels.folders import composed

PATH = "data/classes.yaml"
ORIGINS = ("real", "staged", "synthetic", "unknown")


@dataclass(frozen=True)
class Classes:
    """What each sub-class is.

    Attributes:
        class_names: sub-class to the class it belongs to, None where the origin is unknown; every sub-class is a key.
        origins: sub-class to its origin; every sub-class is a key.
    """

    class_names: dict[str, str | None]
    origins: dict[str, str]

    def of_benchmark(self, folder: str) -> str | None:
        """Name the class of a benchmark's folder, which has the name of a class or a sub-class; None if of neither."""
        if folder in self.class_names.values():
            return folder
        return self.class_names.get(folder)


def read_classes(path: str | Path, sub_classes: Collection[str], empty: Collection[str] = ()) -> Classes:
    """Read classes.yaml against the folders that there are.

    Args:
        path: of the file.
        sub_classes: names of the library's folders that hold pictures.
        empty: names of those that hold none, for the message.

    Raises:
        InstructionError: the file is absent or no YAML, names a folder that does not exist or one twice, merges into a
            class that has the name of a folder outside it, or a class has no name that a folder could have.
    """
    try:
        root = yaml.compose(Path(path).read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except FileNotFoundError:
        raise InstructionError(f"{path} is not there; an empty file will do.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InstructionError(f"{path} is not YAML: {error}") from None
    merged: dict[str, str] = {}
    origins: dict[str, str] = {}
    for heading, headed in _entries(path, root):
        if heading.value not in ("merge", "origin"):
            raise _fault(path, heading, f"expected the heading merge or origin, got {heading.value!r}")
        known = merged if heading.value == "merge" else origins
        for key, names in _entries(path, headed):
            if known is origins and key.value not in ORIGINS[1:]:
                raise _fault(path, key, f"expected staged, synthetic or unknown, got {key.value!r}")
            for name in _names(path, names):
                _add(path, name, key.value, known, sub_classes, empty)
    _refuse_namesakes(path, merged, sub_classes)
    for class_name in sorted({*sub_classes, *merged.values()}):
        if not _is_name(class_name):
            raise InstructionError(f"{path}: {class_name!r} is no name for a class. Rename the class, or its folder.")
    return Classes(
        {name: None if origins.get(name) == "unknown" else merged.get(name, name) for name in sorted(sub_classes)},
        {name: origins.get(name, "real") for name in sorted(sub_classes)},
    )


def _is_name(name: str) -> bool:
    return bool(name.strip()) and name not in (".", "..") and "/" not in name and not re.search(r"[\x00-\x1f]", name)


def _add(
    path: str | Path,
    name: yaml.Node,
    value: str,
    known: dict[str, str],
    sub_classes: Collection[str],
    empty: Collection[str],
) -> None:
    if name.value in empty:
        raise _fault(
            path, name, f"data/library/{name.value} is empty. Put pictures there, or take the name out of the file"
        )
    if name.value not in sub_classes:
        raise _fault(
            path, name, f"there is no folder data/library/{name.value}. Correct the name, or take it out of the file"
        )
    if name.value in known:
        raise _fault(path, name, f"{name.value} is named under {known[name.value]} already. It can be in one only")
    known[name.value] = value


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
