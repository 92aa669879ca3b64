"""What `make repro` sends to an MLflow server, by MLflow's own client into its own store, in a folder."""

import json
import sys
from pathlib import Path

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
