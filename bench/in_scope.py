"""Measure what a limit on the distance to the nearest class mean keeps out, and what it costs.

    python -m bench.in_scope SHARED/data --work FOLDER [--seeds 1 2 3]

Network, clothes and output layer are those of `bench/confidence.py`, without label smoothing, and so are the near
strangers, one class that is left out. Far strangers are of two kinds: ImageNet's own pictures, which flatter a network
that was trained on ImageNet, and 1,000 small pictures of CIFAR-10. The test pictures are a fifth of each class, or
those of a fifth of the senders. The limit is what the stages fit: a quantile of the training pictures' distances, each
measured without itself and, where senders are known, without its sender's other pictures.

The first two tables have the shares of strangers that are shown where half of the test pictures are, by the confidence
alone and by both: once per seed, and on average. The third has the share of each kind that is in scope at all, and how
many of the shown answers are wrong; the fourth, how well distance and confidence tell strangers from test pictures; the
fifth, what an answer costs. FOLDER keeps the embeddings.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from bench.confidence import MINIMUM, embed, train_head
from bench.harness import options, print_frame
from bench.warm_start import divide, names_in
from stages import pretrained
from stages.embeddings.class_means import class_means, distances, left_out_distances
from stages.embeddings.vectors import units
from stages.export import ServedModel
from stages.metrics.scaling import UNSCALED
from stages.models import networks
from stages.models.description import Description
from stages.models.files import TrainedModel
from stages.served.scope import Scope

KINDS = {"ImageNet": ("out_of_scope.tar", "."), "CIFAR-10": ("cifar10_near_duplicates.tar", "/test_00")}
NUM_ANSWERS = 100
QUANTILES = (0.95, 0.98, 0.99, 0.995)
Features = NDArray[np.float16]


def by_sender(senders: NDArray[np.int64], names: NDArray[np.str_], seed: int) -> dict[str, NDArray[np.int64]]:
    """Draw a fifth of the senders to test and a tenth of the others to validate; other pictures train."""
    drawn = np.random.default_rng([seed, 5]).permutation(senders.max() + 1)
    turn = drawn[senders] / len(drawn)
    parts = {"test": turn < 0.2, "validation": (turn >= 0.2) & (turn < 0.28), "train": turn >= 0.28}
    known = np.isin(names, np.unique(names[parts["train"]]))
    return {name: np.flatnonzero(rows & known) for name, rows in parts.items()}


def measure(
    features: Features,
    names: NDArray[np.str_],
    senders: NDArray[np.int64],
    far: dict[str, Features],
    how: str,
    seed: int,
) -> Iterator[dict[str, object]]:
    """Measure one division, with each limit."""
    near = np.random.default_rng([seed, 4]).choice(np.unique(names))
    known = np.flatnonzero(names != near)
    class_names, labels = np.unique(names[known], return_inverse=True)
    parts = divide(names[known], seed) if how == "pictures" else by_sender(senders[known], names[known], seed)
    model = train_head(features[known], labels, parts, 0.0, seed)
    train, num_classes = parts["train"], len(class_names)
    vectors, together = units(features[known]), np.arange(len(known)) if how == "pictures" else senders[known]
    means = class_means(vectors[train], labels[train], num_classes)
    left_out = left_out_distances(vectors[train], labels[train], together[train], num_classes)
    kinds = {"test": features[known[parts["test"]]], "near": features[names == near], **far}
    scores = {kind: np.asarray(model.predict(each.astype(np.float32), verbose=0)) for kind, each in kinds.items()}
    confidence = {kind: each.max(axis=1) for kind, each in scores.items()}
    distance = {kind: distances(units(each), means) for kind, each in kinds.items()}
    right = scores["test"].argmax(axis=1) == labels[parts["test"]]
    own = distances(vectors[train], means)
    for quantile in QUANTILES:
        limit = np.quantile(left_out, quantile, method="higher")
        row: dict[str, object] = {"test pictures by": how, "seed": seed, "in_scope": quantile, "limit": limit}
        row |= {"accuracy": right.mean(), "accuracy in scope": right[distance["test"] <= limit].mean()}
        narrow = np.quantile(own, quantile, method="higher")
        row["test in scope, nothing left out"] = (distance["test"] <= narrow).mean()
        for kind, each in kinds.items():
            inside = distance[kind] <= limit
            row |= {f"{kind} in scope": inside.mean(), f"{kind} pictures": len(each)}
        both = {kind: np.where(distance[kind] <= limit, each, -1.0) for kind, each in confidence.items()}
        for way, decisive in (("confidence", confidence), ("both", both)):
            threshold = np.sort(decisive["test"])[-(len(right) // 2)]
            row |= {f"{kind} shown by {way}": (decisive[kind] >= threshold).mean() for kind in ("near", *far)}
            row[f"wrong of the shown by {way}"] = (~right[decisive["test"] >= threshold]).mean()
        for kind in ("near", *far):
            is_strange = np.repeat([0, 1], [len(right), len(kinds[kind])])
            for what, values, sign in (("distance", distance, 1), ("confidence", confidence, -1)):
                both_kinds = sign * np.concatenate([values["test"], values[kind]])
                row[f"{kind} AUC of {what}"] = roc_auc_score(is_strange, both_kinds)
        yield row


def cost() -> Iterator[dict[str, object]]:
    """Measure what an answer costs by model.onnx on one core, without a limit and with one, of random networks."""
    class_names = [str(number) for number in range(100)]
    body, means = pretrained.fetch("efficientnet_lite0")[0], units(np.random.default_rng(0).normal(size=(100, 1280)))
    for network, side in (("small", 32), ("efficientnet_lite0", 224)):
        sub_classes: dict[str, list[str]] = {name: [] for name in class_names}
        described = Description(format=1, network=network, size=side, weights_sha256="0" * 64, sub_classes=sub_classes)
        trained = TrainedModel(networks.build(network, side, len(class_names)), described, class_names)
        for scope in (None, Scope(body, means, 0.5)):
            content = ServedModel(trained, 1, 1, UNSCALED, scope).onnx()
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
            pixels = np.zeros((1, side, side, 3), np.uint8)
            session.run(None, {"pixels": pixels})
            start = time.process_time()
            for _ in range(NUM_ANSWERS):
                session.run(None, {"pixels": pixels})
            milliseconds = 1000 * (time.process_time() - start) / NUM_ANSWERS
            row = {"network": network, "side": side, "limit": "without" if scope is None else "with"}
            yield row | {"processor ms per answer": milliseconds, "MB of model.onnx": len(content) / 1e6}


def main() -> None:
    """Run the measurement."""
    asked: Any = options(__doc__, "archives", seeds=[1, 2, 3], work=Path("build/in_scope"))
    asked.work.mkdir(parents=True, exist_ok=True)
    clothing = asked.archives / "clothing.tar"
    features, names = embed(clothing, asked.work, "library/")
    far = {kind: embed(asked.archives / name, asked.work, prefix)[0] for kind, (name, prefix) in KINDS.items()}
    sent = pd.read_csv(asked.archives / "clothing_senders.csv", dtype=str).set_index("path")["sender"]
    paths = names_in(clothing, lambda name: "library/" in name)
    senders = pd.factorize(sent.reindex(paths).fillna(pd.Series(paths, paths)))[0].astype(np.int64)
    classes, counts = np.unique(names, return_counts=True)
    used = np.isin(names, classes[counts >= MINIMUM]) & (names != "other")
    rows = pd.DataFrame(
        row
        for how in ("pictures", "senders")
        for seed in asked.seeds
        for row in measure(features[used], names[used], senders[used], far, how, seed)
    )
    rows.to_csv(asked.work / "in_scope.csv", index=False)
    strangers, by = ["near", *KINDS], ["test pictures by", "in_scope"]
    shown = [f"{kind} shown by {way}" for kind in strangers for way in ("confidence", "both")]
    print_frame(rows[[*by, "seed", *shown]])
    means = rows.groupby(by, sort=False).mean(numeric_only=True).reset_index()
    wrong = ["wrong of the shown by confidence", "wrong of the shown by both"]
    narrow = "test in scope, nothing left out"
    areas = [f"{kind} AUC of {what}" for kind in strangers for what in ("distance", "confidence")]
    for columns in (shown, ["limit", *(f"{kind} in scope" for kind in ("test", *strangers)), *wrong, narrow], areas):
        print()
        print_frame(means[[*by, *columns]])
    print()
    print_frame(pd.DataFrame(cost()))


if __name__ == "__main__":
    main()
