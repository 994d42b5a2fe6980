from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
from helpers_data import Numbers
from training.datasets.pipeline import batches
iterator = iter(batches(Numbers(50), batch_size=16, seed=0))
next(iterator)
print("done")
"""


# Known defect: on a loaded machine a program whose stream is still alive at exit hung once in about fifteen runs.
# The cause is not found; this runs among the slow tests, so that it stays in sight.
@pytest.mark.slow
def test_a_program_ends_while_batches_are_being_made():
    """An endless stream must not keep the interpreter from ending, nor crash it."""
    here = Path(__file__)
    path = os.pathsep.join([str(here.parents[2]), str(here.parent)])
    environment = {**os.environ, "PYTHONPATH": path}
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.strip() == b"done"
    assert b"Traceback" not in result.stderr
