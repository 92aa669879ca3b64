"""The nearest pictures of the library beside what users sent: from `make harvest` to the page, through a real graph."""

import hashlib
import logging
import shutil
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from desks import prepared
from odd_files import seen_alike
from onnx import TensorProto, helper
from pictures import saved
from PIL import Image
from test_gateway_keeper import World
from test_harvest import add

from curation.ledger import Ledger
from curation.pages.production import Production
from curation.snapshot import Tables
from intake import harvest
from intake.embeddings import read_embeddings, write_embeddings
from runtime import parameters
from runtime.outputs import write_json
from stages import embed, shard
from stages.embeddings import graph
from stages.tables.embeddings import EMBEDDED, EMBEDDINGS
from stages.tables.pretrained import FOLDER, Published, paths

SIDE = 32  # of prepared pictures, in the repository's params.yaml
NETWORK = "efficientnet_lite0"


def write_network(scale: float = 1.0) -> None:
    """A network that sees the mean colours of sixteen parts of a picture."""
    part = [SIDE // 4] * 2
    nodes = [
        helper.make_node("Transpose", ["pictures"], ["channels"], perm=[0, 3, 1, 2]),
        helper.make_node("AveragePool", ["channels"], ["means"], kernel_shape=part, strides=part),
        helper.make_node("Flatten", ["means"], ["flat"]),
        helper.make_node("Mul", ["flat", "scale"], ["embedding"]),
    ]
    made = helper.make_graph(
        nodes,
        "means",
        [helper.make_tensor_value_info("pictures", TensorProto.FLOAT, ["n", SIDE, SIDE, 3])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", 48])],
        [helper.make_tensor("scale", TensorProto.FLOAT, [1], [scale])],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    Path(FOLDER).mkdir(parents=True, exist_ok=True)
    paths(NETWORK).graph.write_bytes(content := model.SerializeToString())
    described = {"source": "test", "version": "1", "licence": None, "source_sha256": None, "weights_sha256": "0" * 64}
    digest = hashlib.sha256(content).hexdigest()
    write_json(
        paths(NETWORK).description,
        Published(network=NETWORK, **described, side=SIDE, graph_sha256=digest).model_dump(),
    )


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    """A library that was packed and embedded by the stages."""
    with prepared(tmp_path_factory.mktemp("nearest")) as library:
        write_network()
        shard.main()
        embed.main()
        yield library


@pytest.fixture
def world(library, tmp_path, monkeypatch, caplog):
    """The log of a gateway; nothing was harvested."""
    caplog.set_level(logging.INFO)
    shutil.rmtree(harvest.FOLDER, ignore_errors=True)
    write_network()
    made = World(tmp_path)
    made.rng = np.random.default_rng(0)
    monkeypatch.setattr("sys.argv", ["harvest", "--from", str(made.folder)])
    yield made
    made.log.close()


def photo_of(image_id: str) -> bytes:
    """A picture of the library, as another file of the same pixels."""
    (path,) = Tables().current().paths(image_id)
    data = saved(Image.open(Path("data", path)), "PNG", compress_level=1)
    assert hashlib.md5(data).hexdigest() != image_id
    return data


def send(world, data: bytes) -> tuple[str, str]:
    """Have a picture answered: hat, else boots, else shirt; gives its transaction and its image_id."""
    image_id = world.pictures.store(data)
    best = {"class_2": "boots", "class_3": "shirt", "confidence_2": 1.0, "confidence_3": 0.5}
    return add(world, 1, "hat", image_id=image_id, **best), image_id


def shown(image_id: str) -> dict[str, list[str]]:
    """The pictures that the page shows of each of the best classes."""
    item = Production().item(Tables().current(), Ledger(), image_id)
    return {each["name"]: each["nearest"] for each in item["examples"]}


def nearest(to: str, members: list[str]) -> list[str]:
    """Order pictures of the library by what the stage `embed` saw."""
    ids, vectors = EMBEDDED.read()["image_id"].tolist(), np.load(EMBEDDINGS).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    own = vectors[ids.index(to)]
    return sorted(members, key=lambda each: -vectors[ids.index(each)] @ own)


def test_the_page_shows_of_each_class_the_pictures_of_the_library_that_are_most_like_what_was_sent(library, world):
    for like in (library.library["hat"][3], library.library["shirt"][5]):
        _, image_id = send(world, photo_of(like))
        harvest.main()
        found = shown(image_id)
        assert found[library.class_of(library.label_of(like))][0] == like
        snapshot = Tables().current()
        assert found == {name: nearest(like, snapshot.members[name])[:2] for name in ("hat", "boots", "shirt")}


def test_what_was_sent_is_embedded_exactly_as_a_picture_of_the_library(library, tmp_path):
    files = {hashlib.md5(each).hexdigest(): each for each in seen_alike().values()}
    for image_id, content in files.items():
        (tmp_path / image_id).write_bytes(content)
    write_embeddings(tmp_path / "embeddings.parquet", tmp_path, list(files))
    found = read_embeddings(tmp_path / "embeddings.parquet")
    assert list(found) == list(files)
    codec, max_pixels = parameters.read(parameters.Shard).codec, parameters.read(parameters.Fingerprint).max_pixels
    for image_id, embedding in found.items():
        packed = shard.prepare((image_id, str(tmp_path / image_id)), SIDE, codec, max_pixels)
        digest = hashlib.sha256(paths(NETWORK).graph.read_bytes()).hexdigest()
        expected = graph.embed(graph.decoded(packed, SIDE, image_id), paths(NETWORK).graph, digest)
        assert embedding.dtype == np.float16 and embedding.tobytes() == expected.tobytes()


def embedded() -> list[str]:
    return pq.read_table(harvest.EMBEDDINGS)["image_id"].to_pylist() if harvest.EMBEDDINGS.exists() else []


def test_of_what_was_forgotten_no_embedding_stays_and_of_what_stays_none_is_computed_again(library, world, monkeypatch):
    (first, gone), (second, kept) = (send(world, photo_of(library.library["hat"][n])) for n in (0, 1))
    harvest.main()
    assert set(embedded()) == {gone, kept}
    before = read_embeddings(harvest.EMBEDDINGS)[kept]
    world.keeper.forget(first, datetime.now(UTC))
    monkeypatch.setattr(graph, "embed", None)
    harvest.main()
    assert embedded() == [kept]
    assert read_embeddings(harvest.EMBEDDINGS)[kept].tobytes() == before.tobytes()
    assert gone not in {path.name for path in harvest.FOLDER.rglob("*")}
    world.keeper.forget(second, datetime.now(UTC))
    harvest.main()
    assert not harvest.EMBEDDINGS.exists()


@pytest.mark.parametrize("part", ["description", "graph"])
def test_without_the_network_a_line_says_so_nothing_old_stays_and_the_page_shows_what_is_typical(
    library, world, caplog, part
):
    transaction, _ = send(world, photo_of(library.library["hat"][0]))
    harvest.main()
    world.keeper.forget(transaction, datetime.now(UTC))
    _, image_id = send(world, photo_of(library.library["hat"][1]))
    path = getattr(paths(NETWORK), part)
    path.unlink()
    graph._session.cache_clear()  # as in another process
    caplog.clear()
    harvest.main()
    (line,) = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert line.startswith("harvest: the desk will show a typical picture of a class, not the nearest: ")
    assert f"{path} is not there" in line and "\n" not in line
    assert not harvest.EMBEDDINGS.exists()
    assert "harvest: 1 answer to judge" in caplog.text
    item = Production().item(Tables().current(), Ledger(), image_id)
    assert [(each["nearest"], each["typical"] is not None) for each in item["examples"]] == [([], True)] * 3


def test_a_picture_that_cannot_be_read_has_no_embedding_and_hinders_no_other(library, world):
    (_, broken), (_, whole) = send(world, b"no picture"), send(world, photo_of(library.library["hat"][0]))
    harvest.main()
    assert embedded() == [whole]
    assert shown(broken)["hat"] == [] != shown(whole)["hat"]


def test_embeddings_of_another_network_count_no_more_until_the_next_harvest(library, world):
    _, image_id = send(world, photo_of(library.library["hat"][0]))
    harvest.main()
    write_network(scale=0.5)
    assert shown(image_id)["hat"] == []
    harvest.main()
    assert shown(image_id)["hat"][0] == library.library["hat"][0]


def test_a_damaged_file_of_embeddings_is_said_hides_no_answer_and_is_written_again(library, world):
    _, image_id = send(world, photo_of(library.library["hat"][0]))
    harvest.main()
    harvest.EMBEDDINGS.write_bytes(b"no Parquet")
    tables = Tables()
    assert tables.current().harvested.answers[0].image_id == image_id
    assert "embeddings.parquet is damaged" in tables.harvest_notice
    harvest.main()
    assert shown(image_id)["hat"][0] == library.library["hat"][0]


def test_a_desk_that_runs_shows_the_nearest_once_a_harvest_has_embedded_them(library, world):
    _, image_id = send(world, photo_of(library.library["hat"][0]))
    harvest.main()
    aside = harvest.EMBEDDINGS.with_name("aside")
    harvest.EMBEDDINGS.rename(aside)
    tables = Tables()
    assert tables.current().nearest(image_id, "hat", 1) == []
    aside.rename(harvest.EMBEDDINGS)
    tables._checked = -10.0
    assert tables.current().nearest(image_id, "hat", 1) == [library.library["hat"][0]]
