import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw
from test_predict import MOST_MOVED
from worlds import use_precision, write_embeddings, write_shards

from runtime import parameters
from runtime.errors import InputError
from stages import identify
from stages.embeddings.discriminant import folds_of
from stages.embeddings.vectors import units
from stages.images.letterbox import letterbox
from stages.models import files, networks
from stages.shards.codec import encode
from stages.suspects.candidates import find_candidates
from stages.suspects.neighbours import Embedded
from stages.suspects.novelty import group_similar, novelty_threshold
from stages.tables.candidates import CANDIDATES
from stages.tables.embeddings import EMBEDDINGS
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES
from stages.tables.model import FOLDER as MODEL
from stages.tables.predictions import BASE_CLASSES, CLASSES, ROWS

pytestmark = pytest.mark.slow

SIZE = 16
UNLABELLED = ["unlabelled/a.png", "unlabelled/sub folder/b.png"]
UNKNOWN = "library/unknown/c.png"


def digest(path):
    return hashlib.md5(path.encode(), usedforsecurity=False).hexdigest()


def fingerprints(paths, broken=()):
    rows = [
        {"path": path, "image_id": digest(path), "error": "cut short" if path in broken else None} for path in paths
    ]
    frame = pd.DataFrame(rows, columns=["path", "image_id", "error"])
    return frame.reindex(columns=FINGERPRINTS.schema.names).astype({"thumbnail": object, "taken_at": object})


def images(rows):
    """Rows of path, class_name, origin and dropped."""
    frame = pd.DataFrame(rows, columns=["path", "class_name", "origin", "dropped"])
    frame["image_id"] = frame["group"] = frame["path"].map(digest)
    frame["set"] = np.where(frame["path"].str.startswith("library/"), "library", "difficult")
    return frame.reindex(columns=IMAGES.schema.names)


def write_world(class_names, files_there, labelled, packed=None):
    """A model of random numbers, a drawn picture a file in shards, and the tables; gives each picture's scores."""
    FINGERPRINTS.write(files_there)
    IMAGES.write(labelled)
    image_ids = sorted(set(files_there["image_id"] if packed is None else packed))
    pixels = np.stack([letterbox(draw(seed), SIZE) for seed in range(len(image_ids))])
    write_shards({image_id: encode(prepared, "png") for image_id, prepared in zip(image_ids, pixels, strict=True)}, 2)
    Path(MODEL).mkdir(parents=True)
    network = networks.build("small", SIZE, len(class_names))
    files.save(Path(MODEL), network, class_names, {name: [name] for name in class_names})
    answers = network.predict_on_batch(pixels)
    write_predictions(class_names)
    names = sorted({*image_ids, *labelled["image_id"]})
    write_embeddings(names, np.random.default_rng(0).random((len(names), 6)))
    return dict(zip(image_ids, answers["scores"], strict=True))


def write_predictions(class_names):
    """A training and a validation picture of each class."""
    splits = np.repeat(["train", "validation"], len(class_names))
    rows = pd.DataFrame({"image_id": [f"{number:032x}" for number in range(len(splits))], "split": splits})
    rows["truth"] = rows["predicted"] = class_names * 2
    nothing = dict.fromkeys(
        (
            "scope_distance",
            "log_partition",
            *(f"base_{name}" for name in ("confidence", "scope_distance", "log_partition")),
        ),
        np.nan,
    )
    ROWS.write(rows.assign(confidence=50.0, base_predicted=None, **nothing))
    Path(CLASSES).write_text(json.dumps(class_names))
    Path(BASE_CLASSES).write_text("[]")


def test_unlabelled_and_unknown_pictures_are_identified_and_no_others():
    there = fingerprints([*UNLABELLED, "unlabelled/cut.png", "library/mug/d.png", UNKNOWN], ["unlabelled/cut.png"])
    labelled = images(
        [
            ("library/mug/d.png", "mug", "real", None),
            (UNKNOWN, None, "unknown", None),
            ("library/unknown/copy.png", None, "unknown", "identical to another"),
        ]
    )
    found = identify.without_label(there, labelled)
    assert found["path"].tolist() == [UNKNOWN, *UNLABELLED]
    assert found["image_id"].tolist() == [digest(path) for path in found["path"]]


