"""The synthetic FLAME-sized head of the golden files: stored geometry, directions by rule."""

from __future__ import annotations

import zlib
from functools import cache
from pathlib import Path

import numpy as np

from emoca_tf.flame.head import HeadModel, LandmarkTable

GOLDEN = Path(__file__).parent / "golden"


def uniform(name: str, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode()))).random(shape)


def waves(name: str, points: np.ndarray, columns: int, scale: float, decay: float) -> np.ndarray:
    """Smooth vector fields on points ``[V, 3]`` -> ``[V, 3, columns]`` float32."""
    w = (uniform(name + "/w", (columns, 3, 3)) * 2 - 1) * 28.0
    phase = uniform(name + "/p", (columns, 3)) * 2 * np.pi
    amplitude = scale / (1.0 + decay * np.arange(columns))
    angle = np.einsum("vi,kji->vjk", np.asarray(points, np.float64), w) + phase.T[None]
    return (np.sin(angle) * amplitude).astype(np.float32)


@cache
def golden_head() -> HeadModel:
    with np.load(GOLDEN / "flame_model.npz") as m:
        v = m["v_template"]
        directions = np.concatenate(
            [
                waves("shapedirs/id", v, 300, 3e-3, 0.05)[:, :, :100],
                waves("shapedirs/exp", v, 100, 2e-3, 0.05)[:, :, :50],
            ],
            2,
        )
        parents = m["kintree_table"].copy()
        parents[0, 0] = -1
        return HeadModel(
            name="golden",
            v_template=v,
            f=m["f"],
            shapedirs=directions,
            n_shape=100,
            posedirs=waves("posedirs", v, 36, 2e-3, 0.0),
            J_regressor=m["J_regressor"],
            weights=m["weights"],
            kintree_table=parents,
            expression_names=tuple(f"exp_{i:03d}" for i in range(50)),
            landmarks={
                "static": LandmarkTable(m["static_lmk_faces_idx"], m["static_lmk_bary_coords"]),
                "dynamic": LandmarkTable(m["dynamic_lmk_faces_idx"], m["dynamic_lmk_bary_coords"]),
                "full": LandmarkTable(m["full_lmk_faces_idx"], m["full_lmk_bary_coords"]),
                "mediapipe": LandmarkTable(m["mp_lmk_faces_idx"], m["mp_lmk_bary_coords"]),
            },
        )
