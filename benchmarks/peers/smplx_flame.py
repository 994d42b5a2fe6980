"""smplx' linear blend skinning (PyTorch on the CPU) on given arrays; see ``benchmarks/duel.py`` for the protocol."""

from __future__ import annotations

import sys
import time

import numpy as np
import smplx
import torch
from smplx.lbs import lbs

inputs = {name: torch.tensor(array) for name, array in np.load(sys.argv[1]).items()}
parents = inputs.pop("parents").long()
betas, pose = inputs.pop("betas"), inputs.pop("pose")


def skin(b: torch.Tensor, p: torch.Tensor) -> torch.Tensor:
    i = inputs
    return lbs(
        b, p, i["v_template"], i["shapedirs"], i["posedirs"], i["J_regressor"], parents, i["weights"], pose2rot=True
    )[0]


def forward(batch: int) -> torch.Tensor:
    with torch.no_grad():
        return skin(betas[:batch], pose[:batch])


def backward(batch: int) -> torch.Tensor:
    b, p = betas[:batch].clone().requires_grad_(), pose[:batch].clone().requires_grad_()
    (skin(b, p) ** 2).sum().backward()
    return p.grad


print(
    f"torch {torch.__version__}, {torch.get_num_threads()} threads, smplx {getattr(smplx, '__version__', '')}",
    flush=True,
)
for line in sys.stdin:
    what, batch = line.split()
    if what == "value":  # what both must agree on
        print(float((skin(betas, pose) ** 2).sum()), flush=True)
        continue
    action = {"forward": forward, "forward+backward": backward}[what]
    times = []
    for _ in range(6):
        start = time.perf_counter()
        action(int(batch))
        times.append(time.perf_counter() - start)
    print(min(times[1:]) * 1e3, flush=True)