def test_the_best_classes_come_first_and_of_equal_ones_the_first():
    scores = np.array([[0.1, 0.2, 0.4, 0.3], [0.25, 0.25, 0.25, 0.25]], np.float32)
    columns, confidences = identify.best_classes(scores)
    assert columns.tolist() == [[2, 3, 1], [0, 1, 2]]
    np.testing.assert_allclose(confidences, [[40, 30, 20], [25, 25, 25]], rtol=1e-6)


def test_a_model_of_two_classes_leaves_the_third_guess_empty():
    columns, confidences = identify.best_classes(np.array([[0.25, 0.75]], np.float32))
    rows = identify.guesses(columns, confidences, ["cup", "mug"]).to_dict("records")
    assert (rows[0]["class_1"], rows[0]["confidence_1"], rows[0]["class_2"]) == ("mug", 75.0, "cup")
    assert pd.isna(rows[0]["class_3"])
    assert pd.isna(rows[0]["confidence_3"])


def test_only_real_pictures_of_the_library_that_are_used_count():
    labelled = images(
        [
            ("library/mug/1", "mug", "real", None),
            ("library/mug/2", "mug", "real", None),
            ("library/mug/3", "mug", "real", "near another"),
            ("library/mug/4", "mug", "staged", None),
            ("benchmarks/difficult/mug/5", "mug", "real", None),
        ]
    )
    assert identify.real_pictures(labelled).to_dict() == {"mug": 2}


@pytest.mark.parametrize(
    ("confidence", "high", "low"),
    [(95.0, True, False), (94.9, False, False), (30.0, False, False), (29.9, False, True)],
)
def test_high_is_from_the_limit_and_low_is_below_it(confidence, high, low):
    guessed = pd.DataFrame({"class_1": ["mug"], "confidence_1": [confidence], "candidate": ["mug"]})
    row = identify.with_filters(guessed, pd.Series({"mug": 3}), {"cup"}, 95.0, 30.0, 3).iloc[0]
    assert (row["high"], row["low"], row["wanted"]) == (high, low, False)


def test_a_class_with_too_few_real_pictures_is_wanted_and_so_is_one_with_none_or_with_staged_ones():
    guessed = pd.DataFrame({"class_1": ["mug", "cup", "jug", "pot", "mug"], "confidence_1": [50.0] * 5})
    guessed["candidate"] = [*guessed["class_1"][:4], "jug"]
    filtered = identify.with_filters(guessed, pd.Series({"mug": 3, "cup": 2, "pot": 9}), {"pot"}, 95.0, 30.0, 3)
    assert filtered["wanted"].tolist() == [False, True, True, True, True]


def test_a_class_relies_on_staged_pictures_if_it_is_trained_with_any():
    paths = [f"library/{name}" for name in "abcd"]
    origins = ["staged", "real", "synthetic", "staged"]
    labelled = images(list(zip(paths, ["mug", "cup", "jug", "pot"], origins, [None] * 4, strict=True)))
    rows = pd.DataFrame({"image_id": labelled["image_id"], "truth": labelled["class_name"], "split": "train"})
    rows.loc[3, "split"] = "test"
    assert identify.relying_classes(labelled, rows) == {"mug", "jug"}


def test_classes_look_alike_where_the_model_takes_enough_pictures_of_one_for_the_other():
    rows = pd.DataFrame(
        [("test", "mug", "cup")] * 2 + [("validation", "mug", "mug")] * 8  # a fifth
        + [("test", "jug", "pot")] + [("test", "jug", "jug")]  # one may be chance
        + [("train", "pot", "cup")] * 5 + [("difficult", "pot", "cup")] * 5 + [("test", None, "pot")] * 4,
        columns=["split", "truth", "predicted"],
    )  # fmt: skip
    pairs = identify.confused_by_model(rows, 0.2)
    assert pairs == {frozenset({"cup", "mug"})}
    assert identify.confused_by_model(rows, 0.21) == set()
    guessed = pd.DataFrame({"class_1": ["cup", "mug", "mug"], "class_2": ["mug", "cup", None]})
    assert identify.look_alike(guessed, pairs) == [True, True, False]


def around(rng, centre, number, spread):
    return np.asarray(centre) + spread * rng.standard_normal((number, len(centre)))


