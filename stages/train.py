"""Train the model: from the base when there is one, else from scratch.

A warm start keeps every weight but the output layer's, and of that the rows that its classes can be made of. The
weights of the epoch with the lowest validation loss are kept. An interrupted run, started again, goes on after its last
checkpoint and ends with the same bytes. The sample takes about a minute on two cores and reaches 0.97 top-1 accuracy
and more.

Reads: data/shards/, data/splits.parquet, data/images.parquet, data/base/ (model)
Writes: data/model/ (model.weights.h5, model.json, classes.json, lineage.parquet: image_id, group, members, phash,
    carried.csv: class_name, how, base_classes, what each row of the output layer began with;
    history.csv: epoch, loss, accuracy, val_loss, val_accuracy, learning_rate); progress in dvclive/, which git ignores
Params: picture, train
"""

import logging
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import keras
import pandas as pd
from dvclive import Live

from runtime import parameters
from runtime.command import run
from runtime.outputs import whole
from stages.models import determinism, files, networks
from stages.models.base import BASE_LINEAGE
from stages.shards.batches import Pictures
from stages.shards.decoded import DecodedPictures
from stages.shards.tars import ShardReader
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.model import CARRIED, CARRIED_COLUMNS, HISTORY
from stages.tables.model import FOLDER as MODEL
from stages.tables.shards import FOLDER as SHARDS
from stages.tables.shards import INDEX
from stages.tables.splits import SPLITS
from stages.training import warm_start
from stages.training.checkpoints import Checkpoints
from stages.training.devices import together
from stages.training.exhaustion import exhaustion_explained
from stages.training.fit import fit
from stages.training.session import labelled, recipe, run_digest

log = logging.getLogger(__name__)

NUM_LINES = 10  # of epochs in the log; history.csv has all of them


def lineage(images: pd.DataFrame, trained: Sequence[str], ancestors: pd.DataFrame | None) -> pd.DataFrame:
    """List every picture that this model or an ancestor was trained on.

    Args:
        images: columns `image_id`, `group`, `phash`, of every file, dropped ones too.
        trained: image_ids that this model is trained on.
        ancestors: the base's lineage, None without a base.

    Returns:
        Columns `image_id`, `group`, `members`, `phash`, a row a picture. Of one that both know, the group is today's
        and the members are those of then and of now.
    """
    members = images.groupby("group")["image_id"].agg(set)
    ours = images.drop_duplicates("image_id").set_index("image_id").loc[list(trained)].reset_index()
    rows = ours.assign(members=ours["group"].map(members))[["image_id", "group", "members", "phash"]]
    if ancestors is not None:
        rows = pd.concat([rows, ancestors])
    united = rows.groupby("image_id")["members"].agg(lambda each: sorted(set().union(*each)))
    return rows.drop_duplicates("image_id").set_index("image_id").assign(members=united).reset_index()


def sub_classes(images: pd.DataFrame, class_names: Sequence[str]) -> dict[str, list[str]]:
    """List the library's sub-classes of each class, sorted; columns `set`, `class_name`, `sub_class`."""
    library = images[images["set"] == "library"].dropna(subset=["class_name", "sub_class"])
    held = library.groupby("class_name")["sub_class"].agg(lambda names: sorted(set(names)))
    return {name: held.get(name, []) for name in class_names}


def start(
    params: parameters.Train, size: int, held: Mapping[str, Sequence[str]], base: files.TrainedModel | None
) -> tuple[keras.Model, list[warm_start.CarriedRow]]:
    """Build the network with the weights that training starts from: the base's, a file's, or drawn at random.

    Args:
        params: of the section `train`.
        size: side of the pictures in pixels.
        held: the sub-classes of each class, in the order of the scores.
        base: None without a base.

    Returns:
        The network, and what each row of its output layer begins with.
    """
    determinism.enable(params.seed)
    network = networks.build(params.network, size, len(held))
    known = {} if base is None else base.description.sub_classes
    rows = warm_start.carried_rows(held, known, params.head)
    if base is not None:
        warm_start.carry_over(network, base, rows, params.shrink, params.perturb)
        log.info("warm start from the base: %s", warm_start.describe(rows))
    elif params.weights is not None:
        warm_start.load_weights(network, Path(params.weights))
    return network, rows


