"""What a run could not obey is refused before its first stage works, from the instructions and the folders alone."""

import json
import unicodedata
from hashlib import md5
from pathlib import Path

import pytest
import yaml
from conftest import ROOT

from runtime.errors import BaseError, InputError, InstructionError, ParameterError
from stages import instructions
from stages.labels.folders import list_paths

BENCHMARKS = ("difficult", "most_common", "least_common")
COMPOSED = "caf\u00e9"
DECOMPOSED = unicodedata.normalize("NFD", COMPOSED)
RELABEL = f"image_id,decision,value,on,why\n{'a' * 32},relabel,{{}},2026-01-01T00:00:00Z,\n"


@pytest.fixture
def world(workspace):
    """Two classes, every benchmark that the gate names, and nothing decided; no picture is ever opened."""
    for name in ("cat", "dog"):
        write(f"data/library/{name}/1.png")
        for benchmark in BENCHMARKS:
            write(f"data/benchmarks/{benchmark}/{name}/1.png")
    write("data/benchmarks/out_of_scope/1.png")
    return workspace


def write(path, text="no picture"):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def test_what_can_be_obeyed_gives_the_same_bytes_whatever_it_says(world):
    instructions.main()
    before = instructions.PATH.read_bytes()
    write("data/classes.yaml", "merge:\n  pet: [cat, dog]\n")
    instructions.main()
    assert instructions.PATH.read_bytes() == before


def test_an_unlabelled_picture_may_be_given_to_a_sub_class_that_is_to_come(world):
    write("data/unlabelled/1.png", "a walrus")
    image_id = md5(b"a walrus").hexdigest()
    write("data/decisions/ann.csv", RELABEL.format("walrus").replace("a" * 32, image_id))
    instructions.main()


@pytest.mark.parametrize(
    ("path", "text", "message"),
    [
        ("data/classes.yaml", "merge:\n  pet: [lion]\n", "line 2: there is no folder data/library/lion"),
        ("data/classes.yaml", "merge:\n  pet: [empty]\n", "line 2: data/library/empty is empty. Put pictures there"),
        ("data/classes.yaml", "merge:\n  '': [cat]\n", "classes.yaml: '' is no name for a class"),
        ("data/classes.yaml", "merge:\n  ' ': [cat]\n", "classes.yaml: ' ' is no name for a class"),
        ("data/classes.yaml", "merge:\n  '..': [cat]\n", r"classes.yaml: '\.\.' is no name for a class"),
        ("data/classes.yaml", "merge:\n  'a/b': [cat]\n", "classes.yaml: 'a/b' is no name for a class"),
        ("data/decisions/ann.csv", "image_id,what\n", "ann.csv, line 1: expected image_id"),
        ("data/decisions/ann.CSV", "image_id,what\n", "ann.CSV is not read"),
        ("data/decisions/ann.csv", RELABEL.format("lion"), "line 2: 'lion' is not a sub-class: there is no folder"),
        ("data/decisions/ann.csv", RELABEL.format("empty"), "line 2: 'empty' is not a sub-class: data/library/empty"),
        ("data/confused.csv", "truth,predicted,weight\ncat,lion,0.5\n", "line 2: no picture and no model has"),
    ],
)  # fmt: skip
def test_an_instruction_that_cannot_be_obeyed_is_named(world, path, text, message):
    Path("data/library/empty").mkdir()
    write(path, text)
    with pytest.raises(InstructionError, match=message):
        instructions.main()
    assert not instructions.PATH.exists()


@pytest.mark.parametrize("path", ["data/benchmarks/difficult/lion/1.png", "data/benchmarks/difficult/1.png"])
def test_a_benchmark_s_picture_that_stands_in_no_class_is_named(world, path):
    write(path)
    with pytest.raises(InputError, match=path):
        instructions.main()


@pytest.mark.parametrize(
    ("section", "rule"),
    [
        ("rules", {"set": "dificult", "metric": "num_errors", "at_most": 0}),
        ("not_worse_than_base", {"set": "holdout", "metric": "log_loss", "margin": 0.1}),
    ],
)
def test_a_rule_of_the_gate_for_a_set_that_is_not_there_is_named(world, section, rule):
    params = yaml.safe_load(Path("params.yaml").read_text())
    params["gate"][section] = [rule]
    Path("params.yaml").write_text(yaml.safe_dump(params))
    with pytest.raises(
        InstructionError, match=rf"gate\.{section}\.0 names the set {rule['set']}, .* difficult, held_out, least"
    ):
        instructions.main()


