import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from pictures import draw
from worlds import write_shards

from stages import identify
from stages._errors import InputError
from stages.images.codec import encode
from stages.images.letterbox import letterbox
from stages.models import files, networks
from stages.tables.fingerprints import FINGERPRINTS
from stages.tables.identified import IDENTIFIED
from stages.tables.images import IMAGES

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
    return frame.reindex(columns=FINGERPRINTS.schema.names).astype({"thumbnail": object})


def images(rows):
    """Rows of path, class_name, origin and dropped."""
    frame = pd.DataFrame(rows, columns=["path", "class_name", "origin", "dropped"])
    frame["image_id"] = frame["path"].map(digest)
    frame["set"] = np.where(frame["path"].str.startswith("library/"), "library", "difficult")
    return frame.reindex(columns=IMAGES.schema.names)


def write_world(class_names, files_there, labelled, packed=None):
    """A model of random numbers, a drawn picture a file in shards, and the tables; gives each picture's scores."""
    FINGERPRINTS.write(files_there)
    IMAGES.write(labelled)
    image_ids = sorted(set(files_there["image_id"] if packed is None else packed))
    pixels = np.stack([letterbox(draw(seed), SIZE) for seed in range(len(image_ids))])
    write_shards({image_id: encode(prepared, "png") for image_id, prepared in zip(image_ids, pixels, strict=True)}, 2)
    Path(files.MODEL).mkdir(parents=True)
    network = networks.build("small", SIZE, len(class_names))
    files.save(Path(files.MODEL), network, class_names, {name: [name] for name in class_names})
    return dict(zip(image_ids, network.predict_on_batch(pixels)["scores"], strict=True))


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
    rows = identify.guesses(["x"], columns, confidences, ["cup", "mug"]).to_dict("records")
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
    guessed = pd.DataFrame({"class_1": ["mug"], "confidence_1": [confidence]})
    row = identify.with_filters(guessed, pd.Series({"mug": 3}), 95.0, 30.0, 3).iloc[0]
    assert (row["high"], row["low"], row["wanted"]) == (high, low, False)


def test_a_class_with_too_few_real_pictures_is_wanted_and_so_is_one_with_none():
    guessed = pd.DataFrame({"class_1": ["mug", "cup", "jug"], "confidence_1": [50.0, 50.0, 50.0]})
    wanted = identify.with_filters(guessed, pd.Series({"mug": 3, "cup": 2}), 95.0, 30.0, 3)["wanted"]
    assert wanted.tolist() == [False, True, True]


def test_the_stage_writes_what_the_model_says_of_every_picture(workspace):
    twice = "unlabelled/the same file again.png"
    there = fingerprints([*UNLABELLED, twice, UNKNOWN])
    there.loc[there["path"] == twice, "image_id"] = digest(UNLABELLED[0])
    scores = write_world(["cup", "jug", "mug", "pot"], there, images([(UNKNOWN, None, "unknown", None)]))
    identify.main()
    rows = IDENTIFIED.read()
    assert rows["path"].tolist() == sorted([*UNLABELLED, twice, UNKNOWN])
    for row in rows.itertuples():
        best = np.sort(100 * scores[row.image_id])[::-1][:3]
        np.testing.assert_allclose([row.confidence_1, row.confidence_2, row.confidence_3], best, atol=1e-3)
        assert row.class_1 == ["cup", "jug", "mug", "pot"][scores[row.image_id].argmax()]
        assert (row.high, row.low, row.wanted) == (best[0] >= 95, best[0] < 30, True)


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
