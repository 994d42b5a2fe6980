"""Says in the summary whether the phone's engine was tested: that needs a JDK, and its absence must not go unseen."""

import helpers_android as helpers


def pytest_terminal_summary(terminalreporter) -> None:
    """One line on every run that collects this folder."""
    reason = helpers.missing_jdk()
    said = f"NOT tested on this machine: {reason}" if reason else f"tested on {helpers.jvm.java()}"
    terminalreporter.write_line(f"android_demo/engine: {said}")
