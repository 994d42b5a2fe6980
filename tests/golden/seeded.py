"""Pseudo-random network weights as a function of entry name, shape and seed: what the golden outputs were made with."""

from __future__ import annotations

import re
import zlib

import numpy as np


def unit(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Uniform [0, 1) float64 from PCG64 seeded by the name's CRC."""
    generator = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()) + (seed << 32)))
    return generator.random(shape)


def noise(name: str, shape: tuple[int, ...], std: float = 1.0, seed: int = 0) -> np.ndarray:
    """Uniform float64 with mean 0 and the given standard deviation."""
    return std * np.sqrt(3.0) * (2.0 * unit(name, shape, seed) - 1.0)


def tensor(name: str, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Value of one torch ``state_dict`` entry."""
    leaf = name.rsplit(".", 1)[-1]
    if leaf == "num_batches_tracked":
        return np.zeros(shape, np.int64)
    if leaf in ("running_mean", "bias"):
        value = noise(name, shape, 0.1, seed)
    elif leaf == "running_var" or len(shape) == 1:
        value = 0.5 + unit(name, shape, seed)
        if re.search(r"layer\d+\.\d+\.bn3\.weight$", name):
            value = value * 0.3
        elif re.search(r"blocks\.\d+\.\d+\.bn3\.weight$", name):
            value = value * 0.45
    else:
        value = noise(name, shape, np.sqrt(2.0 / np.prod(shape[1:])), seed)
    return value.astype(np.float32)


def smooth_image(name: str, size: int, seed: int = 0, waves: int = 12) -> np.ndarray:
    """Picture ``[size, size, 3]`` uint8: a sum of plane waves of low frequency for each channel."""
    y, x = np.mgrid[0:size, 0:size] / size
    channels = []
    for channel in range(3):
        amplitude, fx, fy, phase = unit(f"{name}/{channel}", (waves, 4), seed).T[:, :, None, None]
        angle = 2 * np.pi * ((fx * 8 - 4) * x + (fy * 8 - 4) * y + phase)
        total = ((amplitude * 2 - 1) * np.cos(angle)).sum(0)
        channels.append(0.5 + 0.48 * total / np.abs(total).max())
    return np.round(np.stack(channels, -1) * 255).astype(np.uint8)
