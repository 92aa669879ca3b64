"""The libraries that compute: what was computed with other versions of them may differ."""

from importlib.metadata import version


def versions() -> dict[str, str]:
    """Tell the version of each, by its name."""
    return {name: version(name) for name in ("NumPy", "Pillow", "numba", "simplejpeg")}
