"""Matrices that are not what they say: refused by their headers, before a number is read."""

import json
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from worlds import write_embeddings

from runtime.errors import InputError
from runtime.memory_map import release_pages
from stages.embeddings.vectors import read_vectors
from stages.tables.matrices import check_answers, read_scores
from stages.tables.matrix import MAX_FEATURES, open_matrix
from stages.tables.predictions import CLASSES, SCORES

MATRIX = np.arange(6, dtype=np.float32).reshape(3, 2)

REMEDY = "`dvc repro --force evaluate` writes it again."


def with_header(path: Path, shape: str, descr: str = "'<f4'", order: str = "False", num_bytes: int = 24) -> None:
    """Write a .npy file whose header says what it likes."""
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n"
    path.write_bytes(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    os.truncate(path, path.stat().st_size + num_bytes)


HOSTILE = {
    "a pipe": (os.mkfifo, "is a pipe, not a regular file"),
    "a folder": (os.mkdir, "is a folder, not a regular file"),
    "absent": (lambda path: None, "is not there"),
    "nothing": (lambda path: path.touch(), r"it is no \.npy file of a matrix \("),
    "a pickle": (lambda path: path.write_bytes(b"\x80\x04" + bytes(100)), r"it is no \.npy file of a matrix \("),
    "objects": (lambda path: with_header(path, "(3, 2)", "'|O'"), r"it is \(3, 2\) of object"),
    "objects of NumPy": (
        lambda path: np.save(path, np.array([[{}, 1]] * 3, object), allow_pickle=True),
        r"it is \(3, 2\) of object",
    ),
    "structures": (lambda path: with_header(path, "(3, 2)", "[('a', '<f4')]"), r"it is \(3, 2\) of "),
    "code": (lambda path: with_header(path, "exit()"), r"it is no \.npy file of a matrix \("),
    "other numbers": (lambda path: np.save(path, MATRIX.astype(float)), r"it is \(3, 2\) of float64"),
    "other bytes": (lambda path: np.save(path, MATRIX.astype(">f4")), r"it is \(3, 2\) of >f4"),
    "columns first": (lambda path: np.save(path, np.asfortranarray(MATRIX)), "in the order of the columns"),
    "one dimension": (lambda path: np.save(path, MATRIX[0]), r"it is \(2,\) of float32"),
    "more rows": (lambda path: np.save(path, np.ones((4, 2), np.float32)), r"it is \(4, 2\) of float32"),
    "terabytes": (lambda path: with_header(path, f"({2**40}, 2)"), r"it is \(1099511627776, 2\) of float32"),
    "fewer than nothing": (lambda path: with_header(path, "(3, -2)"), r"it is \(3, -2\) of float32"),
    "less than it says": (lambda path: with_header(path, "(3, 2)", num_bytes=23), r"152 bytes; it has 151"),
    "more than it says": (lambda path: with_header(path, "(3, 2)", num_bytes=2**40), r"152 bytes; it has 1,099,"),
    "another version": (lambda path: path.write_bytes(b"\x93NUMPY\x03\x00"), "another version of the format"),
}


@pytest.mark.parametrize("columns", [2, None])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_file_that_is_no_such_matrix_is_refused_unread(tmp_path, monkeypatch, case, columns):
    make, match = HOSTILE[case]
    path = tmp_path / "x.npy"
    make(path)
    monkeypatch.setattr(np, "memmap", None)
    with pytest.raises(InputError, match=rf"x\.npy .*{match}.*`dvc repro (--force )?evaluate` writes it"):
        open_matrix(str(path), (3, columns), np.float32, "scores", REMEDY)


def test_more_features_than_any_network_has_are_refused(tmp_path):
    with_header(tmp_path / "x.npy", f"(3, {MAX_FEATURES + 1})")
    with pytest.raises(InputError, match="it is "):
        open_matrix(str(tmp_path / "x.npy"), (3, None), np.float32, "features", REMEDY)


def test_a_matrix_is_mapped_and_may_be_empty(tmp_path):
    np.save(tmp_path / "x.npy", MATRIX)
    mapped = open_matrix(str(tmp_path / "x.npy"), (3, None), np.float32, "scores", REMEDY)
    assert isinstance(mapped, np.memmap)
    assert np.array_equal(mapped, MATRIX)
    release_pages(mapped)
    np.save(tmp_path / "x.npy", MATRIX[:0])
    assert open_matrix(str(tmp_path / "x.npy"), (0, None), np.float32, "scores", REMEDY).shape == (0, 2)


@pytest.fixture
def predictions(workspace):
    """Scores of three pictures of two classes."""
    Path(SCORES).parent.mkdir()
    Path(CLASSES).write_text(json.dumps(["ape", "bee"]))
    return pd.DataFrame({"image_id": ["a", "b", "c"], "split": "train", "predicted": "ape", "confidence": 60.0})


@pytest.mark.parametrize("values", [[np.nan, 1], [np.inf, -np.inf], [2, -1], [0, 0], [1, 1]])
def test_scores_that_are_no_probabilities_are_refused(predictions, values):
    matrix = np.array([[0.5, 0.5], [0, 1], values], np.float32)
    np.save(SCORES, matrix)
    with pytest.raises(InputError, match=r"predictions/scores\.npy: row 2 is no row of probabilities.*evaluate`"):
        read_scores(SCORES, CLASSES, predictions)


def test_embeddings_that_are_no_numbers_are_refused(workspace):
    write_embeddings(["a", "b", "c"], np.array([[1, 0], [np.nan, 1], [1, 1]]))
    with pytest.raises(InputError, match=r"embeddings\.npy holds what is no number\. `dvc repro --force embed`"):
        read_vectors(["c", "b"])


@pytest.mark.parametrize("confidence", [np.nan, np.inf, -0.1, 100.1])
def test_a_confidence_that_is_none_is_refused(predictions, confidence):
    check_answers(predictions, ["ape", "bee"], "predicted")
    predictions.loc[1, "confidence"] = confidence
    with pytest.raises(InputError, match="numbers from 0 to 100 as confidence; of its 3 rows 1 hold none"):
        check_answers(predictions, ["ape", "bee"], "predicted")
