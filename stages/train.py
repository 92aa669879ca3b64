"""Train the model: from the base when there is one, else from scratch.

A warm start keeps every weight but those of the output layer, and of that layer the rows that its classes can be made
of. The weights of the epoch with the lowest validation loss are kept. An interrupted run, started again, goes on after
its last checkpoint and ends with the same bytes. The sample takes about a minute on two cores and reaches 0.97 top-1
accuracy and more.

What the frozen network sees in its pictures is kept as one mean per class: a picture that is far from all of them is
none that this model can name.

Reads: data/shards/, data/splits.parquet, data/images.parquet, data/embeddings/, data/base/ (model), data/pretrained/
    (which graph embedded; the weights where train.weights names a file of it)
Writes: data/model/ (model.weights.h5, model.json, classes.json, class_means.npy: classes x features, float32;
    lineage.parquet: image_id, group, members, sources, phash; carried.csv: class_name, how, base_classes, what each
    row of the output layer began with; history.csv: epoch, loss, accuracy, val_loss, val_accuracy, averaged: 1 where
    these two are of averaged weights, learning_rate); progress in dvclive/, which git ignores
Params: picture, pretrained, train
"""

import logging
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

import keras
import pandas as pd
from dvclive import Live

from runtime import parameters
from runtime.command import run
from runtime.outputs import whole
from runtime.wording import counted
from stages.embeddings.class_means import class_means
from stages.embeddings.vectors import read_vectors
from stages.models import files
from stages.models.base import BASE_LINEAGE
from stages.models.description import Origin
from stages.shards.index import read_index
from stages.tables.images import IMAGES
from stages.tables.lineage import LINEAGE
from stages.tables.model import CARRIED, CARRIED_COLUMNS, HISTORY
from stages.tables.model import FOLDER as MODEL
from stages.tables.pretrained import read_published
from stages.tables.splits import SPLITS
from stages.training import warm_start
from stages.training.session import open_session

log = logging.getLogger(__name__)

NUM_LINES = 10  # of epochs in the log; history.csv has all of them


def lineage(images: pd.DataFrame, trained: Sequence[str], ancestors: pd.DataFrame | None) -> pd.DataFrame:
    """List every picture that this model or an ancestor was trained on.

    Args:
        images: columns `image_id`, `group`, `phash`, `sources`, of every file, dropped ones too.
        trained: image_ids that this model is trained on.
        ancestors: the base's lineage, None without a base.

    Returns:
        Columns `image_id`, `group`, `members`, `sources`, `phash`, one row per picture. Of a picture that both
        know, the group is the one of now, and the members and sources are those of then and of now.
    """
    members = images.groupby("group")["image_id"].agg(set)
    now = images.drop_duplicates("image_id").set_index("image_id").loc[list(trained)].reset_index()
    rows = now.assign(members=now["group"].map(members))[["image_id", "group", "members", "sources", "phash"]]
    if ancestors is not None:
        rows = pd.concat([rows, ancestors])
    united = {name: rows.dropna(subset=name).groupby("image_id")[name].agg(_union) for name in ("members", "sources")}
    return rows.drop_duplicates("image_id").set_index("image_id").assign(**united).reset_index()


def _union(lists: Iterable[Iterable[str]]) -> list[str]:
    return sorted(set().union(*lists))


def sub_classes(images: pd.DataFrame, class_names: Sequence[str]) -> dict[str, list[str]]:
    """List the library's sub-classes of each class, sorted; columns `set`, `class_name`, `sub_class`."""
    library = images[images["set"] == "library"].dropna(subset=["class_name", "sub_class"])
    by_class = library.groupby("class_name")["sub_class"].agg(lambda names: sorted(set(names)))
    return {name: by_class.get(name, []) for name in class_names}


