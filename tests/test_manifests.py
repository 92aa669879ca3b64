"""The Kubernetes manifests: valid by Kubernetes' own schemas, and in line with each other and with the code."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from conftest import ROOT

MANIFESTS = sorted(path for path in (ROOT / "deploy").glob("*.yaml"))


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def of_kind(name: str, kind: str) -> dict[str, Any]:
    (found,) = (one for one in documents(ROOT / "deploy" / name) if one["kind"] == kind)
    return found


def pods() -> list[Any]:
    found = []
    for path in MANIFESTS:
        for document in documents(path):
            template = document.get("spec", {}).get("template")
            if template:
                found.append(pytest.param(template["spec"], id=f"{path.name} {document['metadata']['name']}"))
    return found


@pytest.mark.parametrize("path", MANIFESTS, ids=lambda path: path.name)
@pytest.mark.parametrize("version", ["1.30", "1.37"])
def test_a_manifest_is_what_kubernetes_knows_and_nothing_else(path: Path, version: str) -> None:
    for document in documents(path):
        if "dask.org" not in document["apiVersion"]:
            kubernetes_validate.validate(document, version, strict=True)


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