def reported(rows: Iterator[dict[str, float]], num_epochs: int) -> pd.DataFrame:
    """Log each epoch as it ends, for `dvclive/` and for the terminal.

    Args:
        rows: of the history, from `fit`.
        num_epochs: how many there will be.

    Returns:
        Columns `epoch`, `loss`, `accuracy`, `val_loss`, `val_accuracy`, `learning_rate`, a row an epoch.
    """
    history = []
    with Live(dir="dvclive", save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False) as live:
        for row in rows:
            for name in sorted(row.keys() - {"epoch"}):
                live.log_metric(name, row[name])
            live.next_step()
            if row["epoch"] == num_epochs or row["epoch"] % math.ceil(num_epochs / NUM_LINES) == 0:
                log.info(
                    "train: epoch %(epoch)d: loss %(loss).4f, validation %(val_loss).4f, %(val_accuracy).4f right", row
                )
            history.append(row)
    return pd.DataFrame(history)


def write(
    network: keras.Model,
    held: Mapping[str, Sequence[str]],
    trained: pd.DataFrame,
    history: pd.DataFrame,
    rows: Sequence[warm_start.CarriedRow],
) -> None:
    """Write the model's folder, whole or not at all.

    Args:
        network: trained.
        held: the sub-classes of each class, in the order of the scores.
        trained: from `lineage`.
        history: from `reported`.
        rows: what each row of the output layer began with.
    """
    carried = [(row.class_name, row.how, " + ".join(row.base_classes)) for row in rows]
    with whole(MODEL) as partial:
        partial.mkdir()
        files.save(partial, network, list(held), held)
        LINEAGE.write(trained, str(partial / Path(LINEAGE.path).name))
        pd.DataFrame(carried, columns=CARRIED_COLUMNS).to_csv(partial / CARRIED, index=False, lineterminator="\n")
        history.to_csv(partial / HISTORY, index=False, float_format="%.6g", lineterminator="\n")


def main() -> None:
    """Run the stage."""
    size, params = parameters.read(parameters.Picture).side, parameters.read(parameters.Train)
    with (
        exhaustion_explained(params.batch_size, params.precision),
        together(params.devices, params.batch_size, params.precision, params.seed) as devices,
    ):
        splits, images, index = SPLITS.read(), IMAGES.read(), INDEX.read()
        base = warm_start.load_base(params.network, size)
        ancestors = None if base is None else LINEAGE.read(BASE_LINEAGE)
        class_names = sorted(set(splits.loc[splits["split"] == "train", "class_name"]))
        held = sub_classes(images, class_names)
        read_each_epoch = splits.loc[splits["split"].isin(("train", "validation")), "image_id"].tolist()

        with ShardReader(SHARDS, index) as reader, DecodedPictures(read_each_epoch, 3 * size**2) as decoded:
            pictures = Pictures(reader, size, decoded)
            training, validation = (labelled(splits, name, class_names, pictures) for name in ("train", "validation"))
            with devices.scope():
                network, rows = start(params, size, held, base)
            run_name = run_digest(params, network, index, (training, validation))
            checkpoints = Checkpoints(run_name)
            fitting = recipe(params, base is not None)
            epochs = fit(network, training, validation, fitting, checkpoints, devices)
            history = reported(epochs, fitting.epochs) if devices.is_chief else pd.DataFrame(epochs)

        if devices.is_chief:
            write(network, held, lineage(images, training.image_ids, ancestors), history, rows)
            checkpoints.remove()
    best = history.sort_values("val_loss", kind="stable").iloc[0]
    log.info("%s: epoch %d of %d, validation loss %.4f", MODEL, best["epoch"], len(history), best["val_loss"])


if __name__ == "__main__":
    run(main)
