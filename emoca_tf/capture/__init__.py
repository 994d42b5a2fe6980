"""Photo -> ``Capture``: codes, mesh and pictures of one head.

``emoca_tf.capture`` is this package and, for users, the function :func:`emoca_tf.capture.api.capture`: once a module of
the package has been imported, the name is the package. So the package can be called, too.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any


class _CallablePackage(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """See :func:`emoca_tf.capture.api.capture`."""
        from emoca_tf.capture.api import capture

        return capture(*args, **kwargs)


sys.modules[__name__].__class__ = _CallablePackage
