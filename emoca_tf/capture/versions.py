"""Which software made a result."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

from emoca_tf import __version__

PACKAGES = ("numpy", "mediapipe", "tensorflow", "keras", "numba", "trimesh", "ai-edge-litert")


def package_versions() -> dict[str, str]:
    """Installed versions of what a capture's numbers depend on; absent packages are left out."""
    found = {"emoca-tf": __version__, "python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
