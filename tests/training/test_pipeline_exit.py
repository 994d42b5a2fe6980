from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

PROGRAM = """
from helpers_data import Numbers
from training.datasets.pipeline import batches
stream = batches(Numbers(50), batch_size=16, seed=0)
iterator = iter(stream)
next(iterator)
cycle = [iter(stream)]
cycle.append(cycle)
next(cycle[0])
print("done")
"""


def test_a_program_ends_while_batches_are_being_made():
    """An endless stream must not keep the interpreter from ending, nor crash it, however it is held."""
    here = Path(__file__)
    path = os.pathsep.join([str(here.parents[2]), str(here.parent)])
    environment = {**os.environ, "PYTHONPATH": path}
    result = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, timeout=120)
    assert result.returncode == 0, result.stderr.decode()
    assert result.stdout.strip() == b"done"
    assert b"Traceback" not in result.stderr
