"""The renderer: head-space vertices, camera, albedo and light -> picture, masks and previews.

Source: DECA:decalib/utils/renderer.py (SRenderY), emoca:gdl/models/Renderer.py (spec sections 3.2 and 3.3). Geometry
gets gradient through normals and through the barycentric weights; the silhouette gives none.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.deferred import draw
from emoca_tf.rendering.normals import vertex_normals
from emoca_tf.rendering.rasterizer import interpolate, interpolate_corners, rasterize
from emoca_tf.rendering.shading import directional, spherical_harmonics
from emoca_tf.rendering.texture import sample
from emoca_tf.rendering.uv_space import corner_grid, face_mask

FRONT_Z = -0.05
PREVIEW_Z = 0.15
PREVIEW_GREY = 180 / 255
PREVIEW_LIGHTS = np.array([[-1, 1, 1], [1, 1, 1], [-1, -1, 1], [1, -1, 1], [0, 0, 1]], np.float32)
PREVIEW_INTENSITY = 1.7


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
    """

    def __init__(
        self, head: HeadModel, size: int = 224, uv_size: int = 256, uv_mask: np.ndarray | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
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
        vertices, cam = tf.convert_to_tensor(vertices), tf.convert_to_tensor(cam)
        points = project(vertices, cam)
        world = vertex_normals(vertices, self.faces)
        # The projected mesh's normals are the head's with y and z negated (a rotation and a scale): nothing to redo.
        flip = tf.constant([1.0, -1.0, -1.0], vertices.dtype)
        fragments = rasterize(points, self.faces, (self.size, self.size))
        alpha = fragments.mask
        normals = interpolate(world, fragments)
        camera_normals = tf.stop_gradient(normals * flip)
        grid = interpolate_corners(self.corner_grid, fragments)
        texture = tf.ones_like(normals) if albedo is None else sample(tf.convert_to_tensor(albedo), grid)
        shading = tf.ones_like(normals) if light is None else spherical_harmonics(normals, tf.convert_to_tensor(light))
        return Rendered(
            image=draw(points, world, albedo, light, fragments, self.corner_grid),
            alpha=alpha,
            mask=sample(self.uv_mask[None], grid) * alpha,
            grid=grid,
            normals=normals,
            shading=shading,
            albedo=texture,
            pos_mask=tf.cast(camera_normals[..., 2:] < FRONT_Z, vertices.dtype),
            points=points,
            vertex_normals=world,
            triangle_id=tf.maximum(fragments.triangle_id, 0)[..., None],
            camera_normals=camera_normals,
        )

    def shape_image(self, vertices: tf.Tensor, cam: tf.Tensor, background: tf.Tensor | None = None) -> tf.Tensor:
        """Grey preview under five lights, ``[B, H, W, 3]``; over ``background`` (same shape) if given, else black."""
        rendered = self.call(vertices, cam)
        lights = np.concatenate([PREVIEW_LIGHTS, np.full_like(PREVIEW_LIGHTS, PREVIEW_INTENSITY)], 1)
        batch = tf.shape(rendered.normals)[0]
        shading = directional(rendered.normals, tf.tile(tf.constant(lights)[None], [batch, 1, 1]))
        alpha = rendered.alpha * tf.cast(rendered.camera_normals[..., 2:] < PREVIEW_Z, shading.dtype)
        image = PREVIEW_GREY * shading * alpha
        return image if background is None else image + background * (1 - alpha)
