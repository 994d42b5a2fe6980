"""emoca-tf: an expressive 3D head (FLAME format) and its emotion from one photo.

Importing this package is light: TensorFlow, MediaPipe and the renderer load when a function first needs them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from emoca_tf.capture.api import Capture, capture, capture_all
    from emoca_tf.codes import Codes
    from emoca_tf.errors import UserError
    from emoca_tf.flame.head import HeadModel

_EXPORTS = {
    "Capture": "emoca_tf.capture.api",
    "Codes": "emoca_tf.codes",
    "HeadModel": "emoca_tf.flame.head",
    "UserError": "emoca_tf.errors",
    "capture": "emoca_tf.capture.api",
    "capture_all": "emoca_tf.capture.api",
}

__all__ = ["Capture", "Codes", "HeadModel", "UserError", "__version__", "capture", "capture_all"]


def __getattr__(name: str) -> Any:
    """Load a public name on first use (PEP 562)."""
    if name in _EXPORTS:
        value = getattr(import_module(_EXPORTS[name]), name)
        globals()[name] = value  # `capture` is also a sub-package: from now on the name is the function
        return value
    raise AttributeError(f"module 'emoca_tf' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
