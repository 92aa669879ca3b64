from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import draw, hash_of, save, saved, thumbnail_of
from PIL import Image
from worlds import write_embeddings

from runtime import parameters
from stages import dedup, fingerprint
from stages.duplicates import copies
from stages.duplicates.comparison import COLUMNS
from stages.embeddings.vectors import units
from stages.labels.preference import preference
from stages.memos.pair_memo import PairMemo
from stages.tables.alike import ALIKE
from stages.tables.duplicates import DUPLICATES
from stages.tables.fingerprints import FINGERPRINTS


def pictures(**looks):
    """Pictures by name: hash, digest of the pixels, and what the thumbnail shows."""
    rows = [
        (name * 32, phash, pixels, thumbnail_of(draw(seed))) for name, (phash, pixels, seed) in sorted(looks.items())
    ]
    return pd.DataFrame(rows, columns=["image_id", "phash", "pixels", "thumbnail"])


A, B, C, D = ("a" * 32, "b" * 32, "c" * 32, "d" * 32)
# Three of one look, and one whose hash is near and whose look is another.
SOME = pictures(a=(0b0, "p", 1), b=(0b11, "p", 1), c=(0b1111111, "q", 1), d=(0b1, "r", 2))
NOTHING = frozenset()


def params(distance):
    return parameters.Dedup(
        distance=distance, similarity=0.9, colour=0.0, neighbours=2, edges=0.9, alike=0.9, distance_alone=0
    )


def as_rows(frame):
    return list(frame[["image_a", "image_b", "kind", "distance"]].itertuples(index=False, name=None))


def test_pairs_within_the_distance_are_identical_or_near():
    pairs = dedup.find_pairs(SOME, params(2), NOTHING, NOTHING)
    assert as_rows(pairs) == [(A, B, "identical", 2)]
    assert as_rows(dedup.find_pairs(SOME, params(5), NOTHING, NOTHING))[1:] == [(B, C, "near", 5)]


def test_a_near_hash_is_not_enough_and_a_low_similarity_is_none():
    everything = dedup.find_pairs(SOME, params(2).model_copy(update={"similarity": 0.01}), NOTHING, NOTHING)
    assert (everything["similarity"] >= 0.01).all()
    assert D not in set(dedup.find_pairs(SOME, params(20), NOTHING, NOTHING)[["image_a", "image_b"]].stack())


def test_people_s_word_counts_more_than_the_looks():
    said = dedup.find_pairs(SOME, params(2), frozenset({(A, C), (A, D)}), frozenset({(A, B)}))
    assert as_rows(said) == [(A, C, "near", 7), (A, D, "near", said["distance"][1])]
    assert said["similarity"][0] > 0.99 > 0.9 > said["similarity"][1]


def test_decisions_about_pictures_that_are_gone_change_nothing():
    gone = frozenset({(A, "e" * 32)})
    assert as_rows(dedup.find_pairs(SOME, params(0), gone, gone)) == []


@pytest.mark.parametrize("number", [0, 1])
def test_no_pictures_and_one_have_no_pairs(number):
    assert dedup.find_pairs(SOME.head(number), params(14), NOTHING, NOTHING).empty


SEEDS = st.sampled_from([1, 1, 2])
LOOKS = st.dictionaries(st.sampled_from("abcdefgh"), st.tuples(st.integers(0, 255), st.sampled_from("pqrs"), SEEDS))


@pytest.mark.slow
@given(st.lists(LOOKS.filter(len), min_size=2, max_size=4))
def test_what_was_compared_before_changes_no_pair(libraries):
    with TemporaryDirectory() as folder:
        memo = PairMemo("pairs", COLUMNS, "1", Path(folder))
        for looks in libraries:
            frame = pictures(**looks)
            alone = dedup.find_pairs(frame, params(6), NOTHING, NOTHING)
            pd.testing.assert_frame_equal(dedup.find_pairs(frame, params(6), NOTHING, NOTHING, memo), alone)


