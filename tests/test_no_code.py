"""What is read is data, never code: nothing that arrives in a folder of the repository is executed by reading it.

The payloads here would write a file, were they unpickled, deserialised by Keras or constructed by YAML.
"""

import ast
import contextlib
import hashlib
import json
import pickle
import zipfile
from io import BytesIO
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
import yaml
from conftest import ROOT
from worlds import write_base, write_model, write_world

from runtime import parameters
from runtime.errors import BaseError, InputError, InstructionError, ParameterError, RetrainError
from stages import evaluate, identify, train
from stages.labels.classes import read_classes
from stages.models import files
from stages.models.base import has_base
from stages.tables import model
from stages.training.checkpoints import Checkpoints

pytestmark = pytest.mark.slow

RAN = "it_ran"


class Payload:
    def __reduce__(self):
        return exec, (f"open({RAN!r}, 'w').close()",)


def as_pickle() -> bytes:
    return pickle.dumps(Payload())


def as_npy() -> bytes:
    buffer = BytesIO()
    np.save(buffer, np.array([Payload()], object), allow_pickle=True)
    return buffer.getvalue()


def lambda_model() -> keras.Model:
    """A model whose deserialisation, with `safe_mode` off, runs bytes of Python."""
    body = keras.layers.Lambda(eval(f"lambda x: [open({RAN!r}, 'w').close(), x][1]"))  # noqa: S307
    return keras.Sequential([keras.Input((16, 16, 3)), body, keras.layers.Flatten(), keras.layers.Dense(2)])


def as_keras(tmp_path: Path) -> bytes:
    path = tmp_path / "planted.keras"
    lambda_model().save(path)
    assert b"__lambda__" in zipfile.ZipFile(path).read("config.json")
    return path.read_bytes()


def as_h5(tmp_path: Path) -> bytes:
    """Weights that fit, with a whole model's config beside them, as Keras 2 wrote it."""
    write_model(str(tmp_path / "fits"), ["amber", "blue"], seed=1)
    path = tmp_path / "fits" / model.WEIGHTS
    with h5py.File(path, "a") as file:
        file.attrs["model_config"] = json.dumps(keras.saving.serialize_keras_object(lambda_model()))
        file.attrs["keras_version"] = "2.15.0"
    return path.read_bytes()


def plant(folder: str, content: bytes) -> None:
    """Put weights into a model's folder, its checksum made to agree: who can plant the one can plant the other."""
    (Path(folder) / model.WEIGHTS).write_bytes(content)
    description = json.loads((Path(folder) / model.DESCRIPTION).read_text())
    description["weights_sha256"] = hashlib.sha256(content).hexdigest()
    (Path(folder) / model.DESCRIPTION).write_text(json.dumps(description))


@pytest.fixture(scope="module")
def payloads(tmp_path_factory):
    """The payloads, made where their making leaves traces that nobody looks at."""
    folder = tmp_path_factory.mktemp("payloads")
    with contextlib.chdir(folder):
        return {"pickle": as_pickle(), "npy": as_npy(), "keras": as_keras(folder), "h5": as_h5(folder)}


@pytest.fixture
def world(workspace):
    write_world(train=4, validation=1, test=1, epochs=1)
    yield workspace
    assert not Path(RAN).exists(), "something that was read was run"