def test_what_names_a_folder_s_old_name_can_be_obeyed(world):
    write("data/classes.yaml", "was:\n  dog: [hound]\n")
    write("data/decisions/ann.csv", RELABEL.format("hound"))
    write("data/confused.csv", "truth,predicted,weight\nhound,cat,0.5\n")
    write("data/benchmarks/difficult/hound/1.png")
    instructions.main()


def set_parameters(**sections):
    params = yaml.safe_load(Path("params.yaml").read_text())
    for name, values in sections.items():
        params[name] |= values
    Path("params.yaml").write_text(yaml.safe_dump(params))


def write_base(network, size):
    for name in ("lineage.parquet", "model.weights.h5"):
        write(f"data/base/model/{name}")
    for name in ("shards/index.parquet", "metrics.json", "version.json"):
        write(f"data/base/{name}")
    write("data/base/model/classes.json", '["cat", "dog"]')
    description = {"format": 1, "network": network, "size": size, "weights_sha256": "0" * 64, "sub_classes": {}}
    write("data/base/model/model.json", json.dumps(description))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("train", "side", "error", "message"),
    [
        (
            {"network": "smal"},
            32,
            ParameterError,
            "train.network: no network is called 'smal'; expected small, effic",
        ),
        ({"network": "InceptionV3"}, 32, ParameterError, "InceptionV3 cannot take pictures of picture.side 32"),
        ({"weights": "absent.weights.h5"}, 32, InputError, "train.weights: absent.weights.h5 is not there"),
        ({"weights": "params.yaml"}, 32, InputError, "train.weights: params.yaml does not hold the weights of small"),
    ],
)
def test_a_network_that_training_could_not_start_with_is_named(world, train, side, error, message):
    set_parameters(train=train, picture={"side": side})
    with pytest.raises(error, match=message):
        instructions.main()


@pytest.mark.parametrize(
    ("network", "size", "message"),
    [
        ("smal", 32, "data/base is a small, params.yaml: train.network says smal"),
        ("small", 64, "pictures of 32 pixels"),
    ],
)
def test_a_base_that_training_could_not_start_from_is_named(world, network, size, message):
    write_base("small", 32)
    set_parameters(train={"network": network}, picture={"side": size})
    with pytest.raises(BaseError, match=message):
        instructions.main()


def test_a_library_without_pictures_is_left_to_the_stage_that_says_so(workspace):
    write("data/classes.yaml", "merge:\n  pet: [lion]\n")
    instructions.main()


@pytest.mark.parametrize("written", [COMPOSED, DECOMPOSED])
@pytest.mark.parametrize("stands", [COMPOSED, DECOMPOSED])
def test_names_are_the_same_in_both_forms_of_unicode(world, written, stands):
    write(f"data/library/{stands}/1.png")
    write(f"data/benchmarks/difficult/{written}/1.png")
    write("data/classes.yaml", f"merge:\n  {written}: [{written}, cat]\n")
    write(
        "data/decisions/ann.csv",
        RELABEL.format(written),
    )
    write("data/confused.csv", f"truth,predicted,weight\n{written},dog,0.5\n")
    instructions.main()


@pytest.mark.parametrize(
    ("other", "words"),
    [("CAT", "classes of their own"), ("c at", "classes of their own"), ("\uff43at", "classes of their own")],
)
def test_folders_that_look_alike_are_said(world, caplog, other, words):
    write(f"data/library/{other}/1.png")
    instructions.main()
    assert words in caplog.text
    assert "'cat'" in caplog.text


def test_two_folders_of_one_name_in_two_forms_are_said_and_taken_for_one(world, caplog):
    for name in (COMPOSED, DECOMPOSED):
        write(f"data/library/{name}/1.png")
    instructions.main()
    assert r"'cafe\u0301', 'caf\xe9'" in caplog.text
    assert "They are taken for one sub-class" in caplog.text


def test_litter_is_in_no_class(world):
    for path in ("benchmarks/difficult/.DS_Store", "benchmarks/Thumbs.db", "library/._cat/1.png"):
        write(f"data/{path}")
    instructions.main()
    assert list_paths("library") == ["library/cat/1.png", "library/dog/1.png"]


def test_fingerprint_waits_for_it():
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    assert str(instructions.PATH) in stages["fingerprint"]["deps"]
