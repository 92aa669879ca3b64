"""The Kubernetes manifests: valid by Kubernetes' own schemas, and in line with each other and with the code."""

import json
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from conftest import ROOT
from guide import command

from runtime.errors import InputError
from serving import start

MANIFESTS = sorted(path for path in (ROOT / "deploy").glob("*.yaml"))
SCRIPT = (ROOT / "deploy/train.sh").read_text(encoding="utf-8")
# Read by train.sh or by deploy/settings.py, by Git, and by adlfs.
KNOWN = re.compile(r"REPOSITORY|COMMIT|RUN|TARGETS|BATCH_SIZE|NUM_EPOCHS|SETTINGS|REQUIRE_GPU|WORKERS|GIT_.*|AZURE_.*")


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def of_kind(name: str, kind: str) -> dict[str, Any]:
    (found,) = (one for one in documents(ROOT / "deploy" / name) if one["kind"] == kind)
    return found


def pods() -> list[Any]:
    found = []
    for path in MANIFESTS:
        for document in documents(path):
            name = f"{path.name} {document['metadata']['name']}"
            if template := document.get("spec", {}).get("template"):
                claimed = [claim["metadata"] for claim in document["spec"].get("volumeClaimTemplates", [])]
                spec = template["spec"] | {"volumes": template["spec"]["volumes"] + claimed}
                found.append(pytest.param(spec, id=name))
            if document["kind"] == "DaskCluster":
                parts = ("scheduler", "worker")
                found += [pytest.param(document["spec"][part]["spec"], id=f"{name} {part}") for part in parts]
    return found


def jobs() -> list[Any]:
    every = [document for path in MANIFESTS for document in documents(path)] + throwaway()
    return [pytest.param(one, id=one["metadata"]["name"]) for one in every if one["kind"] == "Job"]


def throwaway() -> list[dict[str, Any]]:
    """What the overlay of a throw-away run makes, nothing where there is no kubectl."""
    if not shutil.which("kubectl"):
        return []
    command = ["kubectl", "kustomize", "--load-restrictor=LoadRestrictionsNone", "deploy/throwaway"]
    return list(yaml.safe_load_all(subprocess.check_output(command, cwd=ROOT)))


def environment(job: dict[str, Any]) -> dict[str, str]:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    return {variable["name"]: variable["value"] for variable in container["env"]}


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_a_manifest_is_what_kubernetes_knows_and_nothing_else(path: Path, version: str) -> None:
    for document in documents(path):
        if document["kind"] == "DaskCluster":
            # The schemas have no such kind; it consists of two pods and a service.
            parts = [("Pod", document["spec"][part]["spec"]) for part in ("scheduler", "worker")]
            parts.append(("Service", document["spec"]["scheduler"]["service"]))
            documents_of = [
                {"apiVersion": "v1", "kind": kind, "metadata": {"name": "a"}, "spec": spec} for kind, spec in parts
            ]
        else:
            documents_of = [document]
        for one in documents_of:
            kubernetes_validate.validate(one, version, strict=True)


