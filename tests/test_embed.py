"""Embeddings: each picture once, the same whatever stands beside it, and never of another network or picture."""

import hashlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from pictures import draw
from PIL import Image
from worlds import write_shards

from runtime.errors import InputError
from runtime.outputs import write_json
from stages import embed
from stages.embeddings import graph
from stages.images.letterbox import letterbox
from stages.memos.embedding_memo import EmbeddingMemo
from stages.models.onnx_graph import to_onnx
from stages.shards.codec import encode
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.pretrained import Published, paths

pytestmark = pytest.mark.slow

NETWORK = "efficientnet_lite0"
SIDE = 32  # of the sample's pictures


def write_network(side=SIDE, scale=1.0):
    """A network that sees the mean colours of the quarters of a picture."""
    pictures = tf.TensorSpec((None, side, side, 3), tf.float32, name="pictures")

    def quarters(pictures):
        pooled = tf.nn.avg_pool2d(pictures, side // 2, side // 2, "VALID")
        return {"embedding": scale * tf.reshape(pooled, (-1, 12))}

    Path("data/pretrained").mkdir(exist_ok=True)
    paths(NETWORK).graph.write_bytes(to_onnx(quarters, [pictures]))
    digest = hashlib.sha256(paths(NETWORK).graph.read_bytes()).hexdigest()
    described = {"source": "test", "version": "1", "licence": None, "source_sha256": None, "weights_sha256": "0" * 64}
    published = Published(network=NETWORK, **described, side=side, graph_sha256=digest)
    write_json(paths(NETWORK).description, published.model_dump())


def quarters_of(pixels):
    half = pixels.shape[0] // 2
    return pixels.astype(np.float64).reshape(2, half, 2, half, 3).mean(axis=(1, 3)).ravel()


def pack(pictures, pictures_in_shard=3):
    """Shards of pictures; gives their pixels by image_id."""
    encoded = {hashlib.md5(pixels.tobytes()).hexdigest(): encode(pixels, "png") for pixels in pictures}
    write_shards(encoded, pictures_in_shard)
    return {hashlib.md5(pixels.tobytes()).hexdigest(): pixels for pixels in pictures}


@pytest.fixture
def pictures(workspace):
    """Seven pictures in three shards, and a network."""
    write_network()
    return pack([letterbox(draw(seed), SIDE) for seed in range(7)])


def written():
    return dict(zip(EMBEDDED.read()["image_id"], np.load(EMBEDDINGS), strict=True))


def test_every_picture_is_embedded_as_the_network_sees_it(pictures):
    embed.main()
    assert list(written()) == sorted(pictures)
    assert np.load(EMBEDDINGS).dtype == np.float16
    for image_id, embedding in written().items():
        np.testing.assert_allclose(embedding, quarters_of(pictures[image_id]), rtol=1e-3, atol=0.1)


def test_a_picture_of_another_side_is_scaled_to_what_the_network_takes(workspace):
    write_network(side=64)
    plain = pack([np.full((SIDE, SIDE, 3), (10, 100, 200), np.uint8)])
    embed.main()
    np.testing.assert_allclose(written()[next(iter(plain))], [10, 100, 200] * 4)


def test_only_what_is_new_is_embedded_and_the_bytes_are_those_of_a_run_without_a_memo(pictures, monkeypatch, tmp_path):
    embed.main()
    seen = []
    embed_one = graph.embed
    monkeypatch.setattr(graph, "embed", lambda pixels, *rest: seen.append(1) or embed_one(pixels, *rest))
    embed.main()
    assert not seen
    added = [letterbox(draw(seed), SIDE) for seed in (20, 21)]
    pack([*list(pictures.values())[2:], *added], pictures_in_shard=2)
    embed.main()
    assert len(seen) == 2
    first = Path(EMBEDDINGS).read_bytes(), Path(EMBEDDED.path).read_bytes()
    monkeypatch.setenv("RETRAIN_MEMO", str(tmp_path / "empty"))
    embed.main()
    assert len(seen) == 2 + 7
    assert (Path(EMBEDDINGS).read_bytes(), Path(EMBEDDED.path).read_bytes()) == first


def test_another_network_knows_nothing_of_the_last_ones_embeddings(pictures):
    embed.main()
    before = np.load(EMBEDDINGS)
    write_network(scale=2.0)
    embed.main()
    np.testing.assert_allclose(np.load(EMBEDDINGS), 2 * before, rtol=1e-3)


def test_a_graph_that_is_another_than_its_description_says_is_not_parsed(pictures):
    with paths(NETWORK).graph.open("ab") as file:
        file.write(b"x")
    with pytest.raises(InputError, match=r"efficientnet_lite0\.onnx has the SHA-256 .* `dvc repro --force pretrained`"):
        embed.main()


def test_a_network_that_gives_no_numbers_is_refused(pictures):
    write_network(scale=float("nan"))
    with pytest.raises(InputError, match="gives what is no number"):
        embed.main()


def test_what_is_absent_says_what_writes_it(pictures):
    paths(NETWORK).description.unlink()
    with pytest.raises(InputError, match=r"efficientnet_lite0\.json is not there: `dvc repro --force pretrained`"):
        embed.main()
    write_network()
    Path("data/shards/00001.tar").unlink()
    with pytest.raises(InputError, match=r"00001\.tar is not there: `dvc repro shard` writes it"):
        embed.main()


def test_a_shard_that_holds_another_picture_is_refused(pictures):
    first, second = Path("data/shards/00000.tar"), Path("data/shards/00001.tar")
    first.write_bytes(second.read_bytes())
    with pytest.raises(InputError, match="where the index has"):
        embed.main()


def test_a_damaged_or_another_picture_in_a_shard_is_refused_in_words(pictures):
    image_id = sorted(pictures)[0]
    with pytest.raises(InputError, match=f"holds no picture of 32 x 32 pixels for {image_id}"):
        graph.decoded(b"no picture", SIDE, image_id)
    for other in (encode(np.zeros((16, 16, 3), np.uint8), "png"), encode(np.zeros((32, 16, 3), np.uint8), "webp")):
        with pytest.raises(InputError, match="holds no picture of 32 x 32 pixels"):
            graph.decoded(other, SIDE, image_id)
    buffer = BytesIO()
    Image.new("RGB", (SIDE, SIDE)).save(buffer, "BMP")
    with pytest.raises(InputError, match="holds no picture of 32 x 32 pixels"):
        graph.decoded(buffer.getvalue(), SIDE, image_id)


def test_a_graph_with_a_graph_inside_is_not_written():
    pictures = tf.TensorSpec((None, 4), tf.float32, name="pictures")

    def halved(pictures):
        condition = tf.reduce_sum(pictures) > 1
        return {"embedding": tf.cond(condition, lambda: pictures * pictures[:1], lambda: pictures + 3)}

    with pytest.raises(ValueError, match="a graph inside a node"):
        to_onnx(halved, [pictures])


@given(
    st.lists(st.integers(0, 50), unique=True, min_size=1),
    st.lists(st.integers(0, 50), unique=True, min_size=1),
    st.integers(1, 9),
)
def test_the_memo_gives_back_what_it_was_given(tmp_path_factory, kept, asked, num_features):
    memo = EmbeddingMemo("a" * 64, tmp_path_factory.mktemp("memo"))
    embeddings = np.random.default_rng(0).standard_normal((len(kept), num_features)).astype(np.float16)
    assert not memo.recall([str(number) for number in asked])[0].any()
    memo.keep([str(number) for number in kept], embeddings)
    known, found = memo.recall([str(number) for number in asked])
    assert known.tolist() == [number in kept for number in asked]
    expected = [embeddings[kept.index(number)] for number in asked if number in kept]
    np.testing.assert_array_equal(found, np.array(expected, np.float16).reshape(-1, num_features))


def test_the_rows_are_sorted_whatever_shard_a_picture_stands_in(pictures):
    embed.main()
    index = pd.read_parquet("data/shards/index.parquet")
    assert EMBEDDED.read()["image_id"].tolist() == sorted(index["image_id"])