def test_a_pair_is_the_same_whichever_of_the_two_is_new():
    one, other = draw(3), draw(3).transpose(Image.Transpose.ROTATE_90)
    rows = [("a" * 32, hash_of(one), "p", thumbnail_of(one))]
    rows.append(("b" * 32, hash_of(other), "q", thumbnail_of(other)))
    both = pd.DataFrame(rows, columns=["image_id", "phash", "pixels", "thumbnail"])
    alone = dedup.find_pairs(both, params(14), NOTHING, NOTHING)
    assert alone["turn"].tolist() == ["rotate_270"]
    for first in (both.head(1), both.tail(1)):
        with TemporaryDirectory() as folder:
            memo = PairMemo("pairs", COLUMNS, "1", Path(folder))
            dedup.find_pairs(first.reset_index(drop=True), params(14), NOTHING, NOTHING, memo)
            pd.testing.assert_frame_equal(dedup.find_pairs(both, params(14), NOTHING, NOTHING, memo), alone)


def compare_neighbours(looks, vectors, memo=None):
    frame = pictures(**looks).assign(width=40, height=30)
    return copies.compare_neighbours(frame, vectors, params(0), memo)


@pytest.mark.slow
@settings(max_examples=20)
@given(st.lists(LOOKS, min_size=2, max_size=4), st.data())
def test_neighbours_that_were_compared_before_change_no_pair(libraries, data):
    seeds = st.dictionaries(st.sampled_from("abcdefgh"), st.integers(0, 3), min_size=8)
    with TemporaryDirectory() as folder:
        memo = PairMemo("neighbours", copies.COLUMNS, "1", Path(folder))
        for looks in libraries:
            seed_of = data.draw(seeds)  # another embedding for some that stay
            rows = [np.random.default_rng(seed_of[name]).normal(size=4) for name in sorted(looks)]
            vectors = units(np.array(rows).reshape(-1, 4))
            alone = compare_neighbours(looks, vectors)
            pd.testing.assert_frame_equal(compare_neighbours(looks, vectors, memo), alone)


def test_a_part_that_only_its_embedding_leads_to_is_a_duplicate_and_an_alike_picture_stays(workspace):
    image = draw(1, (96, 72)).resize((192, 144))
    parts = {"whole": image, "part": image.crop((19, 14, 173, 130))}
    shot = Image.blend(image, draw(2, (192, 144)), 0.45)
    for name, each in (parts | {"shot": shot} | {f"other{seed}": draw(seed, (96, 72)) for seed in range(3, 9)}).items():
        each.save(workspace / f"data/library/{name}.png")
    fingerprint.main()
    paths = FINGERPRINTS.read().set_index("image_id")["path"].map(lambda path: Path(path).stem)
    embedded = [image_id for image_id in paths.index if paths[image_id] != "other3"]  # as if it had no embedding
    alike = np.array([float(paths[image_id] in ("whole", "part", "shot")) for image_id in embedded])
    own = np.eye(len(embedded)) * np.where(alike, 0.3, 1.0)
    write_embeddings(embedded, np.column_stack([alike, own]))
    dedup.main()
    found = {frozenset(paths[list(pair)]) for pair in DUPLICATES.read()[["image_a", "image_b"]].values}
    assert found == {frozenset(parts)}
    others = {frozenset(paths[list(pair)]) for pair in ALIKE.read()[["image_a", "image_b"]].values}
    assert others == {frozenset(("whole", "shot")), frozenset(("part", "shot"))}


def test_a_memo_that_cannot_be_kept_costs_time_and_no_pair(tmp_path, caplog):
    (tmp_path / "pairs").write_text("a file where the memo's folder should be")
    frame = pictures(a=(1, "p", 1), b=(2, "q", 1))
    found = dedup.find_pairs(frame, params(14), NOTHING, NOTHING, PairMemo("pairs", COLUMNS, "1", tmp_path))
    pd.testing.assert_frame_equal(found, dedup.find_pairs(frame, params(14), NOTHING, NOTHING))
    assert len(found) == 1
    assert (
        f"dedup: the next run will compare all pictures again, as the memo cannot be kept in {tmp_path}" in caplog.text
    )


HASHES = st.lists(st.integers(0, 255), unique=True, min_size=2, max_size=12)