def test_the_payloads_would_run_where_they_are_trusted(payloads, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("planted.keras").write_bytes(payloads["keras"])
    readers = [
        lambda: pickle.loads(payloads["pickle"]),  # noqa: S301
        lambda: np.load(BytesIO(payloads["npy"]), allow_pickle=True),
        lambda: keras.saving.load_model("planted.keras", safe_mode=False)(np.zeros((1, 16, 16, 3))),
        lambda: yaml.unsafe_load(YAML),
    ]
    for read in readers:
        Path(RAN).unlink(missing_ok=True)
        read()
        assert Path(RAN).exists()


@pytest.mark.parametrize("kind", ["pickle", "npy", "keras"])
@pytest.mark.parametrize("stage", [train, evaluate], ids=["train", "evaluate"])
def test_a_base_whose_weights_are_code_is_refused_by_every_stage_that_reads_it(world, payloads, stage, kind):
    write_base(["amber", "blue"])
    write_model("data/model", ["amber", "blue"], seed=1)
    plant("data/base/model", payloads[kind])
    with pytest.raises(BaseError, match="does not hold the weights"):
        stage.main()


def test_a_config_beside_weights_that_fit_is_never_looked_at(world, payloads):
    train.main()
    Path("data/base/shards").mkdir()
    Path("data/model").rename("data/base/model")
    for name in ("shards/index.parquet", "metrics.json", "version.json"):
        Path("data/base", name).touch()
    plant("data/base/model", payloads["h5"])
    train.main()
    evaluate.main()


@pytest.mark.parametrize("name", ["keras_metadata.pb", "model.keras", "saved_model.pb", "model.pkl", "__init__.py"])
def test_files_that_no_stage_names_are_left_alone(world, payloads, name):
    write_base(["amber", "blue"])
    code = f"open({RAN!r}, 'w').close()".encode()
    planted = {".keras": payloads["keras"], ".py": code}.get(Path(name).suffix, payloads["pickle"])
    for folder in ("data/base", "data/base/model"):
        (Path(folder) / name).write_bytes(planted)
    assert has_base()
    files.load(Path("data/base/model"), BaseError)


@pytest.mark.parametrize("path", ["data/base/model/classes.json", "data/base/model/model.json"])
def test_a_base_whose_tables_are_code_is_refused(world, path):
    write_base(["amber", "blue"])
    Path(path).write_bytes(as_pickle())
    with pytest.raises(RetrainError):
        train.main()


@pytest.mark.parametrize("path", ["data/images.parquet", "data/splits.parquet", "data/shards/index.parquet"])
def test_a_table_that_is_code_is_never_run(world, path):
    Path(path).write_bytes(as_pickle())
    with pytest.raises(InputError, match="is damaged, or no Parquet file"):
        train.main()


def test_a_checkpoint_that_is_code_is_passed_over(world, caplog):
    checkpoints = Checkpoints("run", Path("checkpoints"))
    checkpoints.save(1, {"a": np.zeros(2)}, {})
    checkpoints.save(2, {"a": np.zeros(2)}, {})
    checkpoints.finish()
    newest = Path("checkpoints/run/000000002")
    with (newest / "arrays.npz").open("wb") as file:
        np.savez(file, a=np.array([Payload()], object), allow_pickle=True)
    digest = hashlib.sha256((newest / "arrays.npz").read_bytes())
    digest.update(json.dumps({}, sort_keys=True).encode())
    (newest / "state.json").write_text(json.dumps({"sha256": digest.hexdigest(), "state": {}}))
    arrays, _ = checkpoints.latest()
    assert arrays["a"].tolist() == [0, 0]
    assert "allow_pickle=False" in caplog.text


YAML = f"real: !!python/object/apply:builtins.exec [\"open({RAN!r}, 'w').close()\"]\n"


def test_instructions_and_parameters_construct_nothing(world):
    Path("data/classes.yaml").write_text(YAML)
    with pytest.raises(InstructionError):
        read_classes("data/classes.yaml", ["amber"])
    Path("params.yaml").write_text(YAML)
    with pytest.raises(ParameterError, match=r"params.yaml is not YAML: .*python/object/apply"):
        parameters.read(parameters.Train)


def test_a_model_that_is_code_identifies_nothing(world):
    write_model("data/model", ["amber", "blue"], seed=1)
    plant("data/model", as_pickle())
    with pytest.raises(InputError, match="does not hold the weights"):
        identify.identify(["0"], parameters.Evaluate(batch_size=1, precision="float32"))


def calls(tree: ast.AST) -> list[tuple[str, ast.Call]]:
    return [(ast.unparse(node.func), node) for node in ast.walk(tree) if isinstance(node, ast.Call)]


PACKAGES = sorted(path.parent for path in ROOT.glob("*/__init__.py"))
CODE = sorted(path for folder in PACKAGES for path in folder.rglob("*.py"))


# Its unpickler finds no name but those of arrays (test_pretrained.py tries others); it uses nothing else of `pickle`.
ARRAYS_ONLY = ROOT / "stages/models/torch_file.py"
# The process that runs a stage pickles what Dask's workers unpickle, as Dask itself does: no file of a folder.
BETWEEN_PROCESSES = ROOT / "runtime/cluster.py"


def test_the_reader_of_pickled_arrays_uses_nothing_that_would_run_them():
    tree = ast.parse(ARRAYS_ONLY.read_text(encoding="utf-8"))
    used = {ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert {name for name in used if name.startswith("pickle.")} == {"pickle.Unpickler", "pickle.UnpicklingError"}
    (reader,) = (
        node
        for node in tree.body
        if isinstance(node, ast.ClassDef) and "pickle.Unpickler" in map(ast.unparse, node.bases)
    )
    assert {"find_class", "persistent_load"} <= {node.name for node in reader.body if isinstance(node, ast.FunctionDef)}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_module_has_what_would_run_what_it_reads(path):
    tree = ast.parse(path.read_text(encoding="utf-8"))
    imported = {
        alias.name.split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names
    }
    imported |= {(node.module or "").split(".")[0] for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    loaders = imported & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
    assert not loaders or path in (ARRAYS_ONLY, BETWEEN_PROCESSES)
    for name, call in calls(tree):
        last = name.split(".")[-1]
        assert name not in {"eval", "exec", "compile", "__import__"}
        assert last not in {"load_model", "model_from_json", "deserialize_keras_object", "read_pickle", "unsafe_load"}
        assert last not in {"extractall", "extract", "enable_unsafe_deserialization", "Lambda"}
        if last == "load" and name.split(".")[0] in {"np", "numpy"}:
            allowed = [word.value.value for word in call.keywords if word.arg == "allow_pickle"]
            assert allowed in ([], [False])
