"""The renderer: head-space vertices, camera, albedo and light -> picture, masks and previews.

Source: DECA:decalib/utils/renderer.py (SRenderY), emoca:gdl/models/Renderer.py (spec sections 3.2 and 3.3). Geometry
gets gradient through normals and through the barycentric weights; the silhouette gives none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering import normals, rasterizer, tfg
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.deferred import draw
from emoca_tf.rendering.shading import directional, spherical_harmonics
from emoca_tf.rendering.texture import sample
from emoca_tf.rendering.uv_space import corner_grid, face_mask

FRONT_Z = -0.05
PREVIEW_Z = 0.15
PREVIEW_GREY = 180 / 255
_PREVIEW_LIGHTS = np.array(
    [[x, y, 1, 1.7, 1.7, 1.7] for x, y in ((-1, 1), (1, 1), (-1, -1), (1, -1), (0, 0))], np.float32
)  # direction, then the intensity of red, green, blue


class _Geometry(NamedTuple):
    """Where a backend takes its steps from."""

    vertex_normals: Callable[..., tf.Tensor]
    rasterize: Callable[..., rasterizer.Fragments]
    interpolate: Callable[..., tf.Tensor]
    interpolate_corners: Callable[..., tf.Tensor]


BACKENDS = {
    "fused": _Geometry(
        normals.vertex_normals, rasterizer.rasterize, rasterizer.interpolate, rasterizer.interpolate_corners
    ),
    "tfg": _Geometry(tfg.vertex_normals, tfg.rasterize, tfg.interpolate, tfg.interpolate_corners),
}


class Rendered(NamedTuple):
    """What the renderer makes; all ``[B, H, W, C]`` float32 except ``points`` and ``vertex_normals``.

    Attributes:
        image: albedo x shading x alpha, 3 channels.
        alpha: 1 where a triangle covers the pixel (no gradient).
        mask: the UV face mask looked up, x alpha.
        grid: texture coordinates, 2 channels, [-1, 1], y down.
        normals: head-space normals (interpolated, not normalised again).
        shading: light on the normals, ones without light.
        albedo: the texture looked up, ones without texture.
        pos_mask: 1 where the surface looks at the camera (camera-space normal z < -0.05; no gradient).
        points: ``[B, V, 3]`` projected vertices.
        vertex_normals: ``[B, V, 3]`` head space.
        triangle_id: ``[B, H, W, 1]`` int32, valid where alpha is 1.
        camera_normals: interpolated normals of the projected mesh (no gradient).
    """

    image: tf.Tensor
    alpha: tf.Tensor
    mask: tf.Tensor
    grid: tf.Tensor
    normals: tf.Tensor
    shading: tf.Tensor
    albedo: tf.Tensor
    pos_mask: tf.Tensor
    points: tf.Tensor
    vertex_normals: tf.Tensor
    triangle_id: tf.Tensor
    camera_normals: tf.Tensor


class Renderer(keras.layers.Layer):
    """Differentiable rendering of one head model.

    Args:
        head: the head; needs texture coordinates.
        size: edge of the square picture in pixels.
        uv_size: edge of the UV mask in texels.
        uv_mask: ``[h, w]`` or ``[h, w, 1]`` in 0..1, the face in UV space; made from the head's regions when None.
        backend: ``fused``, the numba kernels, or ``tfg``, geometry through TensorFlow Graphics: slower, the same
            picture within 1e-4.

    Raises:
        ValueError: for an unknown backend or a size that is not positive.
        UserError: for a head without texture coordinates.
    """

    def __init__(
        self,
        head: HeadModel,
        size: int = 224,
        uv_size: int = 256,
        uv_mask: np.ndarray | None = None,
        backend: str = "fused",
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("dtype", "float32")  # half precision would move vertices by a fifth of a pixel
        super().__init__(trainable=False, **kwargs)
        if backend not in BACKENDS:
            raise ValueError(f"backend {backend!r}: one of {sorted(BACKENDS)} expected")
        self.backend = backend
        self.geometry = BACKENDS[backend]
        if size < 1 or uv_size < 1:
            raise ValueError(f"sizes must be positive, got size={size}, uv_size={uv_size}")
        self.size = size
        self.faces = np.asarray(head.f, np.int32)
        self.corner_grid = corner_grid(head)
        mask = face_mask(head, uv_size) if uv_mask is None else np.asarray(uv_mask, np.float32)
        self.uv_mask = np.ascontiguousarray(mask.reshape(*mask.shape[:2], 1), np.float32)

    def call(
        self, vertices: tf.Tensor, cam: tf.Tensor, albedo: tf.Tensor | None = None, light: tf.Tensor | None = None
    ) -> Rendered:
        """Render.

        Args:
            vertices: ``[B, V, 3]`` head space, metres.
            cam: ``[B, 3]`` scale, tx, ty.
            albedo: ``[B, h, w, 3]`` texture in 0..1, or None for white.
            light: ``[B, 9, 3]`` spherical harmonics, or None for unlit.
        """
        points, world, fragments, normals = self._rasterize(vertices, cam)
        # The projected mesh's normals are the head's with y and z negated (a rotation and a scale): nothing to redo.
        camera_normals = tf.stop_gradient(normals * tf.constant([1.0, -1.0, -1.0]))
        alpha = fragments.mask
        grid = self.geometry.interpolate_corners(self.corner_grid, fragments)
        texture = tf.ones_like(normals) if albedo is None else sample(tf.convert_to_tensor(albedo), grid)
        shading = tf.ones_like(normals) if light is None else spherical_harmonics(normals, tf.convert_to_tensor(light))
        if self.backend == "fused":
            image = draw(points, world, albedo, light, fragments, self.corner_grid)
        else:
            image = texture * shading * alpha
        return Rendered(
            image=image,
            alpha=alpha,
            mask=sample(self.uv_mask[None], grid) * alpha,
            grid=grid,
            normals=normals,
            shading=shading,
            albedo=texture,
            pos_mask=tf.cast(camera_normals[..., 2:] < FRONT_Z, tf.float32),
            points=points,
            vertex_normals=world,
            triangle_id=tf.maximum(fragments.triangle_id, 0)[..., None],
            camera_normals=camera_normals,
        )

    def _rasterize(
        self, vertices: tf.Tensor, cam: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, rasterizer.Fragments, tf.Tensor]:
        """Projected points, vertex normals, fragments and interpolated normals."""
        vertices, cam = tf.convert_to_tensor(vertices, tf.float32), tf.convert_to_tensor(cam, tf.float32)
        points = project(vertices, cam)
        world = self.geometry.vertex_normals(vertices, self.faces)
        fragments = self.geometry.rasterize(points, self.faces, (self.size, self.size))
        return points, world, fragments, self.geometry.interpolate(world, fragments)

    def shape_image(
        self,
        vertices: tf.Tensor,
        cam: tf.Tensor,
        background: tf.Tensor | None = None,
        normal_map: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Grey preview under five lights.

        Args:
            vertices: ``[B, V, 3]`` head space, metres.
            cam: ``[B, 3]`` scale, tx, ty.
            background: ``[B, H, W, 3]`` what is behind the head; black when None.
            normal_map: ``[B, h, w, 3]`` detail normals in UV space instead of the vertices' normals.

        Returns:
            ``[B, H, W, 3]``.
        """
        _, _, fragments, normals = self._rasterize(vertices, cam)
        facing = tf.cast(-normals[..., 2:] < PREVIEW_Z, tf.float32)
        if normal_map is not None:
            normals = sample(normal_map, self.geometry.interpolate_corners(self.corner_grid, fragments))
        lights = tf.tile(tf.constant(_PREVIEW_LIGHTS)[None], [tf.shape(normals)[0], 1, 1])
        # The original interpolates its grey too, so the weights' sum (not quite 1, see rasterizer) counts once more.
        grey = PREVIEW_GREY * tf.reduce_sum(fragments.weights, -1, keepdims=True)
        alpha = fragments.mask * facing
        image = grey * directional(normals, lights) * alpha
        return image if background is None else image + background * (1 - alpha)
