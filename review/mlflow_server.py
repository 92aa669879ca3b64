"""Send what was exported to an MLflow server, for teams that have one: parameters, metrics and files.

    MLFLOW_TRACKING_URI=http://mlflow:5000 python -m review.mlflow_server

`make repro` ends with it where MLFLOW_TRACKING_URI is set. MLflow's own client sends, so its other variables hold too:
MLFLOW_EXPERIMENT_NAME, MLFLOW_TRACKING_USERNAME, ... A result is sent once, whoever runs this: its run has the tag
`dvc_lock`, the name that Git gives to the content of dvc.lock. No picture is sent, and no image_id.

Reads: data/export/NNN/, dvc.lock
"""

import logging
import os
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import yaml

from review.changes import flatten
from review.reports import read_report
from runtime import parameters
from runtime.command import run
from runtime.errors import InputError, RemoteError
from runtime.json_files import MAX_BYTES
from runtime.regular_files import read_small
from runtime.repository import git, require_root
from stages.tables.documents import REMEDY, parse_gate, parse_metrics
from stages.tables.exported import EXPORT
from stages.tables.model import HISTORY

if TYPE_CHECKING:
    from mlflow import MlflowClient

log = logging.getLogger(__name__)

_DEFAULT_EXPERIMENT = "retrain"
_MOST_AT_ONCE = 100  # parameters in one request; MLflow's REST API takes no more
_TAG = "dvc_lock"
# MLflow's client asks a server that is away seven times, which takes minutes.
_RETRIES = {"MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2", "MLFLOW_HTTP_REQUEST_TIMEOUT": "30"}


class Contents(NamedTuple):
    """What an export says.

    Attributes:
        verdict: of the gate.
        settings: by dotted name.
        figures: name, figure, and epoch; 0 for those of the whole run.
    """

    verdict: str
    settings: dict[str, str]
    figures: list[tuple[str, float, int]]


def parameters_of(text: str | bytes) -> dict[str, str]:
    """Read a params.yaml as MLflow's parameters: dotted name to text."""
    return {name: str(value) for name, value in flatten(yaml.safe_load(text)).items()}


def metrics_of(metrics: Mapping[str, Mapping[str, float | None]]) -> dict[str, float]:
    """Name figures `<set>/<metric>`, which MLflow groups by set; those that mean nothing are left out.

    MLflow refuses some characters, which a benchmark's name may have: each becomes `_`.
    """
    return {
        re.sub(r"[^\w.\- :]", "_", each) + f"/{name}": float(value)
        for each, figures in metrics.items()
        for name, value in figures.items()
        if value is not None
    }


def epochs_of(history: Iterable[Mapping[str, str]]) -> Iterator[tuple[str, float, int]]:
    """Go through the history of training: `training/<column>`, figure and epoch; what is not known is left out."""
    for row in history:
        for column, value in row.items():
            if column != "epoch" and value:
                yield f"training/{column}", float(value), int(row["epoch"])


def read_contents(export: Path) -> Contents:
    """Read what an export says in numbers, before a server is asked.

    Raises:
        InputError: a file is absent, or is not what it should be.
    """
    gate, metrics, params = (str(export / name) for name in ("gate.json", "metrics.json", "params.yaml"))
    figures = metrics_of(parse_metrics(read_small(metrics, MAX_BYTES, REMEDY), metrics))
    history = read_report(str(export / HISTORY), ("epoch",))
    try:
        settings = parameters_of(read_small(params, MAX_BYTES, REMEDY))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        raise InputError(f"{params} is not YAML: {error}. {REMEDY}") from None
    return Contents(
        parse_gate(read_small(gate, MAX_BYTES, REMEDY), gate)["verdict"],
        settings,
        [*((name, value, 0) for name, value in figures.items()), *epochs_of(history)],
    )


def send(client: "MlflowClient", experiment: str, export: Path, contents: Contents, result: str) -> str | None:
    """Send an export.

    Args:
        client: of the server.
        experiment: its name; it is made where there is none.
        export: the folder, such as data/export/007.
        contents: of it.
        result: what tells results apart.

    Returns:
        The identity of the new run; None where the server has this result.
    """
    known = client.get_experiment_by_name(experiment)
    number = known.experiment_id if known else client.create_experiment(experiment)
    for each in client.search_runs([number], f"tags.{_TAG} = '{result}'"):
        if each.info.status == "FINISHED":
            return None
        client.delete_run(each.info.run_id)  # was cut off
    tags = {_TAG: result, "gate": contents.verdict, "version": export.name}
    run_id = client.create_run(number, tags=tags, run_name=f"model {int(export.name)}").info.run_id
    _log_numbers(client, run_id, contents)
    for path in sorted(each for each in export.iterdir() if each.is_file()):
        client.log_artifact(run_id, str(path))
    client.set_terminated(run_id)
    return str(run_id)


def _log_numbers(client: "MlflowClient", run_id: str, contents: Contents) -> None:
    from mlflow.entities import Metric, Param

    now = int(1000 * time.time())
    params = [Param(*each) for each in contents.settings.items()]
    measured = [Metric(name, value, now, epoch) for name, value, epoch in contents.figures]
    for first in range(0, max(len(params), len(measured)), _MOST_AT_ONCE):
        part = slice(first, first + _MOST_AT_ONCE)
        client.log_batch(run_id, metrics=measured[part], params=params[part])


def main() -> None:
    """Run the command."""
    require_root()
    place = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not place:
        raise InputError("MLFLOW_TRACKING_URI is not set. Name the server, such as http://mlflow:5000.")
    export = Path(EXPORT, f"{parameters.read(parameters.Export).version:03d}")
    if not (export / "metrics.json").is_file() or not Path("dvc.lock").is_file():
        raise InputError(f"{export} holds no export. `make repro` writes it.")
    sent = _sent(place, export, read_contents(export))
    log.info("mlflow: %s %s", export, f"is at {place}, run {sent}" if sent else f"was at {place} already")


def _sent(place: str, export: Path, contents: Contents) -> str | None:
    for name, value in _RETRIES.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.exceptions import MlflowException
    except ImportError:
        raise InputError(
            "MLFLOW_TRACKING_URI is set, and MLflow is not installed: `pip install .[mlflow]`, or unset it."
        ) from None

    experiment = os.environ.get("MLFLOW_EXPERIMENT_NAME") or _DEFAULT_EXPERIMENT
    result = git("hash-object", "dvc.lock").strip()
    logging.getLogger("urllib3").setLevel(logging.ERROR)  # the error below says it
    try:
        return send(MlflowClient(), experiment, export, contents, result)
    except (MlflowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise RemoteError(
            f"MLflow at {place} did not take {export} ({reason}). What was computed is whole here: "
            "`python -m review.mlflow_server` sends it again, and is harmless to repeat."
        ) from None


if __name__ == "__main__":
    run(main)