@pytest.mark.slow
@given(HASHES, st.data())
def test_a_pair_called_distinct_never_comes_back_however_pictures_come_and_go(hashes, data):
    frame = pd.DataFrame({"image_id": [f"{value:032x}" for value in sorted(hashes)], "phash": sorted(hashes)})
    frame = frame.assign(pixels=frame["image_id"], thumbnail=thumbnail_of(draw(1)))
    pairs = set(
        zip(*dedup.find_pairs(frame, params(8), NOTHING, NOTHING)[["image_a", "image_b"]].values.T, strict=True)
    )
    distinct = frozenset(data.draw(st.sets(st.sampled_from(sorted(pairs)))))
    rest = frame[data.draw(st.lists(st.booleans(), min_size=len(frame), max_size=len(frame)))]
    left = dedup.find_pairs(rest, params(8), NOTHING, distinct)
    here = set(rest["image_id"])
    assert set(zip(left["image_a"], left["image_b"], strict=True)) == {
        pair for pair in pairs - distinct if here.issuperset(pair)
    }


@pytest.mark.parametrize("transpose", Image.Transpose)
def test_a_turned_picture_is_found_and_the_turn_that_brings_it_back_is_named(workspace, transpose):
    for seed in range(4):
        save(workspace / f"data/library/a/{seed}.png", seed, (64, 64))
    draw(3, (64, 64)).transpose(transpose).save(workspace / "data/library/a/turned.png")
    fingerprint.main()
    dedup.main()
    (pair,) = DUPLICATES.read().itertuples()
    paths = FINGERPRINTS.read().set_index("image_id")["path"]
    images = [Image.open(workspace / "data" / paths[image_id]) for image_id in (pair.image_a, pair.image_b)]
    assert images[1].transpose(Image.Transpose[pair.turn.upper()]).tobytes() == images[0].tobytes()
    assert pair.similarity > 0.99


def labelled(*rows):
    return pd.DataFrame(rows, columns=["image_id", "set", "class_name", "rank"])


PAIR = pd.DataFrame({"image_a": [A], "image_b": [B]})
BY_ID = pd.Series([A, B])


def judged(*rows, best_first=BY_ID):
    return dedup.judge_pairs(PAIR, labelled(*rows), best_first)


def test_the_picture_of_lower_rank_is_kept_and_a_benchmark_s_before_the_library_s():
    assert judged((A, "library", "x", 1), (B, "library", "x", 0))["keep"].tolist() == [B]
    assert judged((A, "hard", "x", 1), (B, "library", "x", 0))["keep"].tolist() == [A]
    assert judged((B, "library", "x", 0))["keep"].tolist() == [B]


def test_two_classes_are_a_label_conflict_and_a_missing_class_is_none():
    assert judged((A, "library", "x", 0), (B, "library", "y", 1))["label_conflict"].all()
    assert not judged((A, "library", "x", 0), (B, "library", None, 1))["label_conflict"].any()


def test_of_two_unlabelled_pictures_the_better_file_is_kept_and_a_labelled_one_before_both():
    assert judged(best_first=pd.Series([B, A]))["keep"].tolist() == [B]
    assert judged((A, "library", "x", 0), best_first=pd.Series([B, A]))["keep"].tolist() == [A]


SIDES = {"original": (200, 150), "small": (100, 75)}
PHOTO = draw(3, SIDES["original"])
COPIES = {
    "small": saved(PHOTO.resize(SIDES["small"]), "JPEG", quality=100),
    "grey": saved(PHOTO.convert("L"), "JPEG", quality=100),
    "grey saved in colour": saved(PHOTO.convert("L").convert("RGB"), "WEBP", quality=100),
    "recompressed": saved(PHOTO, "JPEG", quality=60),
    "website": saved(PHOTO, "WEBP", quality=100),
    "few colours": saved(PHOTO, "GIF"),
}


@pytest.mark.parametrize("copy", COPIES)
@pytest.mark.parametrize("folder", ["library/a", "unlabelled"])
def test_a_copy_gives_way_to_the_original(workspace, copy, folder):
    original = saved(PHOTO, "JPEG", quality=90)
    # The names sort either way: MD5 is as good as chance, and here nothing but the file may decide.
    kept = []
    for number in range(4):
        contents = {"original": original + b"\0" * number, "copy": COPIES[copy]}
        for name, data in contents.items():
            path = workspace / f"data/{folder}/{name}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        save(workspace / "data/library/a/other.png", 8)
        fingerprint.main()
        dedup.main()
        paths = FINGERPRINTS.read().set_index("image_id")["path"]
        kept += [paths[image_id] for image_id in DUPLICATES.read()["keep"]]
    assert kept == [f"{folder}/original"] * 4


