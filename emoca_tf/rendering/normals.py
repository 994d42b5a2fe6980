"""Area-weighted vertex normals (spec: DECA:decalib/utils/util.py, vertex_normals)."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from emoca_tf.rendering.parallel import check_faces, differentiable, kernel, over_images

EPSILON = 1e-6


@kernel
def _sum_normals(image, vertices, faces, total) -> None:  # type: ignore[no-untyped-def]
    """``total`` [B, V, 3] = sum of the touching triangles' cross products."""
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        a, b, c = vertices[image, i], vertices[image, j], vertices[image, k]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for vertex in (i, j, k):
            total[image, vertex, 0] += nx
            total[image, vertex, 1] += ny
            total[image, vertex, 2] += nz


@kernel
def _normalise(image, total, normals) -> None:  # type: ignore[no-untyped-def]
    for vertex in range(total.shape[1]):
        n = total[image, vertex]
        length = max(np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]), np.float32(EPSILON))
        for axis in range(3):
            normals[image, vertex, axis] = n[axis] / length


@kernel
def _backward(image, vertices, faces, total, upstream, gradient) -> None:  # type: ignore[no-untyped-def]
    """Gradient of unit normals by the vertices; ``total`` is overwritten with the gradient of the sums."""
    for vertex in range(total.shape[1]):
        n, g = total[image, vertex], upstream[image, vertex]
        length = np.sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2])
        along = np.float32(0)
        if length > EPSILON:
            along = (n[0] * g[0] + n[1] * g[1] + n[2] * g[2]) / (length * length)
        length = max(length, np.float32(EPSILON))
        for axis in range(3):
            n[axis] = (g[axis] - along * n[axis]) / length
    for f in range(faces.shape[0]):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        a, b, c = vertices[image, i], vertices[image, j], vertices[image, k]
        ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        gx = total[image, i, 0] + total[image, j, 0] + total[image, k, 0]
        gy = total[image, i, 1] + total[image, j, 1] + total[image, k, 1]
        gz = total[image, i, 2] + total[image, j, 2] + total[image, k, 2]
        # cross = u x v: by u it is v x g, by v it is g x u.
        bx, by, bz = vy * gz - vz * gy, vz * gx - vx * gz, vx * gy - vy * gx
        cx, cy, cz = gy * uz - gz * uy, gz * ux - gx * uz, gx * uy - gy * ux
        gradient[image, j, 0] += bx
        gradient[image, j, 1] += by
        gradient[image, j, 2] += bz
        gradient[image, k, 0] += cx
        gradient[image, k, 1] += cy
        gradient[image, k, 2] += cz
        gradient[image, i, 0] -= bx + cx
        gradient[image, i, 1] -= by + cy
        gradient[image, i, 2] -= bz + cz


def vertex_normals(vertices: tf.Tensor, faces: np.ndarray) -> tf.Tensor:
    """Unit normals at the vertices, the sum of the touching triangles' cross products.

    Args:
        vertices: ``[B, V, 3]``.
        faces: ``[F, 3]`` int.

    Returns:
        ``[B, V, 3]``; shorter than one only where the summed area is below ``EPSILON``, zero for unused vertices.
    """
    faces = np.ascontiguousarray(faces, np.int32)

    def summed(v: np.ndarray) -> np.ndarray:
        check_faces(faces, v.shape[1])
        total = np.zeros(v.shape, np.float32)
        over_images(_sum_normals, len(v), v, faces, total)
        return total

    def forward(v: np.ndarray) -> list[np.ndarray]:
        total = summed(v)
        over_images(_normalise, len(v), total, total)
        return [total]

    def backward(v: np.ndarray, upstream: np.ndarray) -> list[np.ndarray]:
        gradient = np.zeros(v.shape, np.float32)
        over_images(_backward, len(v), v, faces, summed(v), upstream, gradient)
        return [gradient]

    vertices = tf.convert_to_tensor(vertices, tf.float32)
    return differentiable(forward, backward, [vertices], [vertices.shape])[0]
