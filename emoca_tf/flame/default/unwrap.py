"""Texture layout with little distortion: a chart of the source figure relaxed towards the shape of the surface.

Minimises the symmetric Dirichlet energy, which no flipped triangle can reach (Smith and Schaefer, "Bijective
parameterization with free boundaries", 2015), by L-BFGS over a Laplacian.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import splu

MEMORY = 12


class _Energy:
    """Symmetric Dirichlet energy of layouts of ``faces [F, 3]`` with ideal corners ``corners [F, 3, 3]`` in space."""

    def __init__(self, corners: np.ndarray, faces: np.ndarray, count: int) -> None:
        a, b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
        along = np.linalg.norm(a, axis=1)
        right = (a * b).sum(1) / along
        height = np.sqrt(np.maximum((b**2).sum(1) - right**2, (0.05 * along) ** 2))  # slivers are widened
        self.area = along * height / 2
        zero = np.zeros_like(along)
        inverse = np.array([[1 / along, -right / (along * height)], [zero, 1 / height]]).transpose(2, 0, 1)
        rows = np.repeat(np.arange(2 * len(faces)).reshape(-1, 2), 3, axis=1)
        spread = np.array([[-1.0, 1, 0], [-1, 0, 1]])  # edges from corners
        values = np.einsum("fij,ik->fjk", inverse, spread)
        columns = np.repeat(faces[:, None], 2, axis=1)
        self.gradient = sparse.csr_matrix((values.ravel(), (rows.ravel(), columns.ravel())), (2 * len(faces), count))
        weight = sparse.diags(np.repeat(self.area, 2))
        laplacian = self.gradient.T @ weight @ self.gradient
        self.solve = splu((laplacian + 1e-8 * laplacian.diagonal().mean() * sparse.eye(count)).tocsc()).solve

    def jacobians(self, layout: np.ndarray) -> np.ndarray:
        return (self.gradient @ layout).reshape(-1, 2, 2)

    def value(self, layout: np.ndarray) -> float:
        j = self.jacobians(layout)
        det = np.linalg.det(j)
        if (det <= 0).any():
            return float("inf")
        square = (j**2).sum((1, 2))
        return float((self.area * square * (1 + 1 / det**2)).sum())

    def slope(self, layout: np.ndarray) -> np.ndarray:
        j = self.jacobians(layout)
        det = np.linalg.det(j)[:, None, None]
        square = (j**2).sum((1, 2))[:, None, None]
        cofactor = np.stack([j[:, 1, 1], -j[:, 1, 0], -j[:, 0, 1], j[:, 0, 0]], 1).reshape(-1, 2, 2)
        by_j = 2 * self.area[:, None, None] * (j * (1 + 1 / det**2) - square / det**3 * cofactor)
        return self.gradient.T @ by_j.reshape(-1, 2)


def _longest_step(faces: np.ndarray, layout: np.ndarray, step: np.ndarray) -> float:
    """Share of ``step`` at which the first triangle collapses."""
    p, d = layout[faces], step[faces]
    a, b, da, db = p[:, 1] - p[:, 0], p[:, 2] - p[:, 0], d[:, 1] - d[:, 0], d[:, 2] - d[:, 0]

    def cross(u: np.ndarray, v: np.ndarray) -> np.ndarray:
        return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]

    square, linear, constant = cross(da, db), cross(a, db) + cross(da, b), cross(a, b)
    root = np.sqrt(np.maximum(linear**2 - 4 * square * constant, 0))
    real = linear**2 >= 4 * square * constant
    with np.errstate(divide="ignore", invalid="ignore"):
        roots = np.stack([2 * constant / (-linear + sign * root) for sign in (1, -1)])
    usable = real & np.isfinite(roots) & (roots > 0)
    return float(roots[usable].min()) if usable.any() else float("inf")


def relax(points: np.ndarray, layout: np.ndarray, faces: np.ndarray, importance: np.ndarray, steps: int) -> np.ndarray:
    """A layout ``[T, 2]`` in which every triangle looks as it does in space, times its importance.

    Args:
        points: ``[T, 3]`` places in space of the texture vertices.
        layout: ``[T, 2]`` to start from, all triangles counter-clockwise.
        faces: ``[F, 3]`` rows of ``points`` and ``layout``.
        importance: ``[F]`` wanted magnification.
        steps: largest number of steps.

    Raises:
        ValueError: if a triangle of ``layout`` is flipped or empty.
    """
    energy = _Energy(points[faces] * importance[:, None, None], faces, len(points))
    j = np.linalg.det(energy.jacobians(layout))
    if (j <= 0).any():
        raise ValueError(f"{int((j <= 0).sum())} triangles of the layout to start from are flipped")
    layout = layout / np.sqrt(np.average(j, weights=energy.area))
    now, slope = energy.value(layout), energy.slope(layout)
    memory: deque[tuple[np.ndarray, np.ndarray]] = deque(maxlen=MEMORY)
    for _ in range(steps):
        direction = -_two_loops(slope, memory, energy)
        if (direction * slope).sum() >= 0:
            memory.clear()
            direction = -energy.solve(slope)
        share = min(1.0, 0.8 * _longest_step(faces, layout, direction))
        expected = (direction * slope).sum()
        while share > 1e-12 and not energy.value(layout + share * direction) <= now + 1e-4 * share * expected:
            share /= 2
        if share <= 1e-12:
            break
        layout = layout + share * direction
        after, changed = energy.value(layout), energy.slope(layout)
        memory.append((share * direction, changed - slope))
        if (memory[-1][0] * memory[-1][1]).sum() <= 0:
            memory.pop()
        if now - after < 1e-7 * now:
            break
        now, slope = after, changed
    return layout


def _two_loops(slope: np.ndarray, memory: deque[tuple[np.ndarray, np.ndarray]], energy: _Energy) -> np.ndarray:
    """L-BFGS: the inverse Hessian's estimate times the slope, the Laplacian's inverse at its core."""
    q, shares = slope.copy(), []
    for moved, turned in reversed(memory):
        rho = 1 / (moved * turned).sum()
        alpha = rho * (moved * q).sum()
        shares.append((rho, alpha))
        q = q - alpha * turned
    q = energy.solve(q)
    for (moved, turned), (rho, alpha) in zip(memory, reversed(shares), strict=True):
        q = q + (alpha - rho * (turned * q).sum()) * moved
    return q
