"""Where the gateway's log is: what the environment says."""

import os
from pathlib import Path

FOLDER = "RETRAIN_GATEWAY"


def folder_of_log() -> Path:
    """Say where the log is."""
    return Path(os.environ.get(FOLDER) or "build/gateway")
