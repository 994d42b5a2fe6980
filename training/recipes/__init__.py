"""One short file a run: its docstring states the exact command, the expected time and the expected result."""
