"""Measure the metrics next to scikit-learn's, and the whole of `score`, at the size of production.

    python -m bench.score [--pictures 100000] [--classes 1000] [--rounds 3] [--scikit-learn-rounds 1]

Scores are drawn with a seed, some of them equal; a quarter of the classes stand in confused pairs. Both arms read the
same matrix and run in turn in one process, ours once per round, theirs in the first rounds only. `score` runs in a
process of its own, with a base, calibration asked for, and its peak of memory includes mapped files.
"""

import json
import sys
import warnings
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
from sklearn import metrics as sklearn_metrics
from stages.tables.held_out import HELD_OUT, HELD_OUT_SCORES

from bench.harness import ROOT, Cost, medians, options, print_costs, print_table, run, timed
from runtime import parameters
from stages.metrics.accuracy import top_k_accuracy, truth_ranks
from stages.metrics.agreement import macro_f1, matthews_correlation
from stages.metrics.log_loss import log_losses
from stages.metrics.ranking import rank
from stages.tables.images import IMAGES
from stages.tables.predictions import BASE_CLASSES, BASE_SCORES, CLASSES, EMBEDDINGS, FOLDER, ROWS, SCORES

Figures = dict[str, float | None]
BLOCK = 2000  # rows that are drawn at once
NUM_FEATURES = 1536  # of Inception V4
# Shares of the pictures, as sets of production have them.
SETS = {"train": 0.7, "validation": 0.08, "test": 0.2, "difficult": 0.01, "out_of_scope": 0.01}


def draw(path: Path, truth: np.ndarray, num_classes: int, seed: int) -> None:
    """Write a matrix of softmax scores in which the truth mostly comes first, coarse enough that many are equal."""
    rng = np.random.default_rng(seed)
    matrix = np.lib.format.open_memmap(path, "w+", np.float32, (len(truth), num_classes))
    for start in range(0, len(truth), BLOCK):
        own = truth[start : start + BLOCK]
        logits = np.round(rng.standard_normal((len(own), num_classes), dtype=np.float32) * 1.5, 2)
        belongs = np.flatnonzero(own >= 0)
        logits[belongs, own[belongs]] += rng.gamma(4, 2.5, len(belongs)).astype(np.float32)
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        matrix[start : start + BLOCK] = powers / powers.sum(axis=1, keepdims=True)


def embed(path: Path, truth: np.ndarray, num_classes: int) -> None:
    """Write embeddings in overlapping clusters, one per class, as many features as Inception V4 has."""
    rng = np.random.default_rng(3)
    centres = np.maximum(rng.standard_normal((num_classes + 1, NUM_FEATURES), dtype=np.float32), 0)
    matrix = np.lib.format.open_memmap(path, "w+", np.float16, (len(truth), NUM_FEATURES))
    for start in range(0, len(truth), BLOCK):
        own = truth[start : start + BLOCK]
        noise = rng.standard_normal((len(own), NUM_FEATURES), dtype=np.float32)
        matrix[start : start + BLOCK] = np.maximum(centres[own] + noise, 0)


