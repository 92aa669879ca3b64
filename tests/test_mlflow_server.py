"""What `make repro` sends by MLflow's own client: into its own store in a folder, and over HTTP to a server."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from uuid import uuid4

import pytest
from repositories import ROOT, run, surroundings, write

from review import mlflow_server
from runtime.errors import InputError, RemoteError

GATE = {"verdict": "yes", "rules": []}
METRICS = {"held_out": {"top_1_accuracy": 0.75, "roc_auc": None}, "hard & far": {"log_loss": 0.5}}
HISTORY = "epoch,loss,val_loss\n1,2.5,\n2,1.25,1.5\n"
PARAMS = "export:\n  version: 1\nscore:\n  rules: [a, b]\n"


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A clone with an export, and MLFLOW_TRACKING_URI."""
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "server").as_uri())
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    folder = tmp_path / "clone"
    folder.mkdir()
    with surroundings(folder):
        run("git", "init", "--quiet")
        write("params.yaml", (ROOT / "params.yaml").read_text())
        write("dvc.lock", "schema: '2.0'\n")
        write("data/export/001/params.yaml", PARAMS)
        write("data/export/001/gate.json", json.dumps(GATE))
        write("data/export/001/metrics.json", json.dumps(METRICS))
        write("data/export/001/history.csv", HISTORY)
        write("data/export/001/001/saved_model.pb", "a graph")
        yield folder