def then_and_now(images: pd.DataFrame, by_class: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Add to the sub-classes of each class the names that they had before; columns `sub_class`, `was`."""
    renamed = images.dropna(subset=["sub_class", "was"]).drop_duplicates("sub_class")
    old_names = renamed.set_index("sub_class")["was"].to_dict()
    return {
        name: [*names, *(old for sub_class in names for old in old_names.get(sub_class, "").split("/") if old)]
        for name, names in by_class.items()
    }


def class_means_of(splits: pd.DataFrame, class_names: Sequence[str], graph_sha256: str) -> files.ClassMeans:
    """Compute the mean of the training pictures' embeddings of each class.

    Args:
        splits: columns `image_id`, `class_name`, `split`.
        class_names: in the order of the scores.
        graph_sha256: of the graph that embedded.
    """
    training = splits[splits["split"] == "train"].sort_values("image_id")
    classes = pd.Index(class_names).get_indexer(pd.Index(training["class_name"]))
    return files.ClassMeans(class_means(read_vectors(training["image_id"]), classes, len(class_names)), graph_sha256)


def what_starts(
    params: parameters.Train, size: int, splits: pd.DataFrame, rows: Sequence[warm_start.CarriedRow], warm: bool
) -> str:
    """Say in one line what is trained, with what, and from where.

    Args:
        params: of the section `train`.
        size: side of the pictures in pixels.
        splits: column `split`.
        rows: from `warm_start.carried_rows`.
        warm: whether there is a base.
    """
    training, validation = ((splits["split"] == split).sum() for split in ("train", "validation"))
    begins = f"from {params.weights}" if params.weights is not None else "from scratch"
    if warm:
        begins = f"from the base: {warm_start.describe(rows)}"
    return (
        f"{params.network} at {size} pixels, {counted(training, 'picture')} to train with and {validation:,} to "
        f"validate with, {counted(len(rows), 'class', 'classes')}, {begins}"
    )


def what_came_out(history: pd.DataFrame) -> str:
    """Say in one line which epoch's weights are kept and how good they are; columns as in history.csv."""
    best = history.sort_values("val_loss", kind="stable").iloc[0]
    epoch = f"epoch {best['epoch']:.0f} of {len(history)}" + ", with averaged weights," * bool(best["averaged"])
    return f"{epoch} is the best: validation loss {best['val_loss']:.4f}, {100 * best['val_accuracy']:.1f} % right"


def reported(epochs: Iterable[dict[str, float]], num_epochs: int) -> Iterator[dict[str, float]]:
    """Show each epoch as it ends in `dvclive/`, and about every tenth of them in the log.

    Args:
        epochs: rows of the history.
        num_epochs: how many there will be.

    Yields:
        The same rows.
    """
    with Live(dir="dvclive", save_dvc_exp=False, dvcyaml=None, report=None, monitor_system=False) as live:
        for row in epochs:
            for name in sorted(row.keys() - {"epoch"}):
                live.log_metric(name, row[name])
            live.next_step()
            if row["epoch"] % math.ceil(num_epochs / NUM_LINES) == 0:
                log.info("train: epoch %(epoch)d: loss %(loss).4f, validation loss %(val_loss).4f", row)
            yield row


def write(
    network: keras.Model,
    by_class: Mapping[str, Sequence[str]],
    trained: pd.DataFrame,
    history: pd.DataFrame,
    rows: Sequence[warm_start.CarriedRow],
    origins: Sequence[Origin],
    means: files.ClassMeans,
    deterministic: bool,
) -> None:
    """Write the model's folder, whole or not at all.

    Args:
        network: trained.
        by_class: the sub-classes of each class, in the order of the scores.
        trained: from `lineage`.
        history: columns as in history.csv, one row per epoch.
        rows: what each row of the output layer began with.
        origins: what the other weights began with.
        means: of the training pictures of each class.
        deterministic: as params.yaml has it.
    """
    carried = [(row.class_name, row.how, " + ".join(row.base_classes)) for row in rows]
    with whole(MODEL) as folder:
        folder.mkdir()
        files.save(folder, network, list(by_class), by_class, origins, means, deterministic)
        LINEAGE.write(trained, str(folder / Path(LINEAGE.path).name))
        pd.DataFrame(carried, columns=CARRIED_COLUMNS).to_csv(folder / CARRIED, index=False, lineterminator="\n")
        history.to_csv(folder / HISTORY, index=False, float_format="%.6g", lineterminator="\n")


def main() -> None:
    """Run the stage."""
    size, params = parameters.read(parameters.Picture).side, parameters.read(parameters.Train)
    splits, images, index = SPLITS.read(), IMAGES.read(), read_index()
    published = read_published(parameters.read(parameters.Pretrained).network)

    with open_session(params, size, splits, index) as session:
        base = warm_start.load_base(params.network, size)
        ancestors = None if base is None else LINEAGE.read(BASE_LINEAGE)
        by_class = sub_classes(images, session.class_names)
        known_as = then_and_now(images, by_class)
        rows = warm_start.carried_rows(known_as, {} if base is None else base.description.sub_classes, params.head)
        log.info("train: %s", what_starts(params, size, splits, rows, base is not None))
        start = partial(warm_start.start, params, size, len(by_class), base, rows)
        training = session.begin(start, warm=base is not None)
        is_chief = session.devices.is_chief
        history = pd.DataFrame(reported(training.epochs, training.num_epochs) if is_chief else training.epochs)

        if is_chief:
            origins = warm_start.origins(params, base)
            means = class_means_of(splits, session.class_names, published.graph_sha256)
            trained = lineage(images, training.image_ids, ancestors)
            write(training.network, by_class, trained, history, rows, origins, means, params.deterministic)
            training.checkpoints.remove()
    log.info("train: %s: %s", MODEL, what_came_out(history))


if __name__ == "__main__":
    run(main)
