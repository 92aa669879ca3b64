"""The processes of a gateway: which is which, and what they hold and use. One that ends meanwhile holds nothing."""

import os
from pathlib import Path

from tests.gateways import Gateway

GATEWAY, MODEL, PREPARING, TRACKER = "gateway", "model", "preparing", "tracker"


def by_role(gateway: Gateway) -> dict[str, int]:
    """Say which process does what: the gateway, its model, what prepares pictures, and multiprocessing's tracker."""
    assert gateway.process
    return {GATEWAY: gateway.process.pid, **{role: pid for pid in gateway.children() if (role := _role(pid))}}


def memory_bytes(gateway: Gateway) -> int:
    """Add up the proportional set sizes of all processes."""
    return sum(_bytes(pid, "smaps_rollup", "Pss:") for pid in by_role(gateway).values())


def peak_bytes(pid: int) -> int:
    """Give the most memory that a process has held so far."""
    return _bytes(pid, "status", "VmHWM:")


def processor_seconds(gateway: Gateway) -> float:
    """Add up the processor time of all processes."""
    stats = (_read(pid, "stat").rpartition(")")[2].split() for pid in by_role(gateway).values())
    return sum(int(stat[11]) + int(stat[12]) for stat in stats if stat) / os.sysconf("SC_CLK_TCK")


def _role(pid: int) -> str:
    """Tell by what it has: of a gateway's children, only its model has ONNX Runtime."""
    if "resource_tracker" in _read(pid, "cmdline"):
        return TRACKER
    files = _read(pid, "maps")
    return MODEL if "onnxruntime" in files else PREPARING if files else ""


def _bytes(pid: int, file: str, begins: str) -> int:
    lines = _read(pid, file).splitlines()
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(begins)), 0)


def _read(pid: int, file: str) -> str:
    try:
        return Path(f"/proc/{pid}/{file}").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return ""
