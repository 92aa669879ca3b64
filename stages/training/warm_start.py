"""What a new model takes over: from the base by class name, or from a file of weights at the very first start."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import keras

from runtime import parameters
from runtime.digest import sha256_of_file
from runtime.errors import BaseError, InputError
from stages.labels.names import composed
from stages.models import determinism, files, networks
from stages.models.base import BASE_MODEL, has_base
from stages.models.description import Origin, read_description, require_same
from stages.models.files import TrainedModel
from stages.tables.model import WEIGHTS

How = Literal["kept", "renamed", "merged", "split", "new"]


@dataclass(frozen=True)
class CarriedRow:
    """What a class's row of the output layer begins with.

    Attributes:
        class_name: of the new model.
        how: kept: the row of the base's class of that name; renamed: of one class under another name; merged: the mean
            of several classes' rows; split: a copy of a row that other classes copy too; new: drawn at random.
        base_classes: whose rows it is made of, sorted.
    """

    class_name: str
    how: How
    base_classes: tuple[str, ...]


def start(
    params: parameters.Train,
    size: int,
    num_classes: int,
    base: TrainedModel | None = None,
    rows: Sequence[CarriedRow] = (),
) -> keras.Model:
    """Build the network with the weights that training starts from: the base's, a file's, or drawn at random.

    Args:
        params: of the section `train`.
        size: side of the pictures in pixels.
        num_classes: of the network.
        base: None without a base.
        rows: from `carried_rows`, in the order of the scores; not needed without a base.

    Raises:
        InputError: the file of weights is absent, or holds another network's.
    """
    determinism.enable(params.seed, params.deterministic)
    network = networks.build(params.network, size, num_classes)
    if base is not None:
        carry_over(network, base, rows, params.shrink, params.perturb)
    elif params.weights is not None:
        load_weights(network, Path(params.weights))
    return network


def origins(params: parameters.Train, base: TrainedModel | None) -> list[Origin]:
    """List the weights that training starts from, and what these began with; empty if they are drawn at random.

    Args:
        params: of the section `train`.
        base: None without a base.
    """
    if base is not None:
        weights = Origin(path=f"{BASE_MODEL}/{WEIGHTS}", weights_sha256=base.description.weights_sha256)
        return [weights, *base.description.began_with]
    if params.weights is not None:
        return [Origin(path=params.weights, weights_sha256=sha256_of_file(Path(params.weights)))]
    return []


def load_base(network: str, size: int) -> TrainedModel | None:
    """Load the base's model, after checking that training can start from it.

    Args:
        network: that is to be trained.
        size: side of its pictures in pixels.

    Returns:
        None without a base.

    Raises:
        BaseError: the base is not whole, is another network, takes another size, or its checksum does not hold.
    """
    if not has_base():
        return None
    folder = Path(BASE_MODEL)
    require_same(read_description(folder, BaseError), network, size)
    return files.load(folder, BaseError)


def carried_rows(
    sub_classes: Mapping[str, Collection[str]],
    base_sub_classes: Mapping[str, Collection[str]],
    head: Literal["carry", "new"],
) -> list[CarriedRow]:
    """Say what each class's row of the output layer begins with.

    A class is made of the base's classes that have any of its sub-classes; if there is none, of the one with its name.
    Names are compared in one form of Unicode: a base that was trained from a folder of macOS has them in another.

    Args:
        sub_classes: of each class, their old names too, in the order of the scores.
        base_sub_classes: the same of the base.
        head: carry: as above; new: every row is drawn at random.

    Returns:
        One row per class, in the order of `sub_classes`.
    """
    if head == "new":
        return [CarriedRow(name, "new", ()) for name in sub_classes]
    sources = {name: _sources(name, names, base_sub_classes) for name, names in sub_classes.items()}
    uses = Counter(source for names in sources.values() for source in names)
    return [CarriedRow(name, _how(name, names, uses), tuple(names)) for name, names in sources.items()]


def carry_over(
    network: keras.Model,
    base: TrainedModel,
    rows: Sequence[CarriedRow],
    shrink: float = 1.0,
    perturb: float = 0.0,
) -> None:
    """Give `network` every weight of the base except the output layer's, and of that layer the carried rows.

    Args:
        network: drawn at random; its weights are overwritten.
        base: the same network, trained.
        rows: from `carried_rows`, in the order of the network's scores.
        shrink: by how much the base's trainable weights are multiplied.
        perturb: by how much the weights drawn at random are multiplied before they are added.

    Source: Ash and Adams 2020, "On Warm-Starting Neural Network Training", arXiv 1910.08475, section 5: the noise is
    `perturb` times weights as they are drawn at the start, all trainable ones alike. The running averages of
    BatchNormalization stay the base's.
    """
    body, base_body = network.get_layer("body"), base.network.get_layer("body")
    for variable, trained in zip(body.weights, base_body.weights, strict=True):
        values = keras.ops.convert_to_numpy(trained)
        if variable.trainable:
            values = shrink * values + perturb * keras.ops.convert_to_numpy(variable)
        variable.assign(values)
    output, base_output = network.get_layer("scores"), base.network.get_layer("scores")
    kernel, bias = output.get_weights()
    base_kernel, base_bias = base_output.get_weights()
    for number, row in enumerate(rows):
        if parts := [base.class_names.index(name) for name in row.base_classes]:
            kernel[:, number] = shrink * base_kernel[:, parts].mean(axis=1) + perturb * kernel[:, number]
            bias[number] = shrink * base_bias[parts].mean() + perturb * bias[number]
    output.set_weights([kernel, bias])


def describe(rows: Sequence[CarriedRow]) -> str:
    """Say in one line what was carried over; classes that were kept are only counted."""
    by_how = {how: [row for row in rows if row.how == how] for how in get_args(How)}
    sentences = [f"{len(by_how['kept'])} of {len(rows)} classes kept"]
    for how in ("renamed", "merged", "split"):
        sentences += [f"{row.class_name} {how} from {' + '.join(row.base_classes)}" for row in by_how[how]]
    if by_how["new"]:
        sentences.append(f"new: {', '.join(row.class_name for row in by_how['new'])}")
    return "; ".join(sentences)


def _sources(name: str, sub_classes: Collection[str], base_sub_classes: Mapping[str, Collection[str]]) -> list[str]:
    ours = set(map(composed, sub_classes))
    sharing = sorted(base for base, theirs in base_sub_classes.items() if ours & set(map(composed, theirs)))
    return sharing or sorted(base for base in base_sub_classes if composed(base) == composed(name))


def _how(name: str, sources: list[str], uses: Mapping[str, int]) -> How:
    if not sources:
        return "new"
    if len(sources) > 1:
        return "merged"
    if uses[sources[0]] > 1:
        return "split"
    return "kept" if composed(sources[0]) == composed(name) else "renamed"


def load_weights(network: keras.Model, path: Path) -> None:
    """Read every weight but the output layer from a file.

    Args:
        network: drawn at random; its weights are overwritten.
        path: of a `.weights.h5` of one of our models, of its body, or of the network of `keras.applications` that the
            body is made of.

    Raises:
        InputError: the file is absent, or holds another network's weights.
    """
    if not path.is_file():
        raise InputError(f"params.yaml: train.weights: {path} is not there. Put the file there, or set it to null.")
    body = network.get_layer("body")
    whole = keras.Model(network.input, network.output["embedding"])
    parts = [whole, body, *(layer for layer in body.layers if isinstance(layer, keras.Model))]
    if any(files.fits(part, path) for part in parts):
        return
    raise InputError(
        f"params.yaml: train.weights: {path} does not hold the weights of {network.name}; expected a .weights.h5 that "
        f"was saved from that network. Set train.network to the network it is of, or train.weights to null."
    )