def test_what_is_far_from_everything_is_novel_and_what_is_alike_among_it_shares_a_group():
    rng, axes = np.random.default_rng(0), np.eye(8)
    known = np.concatenate([around(rng, axes[number], 40, 0.05) for number in (0, 1, 0, 1)])
    new = [around(rng, axes[0], 20, 0.05), around(rng, axes[3], 6, 0.02), around(rng, axes[4], 4, 0.02), axes[[5]]]
    guessed = pd.DataFrame({"class_1": ["mug"] * 20 + ["cup"] * 11})
    vectors = [units(each.astype(np.float16)) for each in (np.concatenate(new), known)]
    labelled = Embedded(vectors[1], np.repeat([1, 0, 1, 0], 40), np.arange(160))
    found = identify.with_distances(guessed, vectors[0], labelled, ["cup", "mug"], 0.95)
    assert found["novel"][20:].all()
    assert found["novel"][:20].sum() <= 4
    assert found["novel_group"][20:].fillna(0).tolist() == [1] * 6 + [2] * 4 + [0]
    assert found["novel_group"][:20].isna().all()
    assert (found["distance"] >= found["distance_to_any"]).all()
    nearest = 1 - (vectors[0] @ vectors[1].T).max(axis=1)
    np.testing.assert_allclose(found["distance_to_any"], nearest, atol=1e-5)


def test_a_class_of_one_picture_does_not_make_the_others_less_sure():
    rng = np.random.default_rng(0)
    classes = np.repeat(np.arange(4), 100)
    vectors = units(np.eye(16)[classes] + 0.35 * rng.standard_normal((400, 16)))
    alone = units(np.eye(16)[np.arange(4, 12)] + 0.35 * rng.standard_normal((8, 16)))
    new = units(np.eye(16)[classes[::10]] + 0.35 * rng.standard_normal((40, 16)))
    sure = []
    for number in (0, 8):
        all_of = np.concatenate([vectors, alone[:number]])
        labelled = Embedded(all_of, np.concatenate([classes, np.arange(4, 4 + number)]), np.arange(len(all_of)))
        found = find_candidates(new, labelled, folds_of(range(len(all_of))), 4 + number, np.array([0]))
        assert (found.best == classes[::10]).mean() > 0.8
        sure.append(found.confidence.mean())
    assert sure[1] > sure[0] - 8


def test_pictures_of_one_source_share_a_fold_whatever_is_added():
    table = images([(f"library/mug/{number}.png", "mug", "real", None) for number in range(8)])
    table["source"] = ["ann", "ann", None, None, "ben", None, "ann", None]
    together = identify.labelled_pictures(table).set_index("image_id")["together"]
    folds = dict(zip(together.index, folds_of(together), strict=True))
    assert len({folds[image_id] for image_id in table["image_id"][table["source"] == "ann"]}) == 1
    later = identify.labelled_pictures(table.iloc[1:]).set_index("image_id")["together"]
    assert all(folds[image_id] == fold for image_id, fold in zip(later.index, folds_of(later), strict=True))


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0, 1))
def test_groups_are_the_components_of_the_pairs_that_are_near(seed, num_pictures, distance):
    rng = np.random.default_rng(seed)
    vectors = units(rng.standard_normal((num_pictures, 2)).astype(np.float16))
    groups = group_similar(Embedded(vectors, np.zeros(num_pictures, int), np.arange(num_pictures)), distance)
    sizes = np.bincount(groups)[1:]
    assert (sizes >= 2).all()
    assert sorted(sizes, reverse=True) == sizes.tolist()
    apart = 1 - vectors @ vectors.T
    nearest = apart + 3 * np.eye(num_pictures)
    for picture in range(num_pictures):  # its nearest is in its group if it is near enough, and else it is alone
        other = nearest[picture].argmin()
        if num_pictures > 1 and nearest[picture, other] < distance - 1e-5:
            assert groups[picture] == groups[other] > 0
        elif num_pictures == 1 or nearest[picture, other] > distance + 1e-5:
            assert groups[picture] == 0


@given(st.lists(st.floats(0, 2), min_size=1), st.floats(0, 1))
def test_the_share_of_held_out_pictures_that_are_novel_is_what_was_asked_for_at_most(distances, quantile):
    novel = np.array(distances) > novelty_threshold(np.array(distances), quantile)
    assert novel.sum() <= (1 - quantile) * len(distances) + 1e-6
    assert novelty_threshold(np.empty(0), quantile) == np.inf