class Server(ThreadingHTTPServer):
    """Speaks as much of MLflow's REST API as is asked for; keeps what it is sent, and may fail at one path."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.experiment, self.runs, self.files, self.batches = None, {}, {}, []
        self.fails_at = "nothing"

    def answer(self, path, sent):
        """Give status and answer of a request."""
        if self.fails_at in path:
            return 500, {"error_code": "INTERNAL_ERROR", "message": "the disk is full"}
        if "/mlflow-artifacts/" in path:
            self.files[path] = sent
            return 200, {}
        body = json.loads(sent or "{}")
        match path.rsplit("/", 1)[1].split("?")[0]:
            case "get-by-name" if self.experiment is None:
                return 404, {"error_code": "RESOURCE_DOES_NOT_EXIST", "message": "No such experiment"}
            case "create" if "experiments" in path:
                self.experiment = {"experiment_id": "1", "name": body["name"]}
                return 200, {"experiment_id": "1"}
            case "get-by-name":
                return 200, {"experiment": self.experiment}
            case "search":
                tag = {"key": "dvc_lock", "value": body["filter"].split("'")[1]}
                return 200, {"runs": [run for run in self.runs.values() if tag in run["data"]["tags"]]}
            case "create":
                return 200, {"run": self.create(body)}
            case "get":
                return 200, {"run": self.runs[path.rpartition("run_id=")[2]]}
            case "delete":
                del self.runs[body["run_id"]]
            case "update":
                self.runs[body["run_id"]]["info"]["status"] = body["status"]
            case "log-batch":
                self.batches.append(body)
            case _:
                return 404, {"error_code": "ENDPOINT_NOT_FOUND", "message": path}
        return 200, {}

    def create(self, body):
        identity = uuid4().hex
        place = {"artifact_uri": f"mlflow-artifacts:/1/{identity}/artifacts", "lifecycle_stage": "active"}
        names = {"run_id": identity, "run_name": body["run_name"], "experiment_id": body["experiment_id"]}
        self.runs[identity] = {"info": place | names | {"status": "RUNNING"}, "data": {"tags": body["tags"]}}
        return self.runs[identity]


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        status, answer = self.server.answer(self.path, self.rfile.read(int(self.headers.get("Content-Length", 0))))
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_GET = do_PUT = do_POST  # noqa: N815

    def log_message(self, *arguments): ...


@pytest.fixture
def server(clone, monkeypatch):
    """A server, to which MLFLOW_TRACKING_URI points."""
    with Server() as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        yield server
        server.shutdown()
        thread.join()


def test_over_http_a_run_has_tags_numbers_and_files_and_is_then_finished(server):
    mlflow_server.main()
    ((identity, found),) = server.runs.items()
    assert server.experiment["name"] == "retrain"
    assert (found["info"]["run_name"], found["info"]["status"]) == ("model 1", "FINISHED")
    result = run("git", "hash-object", "dvc.lock").strip()
    tags = {"dvc_lock": result, "gate": "yes", "version": "001"}
    assert {each["key"]: each["value"] for each in found["data"]["tags"]} == tags
    (batch,) = server.batches
    assert {each["key"]: each["value"] for each in batch["params"]} == {
        "export.version": "1",
        "score.rules": "['a', 'b']",
    }
    assert sorted((each["key"], each["value"], each["step"]) for each in batch["metrics"]) == [
        ("hard _ far/log_loss", 0.5, 0),
        ("held_out/top_1_accuracy", 0.75, 0),
        ("training/loss", 1.25, 2),
        ("training/loss", 2.5, 1),
        ("training/val_loss", 1.5, 2),
    ]
    place = f"/api/2.0/mlflow-artifacts/artifacts/1/{identity}/artifacts"
    here = [path for path in Path("data/export/001").iterdir() if path.is_file()]
    assert server.files == {f"{place}/{path.name}": path.read_bytes() for path in here}


def test_over_http_no_request_has_more_parameters_than_a_server_takes(server):
    write("data/export/001/params.yaml", "\n".join(f"name_{number}: {number}" for number in range(250)))
    mlflow_server.main()
    assert [len(batch.get("params", [])) for batch in server.batches] == [100, 100, 50]


def test_over_http_a_result_is_sent_once(server):
    mlflow_server.main()
    server.files.clear()
    mlflow_server.main()
    assert (len(server.runs), server.files) == (1, {})


@pytest.mark.parametrize("path", ["get-by-name", "search", "runs/create", "log-batch", "artifacts/gate.json", "update"])
def test_a_server_that_fails_is_said_in_words_and_sending_again_makes_it_whole(server, path):
    server.fails_at = path
    with pytest.raises(RemoteError, match=r"^MLflow at http://127\S+ did not take data/export/001 \(.*sends it again"):
        mlflow_server.main()
    assert all(each["info"]["status"] != "FINISHED" for each in server.runs.values())
    server.fails_at = "nothing"
    mlflow_server.main()
    assert [each["info"]["status"] for each in server.runs.values()] == ["FINISHED"]


def runs(experiment="retrain"):
    from mlflow import MlflowClient

    client = MlflowClient()
    return client, client.search_runs([client.get_experiment_by_name(experiment).experiment_id])


def test_parameters_metrics_epochs_and_files_arrive(clone):
    mlflow_server.main()
    client, (found,) = runs()
    assert found.info.run_name == "model 1"
    assert found.info.status == "FINISHED"
    assert found.data.params == {"export.version": "1", "score.rules": "['a', 'b']"}
    assert found.data.metrics == {
        "held_out/top_1_accuracy": 0.75,
        "hard _ far/log_loss": 0.5,
        "training/loss": 1.25,
        "training/val_loss": 1.5,
    }
    losses = client.get_metric_history(found.info.run_id, "training/loss")
    assert [(each.step, each.value) for each in losses] == [(1, 2.5), (2, 1.25)]
    assert found.data.tags["gate"] == "yes"
    assert found.data.tags["dvc_lock"] == run("git", "hash-object", "dvc.lock").strip()
    sent = {each.path for each in client.list_artifacts(found.info.run_id)}
    assert sent == {"params.yaml", "gate.json", "metrics.json", "history.csv"}


def test_a_result_is_sent_once_and_another_beside_it(clone, monkeypatch):
    mlflow_server.main()
    mlflow_server.main()
    assert len(runs()[1]) == 1
    write("dvc.lock", "schema: '2.0'\nstages: {}\n")
    mlflow_server.main()
    assert len(runs()[1]) == 2
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "birds")
    mlflow_server.main()
    assert len(runs("birds")[1]) == 1


def test_a_run_that_was_cut_off_is_replaced(clone, monkeypatch):
    from mlflow import MlflowClient

    def cut_off(*arguments):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(MlflowClient, "log_artifact", cut_off)
        mlflow_server.main()
    mlflow_server.main()
    assert [each.info.status for each in runs()[1]] == ["FINISHED"]


def test_more_parameters_than_one_request_takes_all_arrive(clone):
    settings = "\n".join(f"name_{number}: {number}" for number in range(250))
    write("data/export/001/params.yaml", settings)
    mlflow_server.main()
    assert len(runs()[1][0].data.params) == 250


def test_a_server_that_is_away_is_said_in_words_and_the_result_stays(clone, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RemoteError, match=r"MLflow at http://127.0.0.1:9 did not take .* sends it again"):
        mlflow_server.main()
    assert Path("data/export/001/metrics.json").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [("history.csv", "epoch,loss\n1,high\n"), ("gate.json", "{"), ("metrics.json", "[]"), ("params.yaml", "a: [")],
)
def test_a_damaged_export_is_not_blamed_on_the_server_and_begins_no_run(clone, name, content):
    write(f"data/export/001/{name}", content)
    with pytest.raises(InputError, match=f"^data/export/001/{name}"):
        mlflow_server.main()
    assert not (clone.parent / "server").exists()


def test_without_the_client_it_says_what_to_install(clone, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(InputError, match=r"MLflow is not installed: `pip install \.\[mlflow\]`"):
        mlflow_server.main()


def test_without_a_server_or_an_export_it_says_what_is_missing(clone, monkeypatch):
    Path("data/export/001/metrics.json").unlink()
    with pytest.raises(InputError, match="`make repro` writes it"):
        mlflow_server.main()
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    with pytest.raises(InputError, match="MLFLOW_TRACKING_URI is not set"):
        mlflow_server.main()


def test_what_is_not_known_of_an_epoch_is_left_out():
    history = [{"epoch": "1", "loss": "0.5", "val_loss": ""}]
    assert list(mlflow_server.epochs_of(history)) == [("training/loss", 0.5, 1)]
