"""Textured meshes as OBJ and GLB, through trimesh."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.io.atomic import atomic_path


def textured_mesh(
    vertices: np.ndarray, faces: np.ndarray, uv: np.ndarray, uv_faces: np.ndarray, texture: np.ndarray
) -> Any:
    """A ``trimesh.Trimesh`` with a PBR material; vertices are repeated where the texture has a seam.

    Args:
        vertices: ``[V, 3]`` metres.
        faces: ``[F, 3]`` rows of ``vertices``.
        uv: ``[T, 2]`` in 0..1, v up.
        uv_faces: ``[F, 3]`` rows of ``uv``.
        texture: ``[h, w, 3]`` in 0..1, first row is v = 1.
    """
    import trimesh
    from PIL import Image

    corners = np.stack([faces.ravel(), uv_faces.ravel()], 1)
    unique, index = np.unique(corners, axis=0, return_inverse=True)
    picture = Image.fromarray((np.clip(texture, 0, 1) * 255).round().astype(np.uint8))
    material = trimesh.visual.material.PBRMaterial(
        name="skin", baseColorTexture=picture, metallicFactor=0.0, roughnessFactor=0.7
    )
    normals = trimesh.Trimesh(vertices, faces, process=False).vertex_normals
    return trimesh.Trimesh(
        vertices[unique[:, 0]],
        index.reshape(-1, 3),
        vertex_normals=normals[unique[:, 0]],
        visual=trimesh.visual.TextureVisuals(uv=uv[unique[:, 1]], material=material),
        process=False,
    )


def write_glb(path: Path | str, mesh: Any) -> None:
    """Write one mesh as binary glTF with normals, atomically."""
    import trimesh

    scene = trimesh.Scene()
    scene.add_geometry(mesh, node_name="head", geom_name="head")
    with atomic_path(path) as temporary:
        temporary.write_bytes(scene.export(file_type="glb", include_normals=True))


def write_obj(path: Path | str, mesh: Any) -> None:
    """Write ``name.obj`` with ``name.mtl`` and ``name.png`` beside it; the ``.obj`` appears last."""
    import trimesh

    path = Path(path)
    simple = mesh.copy()
    simple.visual.material = trimesh.visual.material.SimpleMaterial(image=mesh.visual.material.baseColorTexture)
    simple.visual.material.name = path.stem
    text, extras = trimesh.exchange.obj.export_obj(
        simple, include_normals=True, include_texture=True, return_texture=True, mtl_name=f"{path.stem}.mtl"
    )
    for name, data in extras.items():
        with atomic_path(path.parent / name) as temporary:
            temporary.write_bytes(data)
    with atomic_path(path) as temporary:
        temporary.write_text(text)


def move_into(source: Path, target: Path) -> None:
    """Move the finished files of ``source`` into ``target``, each by one rename."""
    target.mkdir(parents=True, exist_ok=True)
    for item in sorted(source.iterdir()):
        if item.is_dir():
            move_into(item, target / item.name)
        else:
            item.replace(target / item.name)


class staged_folder:  # noqa: N801 - used like a function, `with staged_folder(path) as folder`
    """Write several files into a hidden folder beside ``target`` and move them there only when all succeeded."""

    def __init__(self, target: Path | str) -> None:
        self.target = Path(target)

    def __enter__(self) -> Path:
        self.target.parent.mkdir(parents=True, exist_ok=True)
        self.folder = Path(tempfile.mkdtemp(dir=self.target.parent, prefix=f".{self.target.name}."))
        return self.folder

    def __exit__(self, kind: object, *_: object) -> None:
        try:
            if kind is None:
                move_into(self.folder, self.target)
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
