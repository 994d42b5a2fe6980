"""The one exception that means "the input was wrong, here is what to do"."""

from __future__ import annotations


class UserError(Exception):
    """A mistake the user can mend: one line that names what was received and what would have been right.

    The command line prints it without a traceback and exits with code 2. Library callers may catch it.
    """
