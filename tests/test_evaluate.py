import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from test_predict import MOST_MOVED
from worlds import digests, use_precision, write_base, write_model, write_world

from runtime.errors import BaseError, InputError
from stages import evaluate
from stages.embeddings.class_means import class_means, distances
from stages.embeddings.vectors import read_vectors
from stages.models import files
from stages.tables.images import IMAGES
from stages.tables.model import CLASS_MEANS
from stages.tables.predictions import BASE_CLASSES, BASE_SCORES, CLASSES, EMBEDDINGS, FOLDER, ROWS, SCORES
from stages.tables.splits import SPLITS

pytestmark = pytest.mark.slow


@pytest.fixture
def world(workspace):
    """Two classes; the second test picture of each stands in a benchmark too, one of them without a truth."""
    rows = write_world(train=3, validation=1, test=2)
    again = rows[rows["number"] == 5].assign(split=["difficult", "out_of_scope"], class_name=["amber", None])
    SPLITS.write(pd.concat([rows, again]))
    write_model("data/model", ["amber", "blue"], seed=1)
    return workspace


def test_every_picture_of_every_set_is_a_row_with_its_scores(world):
    evaluate.main()
    rows, scores, embeddings = ROWS.read(), np.load(SCORES), np.load(EMBEDDINGS)
    assert rows["split"].value_counts().to_dict() == {
        "train": 6, "test": 4, "validation": 2, "difficult": 1, "out_of_scope": 1,
    }  # fmt: skip
    assert rows[["split", "image_id"]].to_numpy().tolist() == sorted(rows[["split", "image_id"]].to_numpy().tolist())
    assert (scores.shape, scores.dtype) == ((14, 2), np.float32)
    assert (embeddings.shape, embeddings.dtype) == ((14, 128), np.float16)
    assert np.allclose(scores.sum(axis=1), 1, atol=1e-6)
    assert json.loads(Path(CLASSES).read_text()) == ["amber", "blue"]
    assert rows["predicted"].tolist() == [["amber", "blue"][column] for column in scores.argmax(axis=1)]
    assert np.allclose(rows["confidence"], scores.max(axis=1) * 100)
    assert rows.loc[rows["split"] == "out_of_scope", "truth"].isna().all()


def test_a_picture_in_two_sets_has_the_same_scores_in_both(world):
    evaluate.main()
    rows, scores, embeddings = ROWS.read(), np.load(SCORES), np.load(EMBEDDINGS)
    for _, positions in rows.groupby("image_id").indices.items():
        assert np.all(scores[positions] == scores[positions[0]])
        assert np.all(embeddings[positions] == embeddings[positions[0]])
    assert rows["image_id"].duplicated().sum() == 2


def test_without_a_base_its_columns_are_empty(world):
    evaluate.main()
    rows = ROWS.read()
    assert rows["base_predicted"].isna().all()
    assert rows["base_confidence"].isna().all()
    assert np.load(BASE_SCORES).shape == (0, 0)
    assert json.loads(Path(BASE_CLASSES).read_text()) == []


def test_the_base_scores_the_same_rows_in_its_own_classes(world):
    write_base(["amber", "red", "blue"])
    evaluate.main()
    rows, base_scores = ROWS.read(), np.load(BASE_SCORES)
    assert (base_scores.shape, base_scores.dtype) == ((14, 3), np.float32)
    assert json.loads(Path(BASE_CLASSES).read_text()) == ["amber", "red", "blue"]
    assert np.allclose(rows["base_confidence"], base_scores.max(axis=1) * 100)
    assert set(rows["base_predicted"]) <= {"amber", "red", "blue"}
    assert not np.allclose(rows["base_confidence"], rows["confidence"])


def test_the_base_answers_in_the_names_that_its_classes_have_now(world):
    write_base(["yellow", "red", "blue"])
    images = IMAGES.read()
    images["was"] = images["sub_class"].map({"amber": "yellow"})
    IMAGES.write(images)
    evaluate.main()
    assert json.loads(Path(BASE_CLASSES).read_text()) == ["amber", "red", "blue"]
    assert set(ROWS.read()["base_predicted"]) <= {"amber", "red", "blue"}


def test_the_same_inputs_give_the_same_bytes(world):
    evaluate.main()
    first = digests(FOLDER)
    evaluate.main()
    assert digests(FOLDER) == first
    assert sorted(first) == [
        "base_classes.json", "base_scores.npy", "classes.json", "embeddings.npy", "rows.parquet", "scores.npy",
    ]  # fmt: skip


