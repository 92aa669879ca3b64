"""Say what a lock installs: a software bill of materials, or a table of licences.

    python -m deploy.sbom [--lock requirements-gpu.lock]               # CycloneDX 1.6, JSON
    python -m deploy.sbom [--lock requirements-gpu.lock] --licences    # CSV: name, licence

Versions are the lock's, licences and what needs what are the installed packages' own words. A package that is not
installed here (those with CUDA, where there is no GPU) is listed with its version alone, and NVIDIA's with the licence
that all of NVIDIA's libraries have.
Source: https://cyclonedx.org/docs/1.6/json/
"""

import argparse
import csv
import json
import re
import sys
from collections.abc import Iterable, Mapping
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
LOCKS = ("requirements.lock", "requirements-gpu.lock")
# Their metadata say nothing, a whole text or "Dual License"; read by a person off the file LICENSE that they ship.
_READ = {"isodate": "BSD-3-Clause", "namex": "Apache-2.0", "python-dateutil": "Apache-2.0 AND BSD-3-Clause"}
_NVIDIA = "LicenseRef-NVIDIA-Proprietary"
_UNKNOWN = "not installed here"
# Longer than that, the field holds the licence's text.
_LONGEST = 60


def locked(text: str) -> dict[str, str]:
    """Read what a lock installs on this platform and Python.

    Args:
        text: of the lock.

    Returns:
        Versions by normalised name, sorted.
    """
    lines = re.findall(r"^[a-zA-Z0-9].*?(?= \\$|$)", text, re.MULTILINE)
    wanted = [Requirement(line) for line in lines]
    here = [one for one in wanted if not one.marker or one.marker.evaluate()]
    return dict(sorted((canonicalize_name(one.name), str(one.specifier).removeprefix("==")) for one in here))


def licence(name: str, installed: Distribution | None) -> str:
    """Say under which licence a package is.

    Args:
        name: normalised.
        installed: what is installed of it.
    """
    if installed is None:
        return _NVIDIA if name.startswith("nvidia-") else _UNKNOWN
    metadata = installed.metadata
    stated = " ".join((metadata["License-Expression"] or metadata["License"] or "").split())
    if name in _READ:
        return _READ[name]
    if not stated or len(stated) > _LONGEST:
        named = [line.split(" :: ")[-1] for line in metadata.get_all("Classifier", []) if line.startswith("License")]
        return " AND ".join(named) or _title(installed)
    return stated


def _title(installed: Distribution) -> str:
    """Read the first line of the licence that a package ships."""
    shipped = [file for file in installed.files or () if file.name.upper().startswith(("LICEN", "COPYING"))]
    return next((line.strip() for file in shipped for line in file.read_text().splitlines() if line.strip()), "")


def bill(versions: Mapping[str, str]) -> dict[str, Any]:
    """Lay out packages as a bill of materials; the same bytes for the same packages.

    Args:
        versions: by normalised name.
    """
    installed = {name: _installed(name) for name in versions}
    components = [
        {
            "type": "library",
            "bom-ref": _reference(name, version),
            "name": name,
            "version": version,
            "purl": _reference(name, version),
            "licenses": [{"license": {"name": licence(name, installed[name])}}],
        }
        for name, version in versions.items()
    ]
    needs = [
        {
            "ref": _reference(name, version),
            "dependsOn": [_reference(other, versions[other]) for other in _needs(installed[name]) if other in versions],
        }
        for name, version in versions.items()
    ]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": {"type": "application", "bom-ref": "retrain", "name": "retrain"}},
        "components": components,
        "dependencies": [{"ref": "retrain", "dependsOn": [one["bom-ref"] for one in components]}, *needs],
    }


def _installed(name: str) -> Distribution | None:
    try:
        return distribution(name)
    except PackageNotFoundError:
        return None


def _needs(installed: Distribution | None) -> list[str]:
    wanted = [Requirement(line) for line in (installed.requires if installed else None) or ()]
    here = [one for one in wanted if not one.marker or one.marker.evaluate({"extra": ""})]
    return sorted({canonicalize_name(one.name) for one in here})


def _reference(name: str, version: str) -> str:
    return f"pkg:pypi/{name}@{version}"


def write_licences(versions: Iterable[str]) -> None:
    """Print the table of licences."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(["name", "licence"])
    table.writerows([name, licence(name, _installed(name))] for name in sorted(versions))


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lock", action="append", help="one or more; both by default")
    parser.add_argument("--licences", action="store_true")
    arguments = parser.parse_args()
    versions: dict[str, str] = {}
    for lock in arguments.lock or LOCKS:
        versions |= locked((ROOT / lock).read_text(encoding="utf-8"))
    if arguments.licences:
        write_licences(versions)
    else:
        sys.stdout.write(json.dumps(bill(dict(sorted(versions.items()))), indent=1) + "\n")


if __name__ == "__main__":
    main()