def ours(scores: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> Figures:
    """Compute the six metrics as `score` does; the weighted log loss comes with the plain one."""
    num_classes = scores.shape[1]
    loss, _ = log_losses(scores, truth, np.empty((0, 2), dtype=np.int64), np.empty(0))
    ranking = rank(scores, truth)
    return {
        "log loss": float(loss.mean()),
        "top-5 accuracy": top_k_accuracy(truth_ranks(scores, truth), num_classes, 5),
        "ROC AUC": ranking.roc_auc,
        "average precision": ranking.average_precision,
        "Matthews correlation": matthews_correlation(truth, predicted),
        "macro F1": macro_f1(truth, predicted),
    }


def theirs(scores: np.ndarray, truth: np.ndarray, predicted: np.ndarray) -> Figures:
    """Compute the six metrics with scikit-learn."""
    scores = np.asarray(scores)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # float32 rows that sum to 1 but for their last bit
        return {
            "log loss": sklearn_metrics.log_loss(truth, scores),
            "top-5 accuracy": sklearn_metrics.top_k_accuracy_score(truth, scores, k=5),
            "ROC AUC": sklearn_metrics.roc_auc_score(truth, scores, multi_class="ovr"),
            "average precision": sklearn_metrics.average_precision_score(
                np.eye(scores.shape[1], dtype=np.int8)[truth], scores
            ),
            "Matthews correlation": sklearn_metrics.matthews_corrcoef(truth, predicted),
            "macro F1": sklearn_metrics.f1_score(truth, predicted, average="macro"),
        }


def compare(scores: np.ndarray, truth: np.ndarray, rounds: int, their_rounds: int) -> None:
    """Run both in turn and print their medians and how far apart the figures are."""
    predicted = np.asarray(scores.argmax(axis=1))
    costs: dict[str, list[Cost]] = {"ours": [], "scikit-learn": []}
    figures: dict[str, Figures] = {}
    for turn in range(max(rounds, their_rounds)):
        for name, compute, number in (("ours", ours, rounds), ("scikit-learn", theirs, their_rounds)):
            if turn < number:
                work = partial(compute, scores, truth, predicted)
                costs[name].append(timed(lambda name=name, work=work: figures.update({name: work()})))
    print(f"\nsix metrics, {scores.shape[0]:,} x {scores.shape[1]:,}; seconds are medians\n")
    print_costs("six metrics", {name: medians(runs) for name, runs in costs.items()})
    print()
    theirs_ = figures["scikit-learn"]
    rows = [(name, f"{value:.9f}", f"{abs(value - theirs_[name]):.1e}") for name, value in figures["ours"].items()]
    print_table(["metric", "value", "differs by"], rows)


def write_world(root: Path, num_pictures: int, num_classes: int) -> None:
    """Write what `score` reads: predictions of a model and of a base that knows all classes but the last."""
    rng = np.random.default_rng(0)
    splits = np.sort(np.repeat(list(SETS), (np.array(list(SETS.values())) * num_pictures).astype(int)))
    truth = rng.integers(0, num_classes, len(splits))
    truth[splits == "out_of_scope"] = -1
    names = np.array([f"class {number:04d}" for number in range(num_classes)], dtype=object)
    (root / FOLDER).mkdir(parents=True)
    known = np.where(truth == num_classes - 1, -1, truth)
    rows = {
        "image_id": [f"{number:032x}" for number in range(len(splits))],
        "split": splits,
        "truth": np.where(truth < 0, None, names[truth]),
    }
    for prefix, path, own, width in (("", SCORES, truth, num_classes), ("base_", BASE_SCORES, known, num_classes - 1)):
        draw(root / path, own, width, seed=len(prefix))
        matrix = np.load(root / path, mmap_mode="r")
        rows[f"{prefix}predicted"] = names[matrix.argmax(axis=1)]
        rows[f"{prefix}log_partition"] = rng.normal(5, 1, len(splits))
        rows[f"{prefix}scope_distance"] = rng.uniform(0, 1, len(splits))
        rows[f"{prefix}confidence"] = np.minimum(100.0 * np.asarray(matrix.max(axis=1), dtype=float), 100)
    embed(root / EMBEDDINGS, truth, num_classes)
    ROWS.write(pd.DataFrame(rows), str(root / ROWS.path))
    HELD_OUT.write(pd.DataFrame(columns=HELD_OUT.schema.names), str(root / HELD_OUT.path))
    np.save(root / HELD_OUT_SCORES, np.empty((0, 0), np.float32))
    (root / CLASSES).write_text(json.dumps(names.tolist()))
    (root / BASE_CLASSES).write_text(json.dumps(names[:-1].tolist()))
    benchmark = np.isin(splits, ["difficult", "out_of_scope"])
    images = {
        "path": rows["image_id"],
        "group": rows["image_id"],
        "set": np.where(benchmark, splits, "library"),
        "class_name": rows["truth"],
    }
    frame = pd.DataFrame({"image_id": rows["image_id"], **images}).reindex(columns=IMAGES.schema.names)
    IMAGES.write(frame, str(root / IMAGES.path))
    pairs = [f"{names[2 * number]},{names[2 * number + 1]},0.5" for number in range(num_classes // 8)]
    (root / "data/confused.csv").write_text("\n".join(["truth,predicted,weight", *pairs]) + "\n")
    params = parameters.changed((ROOT / "params.yaml").read_text(encoding="utf-8"), {"score.confidence": "temperature"})
    (root / "params.yaml").write_text(params, encoding="utf-8")


def measure_stage(root: Path) -> None:
    """Run `score` as DVC does and print its time and its peak of memory."""
    print_costs("stage", {"score": run(sys.executable, "-m", "stages.score", folder=root)})


def main() -> None:
    """Run the command."""
    asked = options(__doc__, pictures=100_000, classes=1000, rounds=3, scikit_learn_rounds=1)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_world(root, asked.pictures, asked.classes)
        measure_stage(root)
        if asked.scikit_learn_rounds:
            truth = np.random.default_rng(1).permutation(np.arange(asked.pictures) % asked.classes)
            draw(root / "scores.npy", truth, asked.classes, seed=2)
            scores = np.load(root / "scores.npy", mmap_mode="r")
            compare(scores, truth, asked.rounds, asked.scikit_learn_rounds)


if __name__ == "__main__":
    main()
