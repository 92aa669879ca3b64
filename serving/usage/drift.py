"""Say whether what people send, or how sure the model is of it, has changed.

Each week, and the last day, is compared with the pictures that the model was tested on and with the time before it, by
tests of two samples. Many tests are made, which is allowed for; what is significant but tiny is not called a change.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from scipy import stats

from runtime import parameters
from serving.projection import NUM, project
from serving.usage import embeddings
from serving.usage.duck import Row
from serving.usage.embeddings import Embeddings, Test
from stages.metrics.scaling import UNSCALED, applied_scaling, scale
from stages.tables import predictions, scores
from stages.tables.documents import REMEDY, read_calibration
from stages.tables.matrix import open_matrix

LAST_DAY, BEFORE_LAST_DAY = "last 24 hours", "7 days before"
HELD_OUT, BEFORE = "held-out pictures", "the time before"
EMBEDDINGS = "embeddings"
ALPHA = 0.01  # of all tests of a report together
LEAST_DISTANCE = 0.05  # what is nearer is not called a change
FEWEST = 50  # answers in each of the two samples
MOST_EMBEDDINGS = 2000  # of a sample: how many are read of the log, not what the test could bear
_FEWEST_EXPECTED = 5  # of a class in each sample; rarer classes are taken together
DRIFT = pa.schema(
    [("span", pa.string()), ("version", pa.int64()), ("figure", pa.string()), ("against", pa.string())]
    + [(name, pa.int64()) for name in ("num", "num_against")]
    + [(name, pa.float64()) for name in ("distance", "p_value", "p_of_all")]
    + [("changed", pa.bool_())]
)


class Sample(NamedTuple):
    """Answers of one time, or of held-out pictures.

    Attributes:
        class_names: the best class of each.
        confidences: 0 to 100.
        embeddings: of some of them.
    """

    class_names: NDArray[np.object_]
    confidences: NDArray[np.float64]
    embeddings: Embeddings = embeddings.NONE


class HeldOut(NamedTuple):
    """What the model of this clone said of its held-out pictures; None where that is not here."""

    version: int
    sample: Sample | None


def read_held_out() -> HeldOut:
    """Read what `evaluate` said of the held-out pictures, in the confidences that are served.

    Raises:
        InputError: a table is damaged.
    """
    version = parameters.read(parameters.Export).version
    if not Path(predictions.ROWS.path).exists():
        return HeldOut(version, None)
    rows = predictions.ROWS.read()
    chosen = np.flatnonzero(rows["split"].isin(["validation", "test"]))
    names = rows["predicted"].to_numpy(object)
    some = chosen[np.linspace(0, len(chosen) - 1, min(len(chosen), MOST_EMBEDDINGS)).astype(int)]
    numbers = project(np.asarray(_matrix(predictions.EMBEDDINGS, np.float16, len(rows))[some]))
    return HeldOut(version, Sample(names[chosen], _served(rows, chosen), Embeddings(names[some], numbers)))


def _served(rows: pd.DataFrame, chosen: NDArray[np.intp]) -> NDArray[np.float64]:
    """Give confidences of some rows as they are served, 0 to 100."""
    scaling = UNSCALED
    if Path(scores.CALIBRATION).exists():
        scaling = applied_scaling(read_calibration(scores.CALIBRATION, REMEDY))
    if scaling == UNSCALED:
        return rows["confidence"].to_numpy(float)[chosen]
    matrix = _matrix(predictions.SCORES, np.float32, len(rows))
    confidences: NDArray[np.float64] = 100 * scale(np.asarray(matrix[chosen]), scaling).max(axis=1).astype(float)
    return confidences


def _matrix(path: str, dtype: type, num_rows: int) -> NDArray[Any]:
    what = f"numbers after {predictions.ROWS.path}"
    return open_matrix(path, (num_rows, None), dtype, what, "`dvc repro evaluate` writes it.")


def compare(samples: pd.DataFrame, held_out: HeldOut) -> list[Row]:
    """Compare each week and the last day of each version.

    Args:
        samples: `span` (a week's Monday, LAST_DAY or BEFORE_LAST_DAY), `version`, `class_1`, `confidence_1`,
            `embedding` (None where there is none).
        held_out: of one version.

    Returns:
        Rows of DRIFT, the last day first, then weeks from the newest.
    """
    rows: list[Row] = []
    for version, of_version in samples.groupby("version"):
        spans = {str(name): _sample(each) for name, each in of_version.groupby("span")}
        for span in _order(spans):
            for against, other in _references(span, spans, held_out, int(str(version))):
                rows += _compared(spans[span], other, {"span": span, "version": version, "against": against})
    return with_number_allowed_for(rows)


def with_number_allowed_for(rows: Sequence[Row]) -> list[Row]:
    """Say which tests show a change when all are taken together.

    Source: Holm 1979, "A simple sequentially rejective multiple test procedure". It holds for tests that depend on
    each other, as those of one week do.
    """
    known = sorted((row["p_value"], index) for index, row in enumerate(rows) if row["p_value"] is not None)
    raised, largest = {}, 0.0
    for rank, (value, index) in enumerate(known):
        largest = max(largest, min(1.0, value * (len(known) - rank)))
        raised[index] = largest
    return [
        {
            **row,
            "p_of_all": raised.get(index),
            "changed": index in raised and raised[index] < ALPHA and row["distance"] >= LEAST_DISTANCE,
        }
        for index, row in enumerate(rows)
    ]


def confidences_differ(one: Sample, other: Sample) -> Test:
    """Compare confidences by Kolmogorov and Smirnov's test; the distance is the largest between the two curves."""
    found = stats.ks_2samp(one.confidences, other.confidences, method="asymp")
    return Test(float(found.statistic), float(found.pvalue))


def classes_differ(one: Sample, other: Sample) -> Test:
    """Compare classes by a test of homogeneity; the distance is the share of answers that would have to move."""
    counts = _table(one, other)
    if counts.shape[1] < 2:
        return Test(None, None)
    shares = counts / counts.sum(axis=1, keepdims=True)
    return Test(float(np.abs(shares[0] - shares[1]).sum() / 2), float(stats.chi2_contingency(counts).pvalue))


def _table(one: Sample, other: Sample) -> NDArray[np.float64]:
    """Count classes, of shape (2, classes); those too rare for the test are taken together."""
    names, places = np.unique(np.concatenate([one.class_names, other.class_names]).astype(str), return_inverse=True)
    ends = (places[: len(one.class_names)], places[len(one.class_names) :])
    counts = np.array([np.bincount(end, minlength=len(names)) for end in ends], dtype=float)
    sizes = counts.sum(axis=1)
    expected = counts.sum(axis=0) * sizes.min() / sizes.sum()
    order = np.argsort(expected, kind="stable")
    num_rare = int((expected < _FEWEST_EXPECTED).sum())
    while 0 < num_rare < len(names) and expected[order[:num_rare]].sum() < _FEWEST_EXPECTED:
        num_rare += 1
    rare = counts[:, order[:num_rare]].sum(axis=1, keepdims=True)
    return np.hstack([counts[:, order[num_rare:]], *([rare] if num_rare else [])])


def _compared(one: Sample, other: Sample, row: Row) -> list[Row]:
    sizes = len(one.confidences), len(other.confidences)
    rows = [
        row | {"figure": figure} | _tested(test, one, other, sizes)
        for figure, test in (("confidences", confidences_differ), ("classes", classes_differ))
    ]
    if len(one.embeddings.numbers) and len(other.embeddings.numbers):
        alike = embeddings.of_same_classes(one.embeddings, other.embeddings)
        sizes = len(alike[0].numbers), len(alike[1].numbers)
        rows.append(row | {"figure": EMBEDDINGS} | _tested(embeddings.differ, *alike, sizes))
    return rows


def _tested(test: Callable[[Any, Any], Test], one: Any, other: Any, sizes: tuple[int, int]) -> Row:
    found = test(one, other) if min(sizes) >= FEWEST else Test(None, None)
    return {"num": sizes[0], "num_against": sizes[1], **found._asdict()}


def _references(span: str, spans: dict[str, Sample], held_out: HeldOut, version: int) -> list[tuple[str, Sample]]:
    weeks = [name for name in _order(spans) if name != LAST_DAY]
    earlier = BEFORE_LAST_DAY if span == LAST_DAY else next((name for name in weeks if name < span), None)
    found = [(BEFORE, spans[earlier])] if earlier in spans else []
    if held_out.version == version and held_out.sample is not None:
        found.append((HELD_OUT, held_out.sample))
    return found


def _order(spans: dict[str, Sample]) -> list[str]:
    weeks = sorted(spans.keys() - {LAST_DAY, BEFORE_LAST_DAY}, reverse=True)
    return [LAST_DAY, *weeks] if LAST_DAY in spans else weeks


def _sample(rows: pd.DataFrame) -> Sample:
    names, confidences = rows["class_1"].to_numpy(object), rows["confidence_1"].to_numpy(float)
    known = [each is not None and len(each) == NUM and bool(np.isfinite(each).all()) for each in rows["embedding"]]
    numbers = [each for each, is_known in zip(rows["embedding"], known, strict=True) if is_known]
    found = Embeddings(names[known], np.array(numbers, np.float32)) if numbers else embeddings.NONE
    return Sample(names, confidences, found)