def test_a_person_s_keep_and_a_real_picture_come_before_the_better_file(workspace):
    save(workspace / "data/library/a/other.png", 8)
    path = workspace / "data/library/a/small"
    path.write_bytes(COPIES["small"])
    (workspace / "data/library/b").mkdir()
    (workspace / "data/library/b/original").write_bytes(saved(PHOTO, "JPEG", quality=90))
    fingerprint.main()
    small = FINGERPRINTS.read().set_index("path")["image_id"]["library/a/small"]
    dedup.main()
    assert small not in DUPLICATES.read()["keep"].tolist()
    (workspace / "data/classes.yaml").write_text("origin:\n  staged: [b]\n")
    dedup.main()
    assert DUPLICATES.read()["keep"].tolist() == [small]
    (workspace / "data/classes.yaml").write_text("")
    (workspace / "data/decisions/ann.csv").write_text(
        f"image_id,decision,value,on,why\n{small},keep,,2026-01-01T00:00:00.000Z,\n"
    )
    dedup.main()
    assert DUPLICATES.read()["keep"].tolist() == [small]


def file(name, width=40, height=30, kind="JPEG", num_bytes=1000, chroma=0.5):
    return {"path": name, "image_id": name * 32, "width": width, "height": height, "format": kind, "bytes": num_bytes,
            "chroma": chroma}  # fmt: skip


def best_first(*files, trained=()):
    frame = pd.DataFrame(files).astype({"width": "Int64", "height": "Int64", "bytes": "Int64"})
    return "".join(frame["path"].iloc[preference(frame, trained).argsort()])


@pytest.mark.parametrize(
    "files",
    [
        (file("b", 41, chroma=0), file("a")),  # more pixels
        (file("b", num_bytes=10), file("a", chroma=0.01)),  # colour
        (file("b", kind="PNG", num_bytes=10), file("a")),  # nothing lost
        (file("b", kind="MPO", num_bytes=10), file("a", kind="WEBP")),  # as cameras write it
        (file("b", num_bytes=1001), file("a")),  # less compressed
        (file("a", 30, 40), file("b")),  # nothing but the smaller image_id; a turned picture has as many pixels
        (file("a", kind="PNG"), file("b", kind="PNG", num_bytes=1001)),  # harder packed, and nothing is lost
        (file("b"), file("a", width=None, height=None, kind=None, chroma=None)),  # unreadable
    ],
)
def test_the_better_file_comes_first(files):
    expected = "".join(each["path"] for each in files)
    assert best_first(*files) == best_first(*files[::-1]) == expected


def test_what_the_base_was_trained_on_comes_before_the_smaller_image_id_alone():
    assert best_first(file("a"), file("b"), trained=["b" * 32]) == "ba"
    assert best_first(file("a", num_bytes=1001), file("b"), trained=["b" * 32]) == "ab"


FILES = st.builds(
    file, st.sampled_from("abcdefgh"), st.integers(1, 3), st.integers(1, 3), st.sampled_from(["JPEG", "PNG", "GIF"]),
    st.integers(1, 3), st.sampled_from([0.0, 0.5]),
)  # fmt: skip


@given(st.lists(FILES, min_size=1, unique_by=lambda each: each["path"]), st.data())
def test_which_of_two_files_is_better_depends_on_no_third(files, data):
    some = data.draw(st.lists(st.sampled_from(files), unique_by=lambda each: each["path"], min_size=1))
    here = {each["path"] for each in some}
    assert [name for name in best_first(*files) if name in here] == list(best_first(*some))


def test_main_finds_a_planted_pair(workspace, caplog):
    caplog.set_level("INFO")
    for seed in range(5):
        save(workspace / f"data/library/a/{seed}.png", seed)
    draw(3).point(lambda value: min(255, value + 4)).save(workspace / "data/library/a/again.png")
    draw(4).save(workspace / "data/library/a/4 resaved.png", compress_level=0)
    fingerprint.main()
    dedup.main()
    ids = FINGERPRINTS.read().set_index("path")["image_id"]
    kinds = {frozenset(row[:2]): row[2] for row in as_rows(DUPLICATES.read())}
    assert kinds == {
        frozenset(ids[["library/a/3.png", "library/a/again.png"]]): "near",
        frozenset(ids[["library/a/4.png", "library/a/4 resaved.png"]]): "identical",
    }
    assert "comparing 7 pictures" in caplog.text
    assert "1 identical pair and 1 near pair; 0 of them between two classes; 0 other pairs alike" in caplog.text