def test_a_model_that_was_changed_or_a_base_that_cannot_see_these_pictures_is_refused(world):
    write_base(["amber", "blue"], size=32)
    with pytest.raises(InputError, match="are 16 pixels wide, the network takes 32"):
        evaluate.main()
    Path("data/base/model/model.weights.h5").write_bytes(b"other")
    with pytest.raises(BaseError, match=r"data/base/model/model.weights.h5 has the SHA-256"):
        evaluate.main()
    Path("data/model/model.weights.h5").write_bytes(b"other")
    with pytest.raises(InputError, match=r"data/model/model.weights.h5 has the SHA-256 .*dvc repro --force train"):
        evaluate.main()
    assert not Path(FOLDER).exists()


def test_the_best_class_is_the_highest_score_and_confidence_ends_at_100():
    scores = np.array([[0.2, 0.5, 0.3], [1.0000001, 0, 0]], np.float32)
    names, confidences = evaluate.best(scores, ["a", "b", "c"])
    assert names == ["b", "a"]
    assert confidences.tolist() == [50.0, 100.0]


def test_the_log_partition_gives_the_logits_back(world):
    evaluate.main()
    rows, embeddings = ROWS.read(), np.load(EMBEDDINGS).astype(np.float64)
    kernel, bias = files.load(Path("data/model")).network.get_layer("scores").get_weights()
    logits = np.log(np.load(SCORES)) + rows["log_partition"].to_numpy()[:, None]
    np.testing.assert_allclose(logits, embeddings @ kernel + bias, atol=1e-2)
    assert rows["base_log_partition"].isna().all()
    write_base(["amber", "red", "blue"])
    evaluate.main()
    assert ROWS.read()["base_log_partition"].notna().all()


def test_a_training_picture_is_as_far_as_the_means_without_it_and_its_source_and_others_as_they_are_served(world):
    images = IMAGES.read()
    trained = SPLITS.read().query("split == 'train' and class_name == 'amber'")["image_id"]
    images.loc[images["image_id"].isin(trained[:2]), ["source", "sources"]] = ["ann", None]
    IMAGES.write(images)
    evaluate.main()
    rows, means = ROWS.read(), np.load(Path("data/model", CLASS_MEANS))
    vectors = read_vectors(rows["image_id"])
    others = (rows["split"] != "train").to_numpy()
    assert rows.loc[others, "scope_distance"].tolist() == distances(vectors[others], means).tolist()
    of_ann = rows["image_id"].isin(trained[:2]) & ~others
    left = class_means(vectors[~others & ~of_ann], (rows["truth"][~others & ~of_ann] == "blue").astype(int), 2)
    np.testing.assert_allclose(rows.loc[of_ann, "scope_distance"], distances(vectors[of_ann], left), atol=1e-5)


def test_the_base_has_distances_of_its_own_if_it_has_means_of_the_same_embeddings(world, caplog):
    evaluate.main()
    assert ROWS.read()["base_scope_distance"].isna().all()
    write_base(["amber", "red", "blue"])
    caplog.set_level("INFO")
    evaluate.main()
    rows, means = ROWS.read(), np.load(Path("data/base/model", CLASS_MEANS))
    assert rows["base_scope_distance"].tolist() == distances(read_vectors(rows["image_id"]), means).tolist()
    assert "count as if all were in scope" not in caplog.text


@pytest.mark.parametrize("embedded_by", [None, "1" * 64])
def test_a_base_without_means_of_these_embeddings_answers_as_before(world, caplog, embedded_by):
    write_base(["amber", "red", "blue"], embedded_by=embedded_by)
    caplog.set_level("INFO")
    evaluate.main()
    assert ROWS.read()["base_scope_distance"].isna().all()
    assert caplog.text.count("the base has no class means of these embeddings") == 1


def test_a_model_without_class_means_is_refused(world):
    write_model("data/model", ["amber", "blue"], seed=1, embedded_by=None)
    with pytest.raises(InputError, match=r"data/model has no class_means.npy, as train writes it. `dvc repro --force"):
        evaluate.main()


def test_it_calculates_in_the_precision_of_its_parameter(world):
    made = []
    for precision in ("float32", "bfloat16"):
        use_precision(precision)
        evaluate.main()
        made.append(np.load(SCORES))
    assert 0 < np.abs(made[1] - made[0]).max() < MOST_MOVED["bfloat16"]