def test_it_calculates_in_the_precision_of_evaluate(workspace):
    scores = write_world(["cup", "mug"], fingerprints(UNLABELLED), images([("library/cup.png", "cup", "real", None)]))
    use_precision("bfloat16")
    guessed = identify.identify(list(scores), parameters.read(parameters.Evaluate))
    moved = np.abs(guessed["confidence_1"] / 100 - np.max(list(scores.values()), axis=1)).max()
    assert 0 < moved < MOST_MOVED["bfloat16"]


def test_the_stage_writes_what_the_model_says_of_every_picture(workspace):
    twice = "unlabelled/the same file again.png"
    there = fingerprints([*UNLABELLED, twice, UNKNOWN])
    there.loc[there["path"] == twice, "image_id"] = digest(UNLABELLED[0])
    labelled = [(f"library/{name}/{name}.png", name, "real", None) for name in ("cup", "jug", "mug", "pot", "tiny")]
    scores = write_world(["cup", "jug", "mug", "pot"], there, images([(UNKNOWN, None, "unknown", None), *labelled]))
    identify.main()
    rows = IDENTIFIED.read()
    assert rows["path"].tolist() == sorted([*UNLABELLED, twice, UNKNOWN])
    for row in rows.itertuples():
        best = np.sort(100 * scores[row.image_id])[::-1][:3]
        np.testing.assert_allclose([row.confidence_1, row.confidence_2, row.confidence_3], best, atol=1e-3)
        assert row.class_1 == ["cup", "jug", "mug", "pot"][scores[row.image_id].argmax()]
        assert (row.high, row.low, row.wanted) == (best[0] >= 95, best[0] < 30, True)
        assert 0 <= row.distance_to_any <= row.distance <= 1
        assert row.candidate in {"cup", "jug", "mug", "pot", "tiny"}
        assert 20 <= row.candidate_confidence <= 100
    listed = CANDIDATES.read()
    near = rows.drop_duplicates("image_id").loc[lambda frame: ~frame["novel"], "image_id"]
    for name in ("cup", "jug", "mug", "pot", "tiny"):  # each has one real picture, and none is enough
        own = listed[listed["class_name"] == name]
        assert sorted(own["image_id"]) == sorted(near)
        assert own["rank"].tolist() == list(range(1, len(near) + 1))
        assert own["confidence"].is_monotonic_decreasing
    assert not rows["look_alike"].any()


def test_a_pair_that_people_say_is_confused_looks_alike_whichever_comes_first(workspace):
    write_world(["cup", "mug"], fingerprints([*UNLABELLED, UNKNOWN]), images([(UNKNOWN, None, "unknown", None)]))
    Path("data/confused.csv").write_text("truth,predicted,weight\nmug,cup,0.5\n")
    identify.main()
    assert IDENTIFIED.read()["look_alike"].all()


def test_absent_predictions_say_what_writes_them(workspace):
    write_world(["cup", "mug"], fingerprints(UNLABELLED), images([]))
    Path(EMBEDDINGS).unlink()
    with pytest.raises(InputError, match="embeddings.npy is not there: `dvc repro --force embed` writes it"):
        identify.main()
    Path(BASE_CLASSES).unlink()
    with pytest.raises(InputError, match="base_classes.json is not there: `dvc repro evaluate` writes it"):
        identify.main()


def test_two_runs_write_the_same_bytes(workspace):
    write_world(["cup", "mug"], fingerprints([*UNLABELLED, UNKNOWN]), images([(UNKNOWN, None, "unknown", None)]))
    identify.main()
    first = Path(IDENTIFIED.path).read_bytes()
    identify.main()
    assert Path(IDENTIFIED.path).read_bytes() == first
    assert IDENTIFIED.read()["class_3"].isna().all()


def test_nothing_to_identify_gives_an_empty_table_without_a_model(workspace, caplog):
    FINGERPRINTS.write(fingerprints(["library/mug/d.png"]))
    IMAGES.write(images([("library/mug/d.png", "mug", "real", None)]))
    with caplog.at_level("INFO"):
        identify.main()
    assert IDENTIFIED.read().empty
    assert "nothing to do: data/unlabelled has no picture" in caplog.text


def test_a_picture_that_is_in_no_shard_stops_the_stage(workspace):
    there = fingerprints(UNLABELLED)
    write_world(["cup", "mug"], there, images([]), packed=[digest(UNLABELLED[0])])
    with pytest.raises(InputError, match=r"1 of 2 pictures are in no shard.*dvc repro shard"):
        identify.main()
    assert not Path(IDENTIFIED.path).exists()
