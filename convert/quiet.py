"""Third parties' chatter kept off the user's screen."""

from __future__ import annotations

import contextlib
import io
import warnings
from collections.abc import Iterator

from emoca_tf.faces.detect import quiet_stderr


@contextlib.contextmanager
def silent() -> Iterator[None]:
    """Swallow what the converter prints on both streams; errors still propagate."""
    with warnings.catch_warnings(), quiet_stderr(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        yield