def test_the_check_refuses_a_misspelt_field() -> None:
    deployment = of_kind("serving.yaml", "Deployment")
    deployment["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="readynessProbe"):
        kubernetes_validate.validate(deployment, "1.37", strict=True)


@pytest.mark.parametrize("pod", pods())
def test_a_pod_has_no_more_rights_than_it_needs(pod: dict[str, Any]) -> None:
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert set(container["resources"]) == {"requests", "limits"}
        assert ":" in container["image"]
        assert not container["image"].endswith(":latest")
        mounted = {mount["name"] for mount in container["volumeMounts"]}
        assert mounted <= {volume["name"] for volume in pod["volumes"]}


def test_the_models_are_mounted_for_reading_only() -> None:
    pod = of_kind("serving.yaml", "Deployment")["spec"]["template"]["spec"]
    assert [mount["readOnly"] for mount in pod["containers"][0]["volumeMounts"]] == [True]
    assert pod["volumes"][0]["persistentVolumeClaim"]["readOnly"] is True
    assert of_kind("serving.yaml", "PersistentVolume")["spec"]["csi"]["readOnly"] is True


def test_the_version_is_one_variable_so_that_rolling_is_one_command() -> None:
    (container,) = of_kind("serving.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    assert "--model_base_path=/models/$(VERSION)" in container["args"]
    assert {"name": "VERSION", "value": "006"} in container["env"]


def test_the_server_is_not_older_than_the_tensorflow_that_writes_the_export() -> None:
    (container,) = of_kind("serving.yaml", "Deployment")["spec"]["template"]["spec"]["containers"]
    lock = (ROOT / "requirements.lock").read_text()
    (written_by,) = (line.split()[0] for line in lock.splitlines() if line.startswith("tensorflow=="))
    served_by = container["image"].partition(":")[2]
    assert [int(part) for part in served_by.split(".")] >= [int(part) for part in written_by[12:].split(".")]


def test_each_replica_of_the_gateway_has_a_volume_of_its_own_and_is_asked_only_while_it_can_log() -> None:
    gateway = of_kind("gateway.yaml", "StatefulSet")["spec"]
    (claim,) = gateway["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    (container,) = gateway["template"]["spec"]["containers"]
    mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
    assert mounts["log"]["mountPath"] == "/log"
    assert mounts["models"]["readOnly"] is True
    probes = {name: container[f"{name}Probe"]["httpGet"]["path"] for name in ("startup", "readiness", "liveness")}
    assert probes == {"startup": "/healthz", "readiness": "/readyz", "liveness": "/healthz"}
    services = {
        one["metadata"]["name"]: one["spec"]
        for one in documents(ROOT / "deploy/gateway.yaml")
        if one["kind"] == "Service"
    }
    assert services[gateway["serviceName"]]["clusterIP"] == "None"
    assert services["gateway"]["sessionAffinity"] == "ClientIP"
    labels = gateway["template"]["metadata"]["labels"]
    assert all(service["selector"].items() <= labels.items() for service in services.values())
    models = of_kind("serving.yaml", "PersistentVolumeClaim")["metadata"]["name"]
    assert gateway["template"]["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"] == models


@pytest.mark.parametrize(("name", "kind"), [("gateway.yaml", "StatefulSet"), ("serving.yaml", "Deployment")])
def test_a_replica_goes_on_answering_until_all_know_that_it_ends_and_then_has_time_to_end(name, kind):
    pod = of_kind(name, kind)["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    seconds = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert seconds >= 5
    left = pod.get("terminationGracePeriodSeconds", 30) - seconds  # the pause is part of it
    assert left >= (2 * start.SERVER["timeout_graceful_shutdown"] if name == "gateway.yaml" else 10)


def test_the_gateway_is_started_with_options_that_it_has(monkeypatch) -> None:
    (container,) = of_kind("gateway.yaml", "StatefulSet")["spec"]["template"]["spec"]["containers"]
    (entry,) = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "deploy/gateway.Dockerfile").read_text(), re.MULTILINE)
    program = json.loads(entry)
    assert program[:3] == ["python", "-m", "serving"]
    monkeypatch.setattr("sys.argv", [*program[2:], *container["args"]])
    with pytest.raises(InputError, match="`make gateway` says which"):  # until somebody has put it in
        start.read_arguments()
    put_in = [argument.replace("sharpness=", "sharpness=0.5") for argument in container["args"]]
    monkeypatch.setattr("sys.argv", [*program[2:], *put_in])
    (proxies,) = (each["value"] for each in container["env"] if each["name"] == "FORWARDED_ALLOW_IPS")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", proxies)
    arguments = start.read_arguments()
    assert (arguments.min_sharpness, arguments.forwarded_allow_ips) == (0.5, "")
    assert (arguments.host, arguments.port) == ("0.0.0.0", container["ports"][0]["containerPort"])  # noqa: S104
    assert (arguments.model, arguments.exports) == ("/models/$(VERSION)", "/models")
    assert (arguments.ship_to, arguments.retention) == ("az://logs", 90)
    # What a client may send in the half minute that a picture may take, without having all of what may be arriving.
    assert 0 < 1.5 * arguments.rate < 8 * arguments.queue


def test_logs_go_to_an_account_of_their_own_where_nothing_that_is_deleted_is_kept():
    def accounts(name):
        text = (ROOT / "deploy" / name).read_text()
        return set(re.findall(r"(?:ACCOUNT_NAME, value|storageAccount): (\w+)", text))

    def switched(page, to):
        return set(re.findall(rf"--enable-([a-z-]+) {to}", (ROOT / "docs/guide" / page).read_text()))

    assert len(accounts("gateway.yaml")) == 1
    assert not accounts("gateway.yaml") & (accounts("job.yaml") | accounts("serving.yaml"))
    assert switched("remote.md", "true") == switched("gateway.md", "false") != set()


@pytest.mark.parametrize("job", jobs())
def test_a_job_ends_costs_no_more_than_it_may_and_says_all_that_the_script_needs(job):
    spec, pod = job["spec"], job["spec"]["template"]["spec"]
    assert 0 < spec["activeDeadlineSeconds"] <= 86400
    assert spec["backoffLimit"] <= 6
    assert pod["restartPolicy"] in ("Never", "OnFailure")
    assert pod["terminationGracePeriodSeconds"] >= 30  # train.sh gives a stage ten seconds to stop, then copies
    assert job["spec"]["template"]["metadata"]["labels"]["azure.workload.identity/use"] == "true"
    assert {volume["name"]: volume.get("emptyDir") for volume in pod["volumes"]}["work"] == {"sizeLimit": "25Gi"}
    given = environment(job)
    assert {"REPOSITORY", "COMMIT", "RUN"} <= given.keys()
    assert all(isinstance(value, str) and KNOWN.fullmatch(name) for name, value in given.items())
    (container,) = pod["containers"]
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert (mounts["work"], mounts["out"]) == ("/scratch", "/mnt/out")
    limits = container["resources"]["limits"]
    assert (
        ("nvidia.com/gpu" in limits)
        == (given.get("REQUIRE_GPU") == "yes")
        == (pod["nodeSelector"]["retrain/pool"] == "gpu")
    )


@pytest.mark.parametrize("name", ["REPOSITORY", "COMMIT", "RUN", "TARGETS", "SETTINGS", "REQUIRE_GPU", "WORKERS"])
def test_the_script_reads_what_jobs_set(name):
    assert re.search(rf"\${{?{name}\b|{name}:[?=]", SCRIPT)


def test_identify_is_made_of_the_branch_that_the_training_writes():
    training, identify = (environment(of_kind(name, "Job")) for name in ("job.yaml", "identify.yaml"))
    assert identify["COMMIT"] == f"runs/{training['RUN']}"
    assert (training["TARGETS"], identify["TARGETS"]) == ("export", "identify")


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl, which lays the overlay over the Job, is not here")
def test_the_throw_away_run_is_the_training_with_another_cut_off_and_never_exports():
    (job,) = (one for one in throwaway() if one["kind"] == "Job")
    kubernetes_validate.validate(job, "1.37", strict=True)
    base, given = environment(of_kind("job.yaml", "Job")), environment(job)
    changed = {name for name in given if given[name] != base.get(name)}
    assert changed == {"RUN", "TARGETS", "SETTINGS"}
    assert (given["TARGETS"], given["SETTINGS"]) == ("identify", "split.minimum=35")


def test_machines_that_train_together_have_the_names_that_they_are_called_by():
    job, service = of_kind("together.yaml", "Job"), of_kind("together.yaml", "Service")
    name, spec = job["metadata"]["name"], job["spec"]
    hosts = [f"{name}-{number}.{service['metadata']['name']}:2222" for number in range(spec["completions"])]
    assert environment(job)["WORKERS"].split(" ") == hosts
    assert environment(job)["SETTINGS"] == f"train.devices={len(hosts)}"
    assert spec["completionMode"] == "Indexed"
    assert spec["parallelism"] == spec["completions"]
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert service["spec"]["clusterIP"] == "None"
    assert spec["template"]["metadata"]["labels"].items() >= service["spec"]["selector"].items()


def test_a_cluster_for_the_data_half_is_started_by_the_commands_of_the_guide_in_the_clone_of_the_run():
    cluster = of_kind("dask.yaml", "DaskCluster")["spec"]
    scheduler, worker = (cluster[part]["spec"]["containers"][0] for part in ("scheduler", "worker"))
    # In a pod of its own it may listen everywhere.
    assert [*scheduler["command"], "--host", "$DASK_SCHEDULER_ADDRESS"] == words(
        command("cluster.md", "dask scheduler")
    )
    shell, option, script = worker["command"]
    assert (shell, option) == ("bash", "-c")
    (start,) = re.findall(r"^.*; done; (PYTHONPATH=.*)$", script)
    named = [word for word in words(start) if word not in ("exec", "--name", "$DASK_WORKER_NAME")]
    documented = words(command("cluster.md", "dask worker"))
    assert named[: len(documented)] == documented
    assert named[len(documented) :] == ["--local-directory", "/tmp"]  # noqa: S108 - the pod's own
    # What the Job's script clones, on the share that both mount.
    assert re.findall(r"\bcd (\S+)", script) == ["/scratch/retrain"]
    assert "clone=$WORK/retrain" in SCRIPT
    assert {"name": "work", "mountPath": "/scratch"} in worker["volumeMounts"]


def words(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def test_the_image_is_built_from_the_lock_and_keeps_its_rules():
    subprocess.run(["hadolint", "--no-color", ROOT / "deploy/Dockerfile"], check=True)
    text = (ROOT / "deploy/Dockerfile").read_text(encoding="utf-8")
    assert "--require-hashes --requirement /opt/requirements-gpu.lock" in text
    assert re.search(r"^USER 65532$", text, re.MULTILINE)
    # Ubuntu 24.04 has Python 3.12, for which the lock is made.
    assert "ubuntu24.04" in text
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (line,) = (line for line in makefile.splitlines() if "--output-file requirements-gpu.lock" in line)
    assert "--python-version 3.12" in line
    # CUDA of the base and of the lock.
    (lock,) = re.findall(
        r"^nvidia-cuda-runtime-cu12==([\d.]+)", (ROOT / "requirements-gpu.lock").read_text(), re.MULTILINE
    )
    (base,) = re.findall(r"^ARG CUDA=([\d.]+)-", text, re.MULTILINE)
    assert base.split(".")[:2] == lock.split(".")[:2]
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = re.findall(r"^COPY (?!--from)(\S+)", text, re.MULTILINE)
    assert ignored == ["*", *(f"!{path}" for path in copied)]
