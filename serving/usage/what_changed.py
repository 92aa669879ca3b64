"""The page that says whether people send other pictures than before, and than the model was tested on."""

from collections.abc import Sequence
from typing import Any

from serving.usage import drift
from serving.usage.duck import Row


def contents(rows: Sequence[Row], held_out: drift.HeldOut, versions: Sequence[Row]) -> dict[str, Any]:
    """Lay out the page.

    Args:
        rows: of drift.DRIFT.
        held_out: what they were compared with.
        versions: that answered, as usage.sql gives them.
    """
    answered = [int(row["version"]) for row in versions]
    known = [held_out.version] if held_out.sample is not None else []
    embedded = {row["version"] for row in rows if row["figure"] == drift.EMBEDDINGS}
    return {
        "rows": rows,
        "changed": [row for row in rows if row["changed"]],
        "untested": [version for version in answered if version not in known],
        "unembedded": sorted({row["version"] for row in rows} - embedded),
        "num_tests": sum(row["p_value"] is not None for row in rows),
        "drift": drift,
    }
