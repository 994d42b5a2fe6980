"""TensorFlow Graphics' own rasteriser: its C++ operation rebuilt from the sources in its wheel, and a head drawn by it.

The operation in the wheel was built for an older TensorFlow and does not load. Needs g++; takes about a minute.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf

from emoca_tf.flame.head import HeadModel
from emoca_tf.rendering.camera import project
from emoca_tf.rendering.normals import vertex_normals
from emoca_tf.rendering.shading import spherical_harmonics
from emoca_tf.rendering.texture import sample

DEPTH_SCALE = 0.1  # its z test wants [-1, 1]


def build() -> None:
    """Compile the operation and put it where TensorFlow Graphics looks for it first."""
    from tensorflow_graphics.rendering import kernels

    sources = [str(Path(kernels.__path__[0]) / f"rasterize_triangles_{part}.cc") for part in ("impl", "op")]
    with tempfile.TemporaryDirectory() as folder:
        library = Path(folder) / "rasterizer_op.so"
        flags = [*tf.sysconfig.get_compile_flags(), *tf.sysconfig.get_link_flags()]
        command = ["g++", "-std=c++17", "-O3", "-shared", "-fPIC", *sources, *flags, "-o", str(library)]
        subprocess.run(command, check=True, capture_output=True)
        operation = tf.load_op_library(str(library))
    sys.modules["tensorflow_graphics.rendering.kernels.gen_rasterizer_op"] = operation
    kernels.gen_rasterizer_op = operation


class TfgRenderer:
    """The picture of :class:`emoca_tf.rendering.renderer.Renderer` with ``triangle_rasterizer`` as its rasteriser.

    Texture coordinates are attributes of vertices there, so the mesh is split along the seams of the texture. Camera,
    normals, lookup and light are ours.
    """

    def __init__(self, head: HeadModel, size: int) -> None:
        assert head.uv is not None
        assert head.uv_faces is not None
        self.faces, self.size = np.asarray(head.f, np.int32), size
        self.split_faces = np.asarray(head.uv_faces, np.int32)
        self.vertex_of = np.zeros(len(head.uv), np.int32)
        self.vertex_of[self.split_faces] = self.faces
        self.grid = (np.asarray(head.uv, np.float32) * 2 - 1) * [1, -1]

    def __call__(self, vertices: tf.Tensor, cam: tf.Tensor, albedo: tf.Tensor, light: tf.Tensor) -> tf.Tensor:
        from tensorflow_graphics.rendering import rasterization_backend, triangle_rasterizer

        batch = vertices.shape[0]
        attributes = {
            "normal": tf.gather(vertex_normals(vertices, self.faces), self.vertex_of, axis=1),
            "grid": tf.tile(tf.constant(self.grid, tf.float32)[None], [batch, 1, 1]),
        }
        found = triangle_rasterizer.rasterize(
            tf.gather(project(vertices, cam), self.vertex_of, axis=1),
            self.split_faces,
            attributes,
            tf.tile(tf.linalg.diag(tf.constant([1.0, 1.0, DEPTH_SCALE, 1.0]))[None], [batch, 1, 1]),
            (self.size, self.size),
            enable_cull_face=False,
            backend=rasterization_backend.RasterizationBackends.CPU,
        )
        return sample(albedo, found["grid"]) * spherical_harmonics(found["normal"], light) * found["mask"]
