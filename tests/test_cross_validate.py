from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from worlds import digests, write_world

from runtime.errors import InputError
from stages import cross_validate
from stages.tables.held_out import FOLDER, HELD_OUT, HELD_OUT_SCORES
from stages.tables.images import IMAGES
from stages.tables.splits import SPLITS
from stages.training import session
from stages.training.cross_validation import folds_of

pytestmark = pytest.mark.slow


def ask_for(folds):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["score"]["folds"] = folds
    Path("params.yaml").write_text(yaml.safe_dump(params))


@given(st.lists(st.text("abc", max_size=3)), st.integers(2, 9), st.text("abc", max_size=3))
def test_a_group_is_held_out_together_whatever_else_there_is(groups, num_folds, another):
    folds = folds_of(groups, num_folds)
    assert set(folds) <= set(range(num_folds))
    assert len({*zip(groups, folds, strict=True)}) == len(set(groups))
    assert folds_of([another, *groups], num_folds)[1:].tolist() == folds.tolist()


def test_nothing_is_trained_unless_it_is_asked_for(workspace):
    cross_validate.main()  # there are no shards to train with
    assert HELD_OUT.read().empty
    assert np.load(HELD_OUT_SCORES).shape == (0, 0)


def test_each_training_picture_is_scored_by_a_network_that_was_trained_on_the_other_folds(workspace, monkeypatch):
    rows = write_world(train=8, validation=2, test=1, epochs_from_scratch=1)
    ask_for(3)
    images = IMAGES.read()
    training = sorted(rows.loc[rows["split"] == "train", "image_id"])
    images.loc[images["image_id"].isin(training[:4]), "group"] = training[0]
    IMAGES.write(images)
    trained, fit = [], session.fit
    monkeypatch.setattr(
        session, "fit", lambda network, *others: trained.append(others[0].image_ids) or fit(network, *others)
    )
    cross_validate.main()
    held_out, scores = HELD_OUT.read(), np.load(HELD_OUT_SCORES)
    assert held_out["image_id"].tolist() == training
    assert held_out["fold"][:4].nunique() == 1
    for fold, image_ids in zip(sorted(held_out["fold"].unique()), trained, strict=True):
        assert image_ids == held_out.loc[held_out["fold"] != fold, "image_id"].tolist()
    assert (scores.dtype, scores.shape) == (np.float32, (16, 2))
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-5)
    assert not list(Path(".dvc/tmp/retrain/checkpoints").iterdir())
    first = digests(FOLDER)
    cross_validate.main()
    assert digests(FOLDER) == first


def test_a_wrong_label_is_seen_through_by_networks_that_were_not_taught_it(workspace):
    rows = write_world(train=12, validation=2, test=1, epochs_from_scratch=8, learning_rate_from_scratch=0.01)
    ask_for(2)
    splits = SPLITS.read()
    wrong = rows.loc[(rows["split"] == "train") & (rows["class_name"] == "amber"), "image_id"].iloc[0]
    splits.loc[splits["image_id"] == wrong, "class_name"] = "blue"
    SPLITS.write(splits)
    cross_validate.main()
    scores = np.load(HELD_OUT_SCORES)[HELD_OUT.read()["image_id"] == wrong]
    assert scores[0, 0] > 0.5  # amber


def test_too_few_pictures_for_folds_stop_it(workspace):
    rows = write_world(train=1, validation=1, test=0)
    ask_for(2)
    images = IMAGES.read()
    images["group"] = images["image_id"].min()  # all in one fold
    IMAGES.write(images)
    assert len(rows) == 4
    with pytest.raises(InputError, match="has no picture of the split 'train'"):
        cross_validate.main()
