"""Meshes, textured or plain, as OBJ and GLB, through trimesh."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from emoca_tf.io.atomic import atomic_path


def seam_corners(faces: np.ndarray, uv_faces: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices repeated where the texture has a seam: glTF knows one index for position and texture.

    Returns:
        ``[N, 2]`` rows of the vertices and of the texture vertices, and ``[F, 3]`` rows of those.
    """
    corners = np.stack([faces.ravel(), uv_faces.ravel()], 1)
    unique, index = np.unique(corners, axis=0, return_inverse=True)
    return unique, index.reshape(-1, 3)


def plain_mesh(vertices: np.ndarray, faces: np.ndarray) -> Any:
    """A ``trimesh.Trimesh`` without texture: ``vertices [V, 3]`` metres, ``faces [F, 3]``."""
    import trimesh

    normals = trimesh.Trimesh(vertices, faces, process=False).vertex_normals
    return trimesh.Trimesh(vertices, faces, vertex_normals=normals, process=False)


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

    unique, triangles = seam_corners(faces, uv_faces)
    picture = Image.fromarray((np.clip(texture, 0, 1) * 255).round().astype(np.uint8))
    material = trimesh.visual.material.PBRMaterial(
        name="skin", baseColorTexture=picture, metallicFactor=0.0, roughnessFactor=0.7
    )
    normals = trimesh.Trimesh(vertices, faces, process=False).vertex_normals
    return trimesh.Trimesh(
        vertices[unique[:, 0]],
        triangles,
        vertex_normals=normals[unique[:, 0]],
        visual=trimesh.visual.TextureVisuals(uv=uv[unique[:, 1]], material=material),
        process=False,
    )


def write_glb(
    path: Path | str,
    mesh: Any,
    targets: Mapping[str, np.ndarray] | None = None,
    weights: Sequence[float] = (),
    extras: Mapping[str, Any] | None = None,
) -> None:
    """Write one mesh as binary glTF with normals, atomically; arguments as of :func:`glb_bytes`."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(glb_bytes(mesh, targets, weights, extras))


def glb_bytes(
    mesh: Any,
    targets: Mapping[str, np.ndarray] | None = None,
    weights: Sequence[float] = (),
    extras: Mapping[str, Any] | None = None,
) -> bytes:
    """One mesh as binary glTF with normals.

    Args:
        mesh: of :func:`textured_mesh` or :func:`plain_mesh`.
        targets: morph targets, see :func:`emoca_tf.io.gltf.with_morph_targets`; the file opens looking like ``mesh``.
        weights: one for each target.
        extras: JSON values that go into the mesh's ``extras``.
    """
    import trimesh

    from emoca_tf.io.gltf import with_extras, with_morph_targets

    scene = trimesh.Scene()
    scene.add_geometry(mesh, node_name="head", geom_name="head")
    content: bytes = scene.export(file_type="glb", include_normals=True)
    if targets:
        content = with_morph_targets(content, targets, weights)
    if extras:
        content = with_extras(content, extras)
    return content


def write_obj(path: Path | str, mesh: Any, comment: str = "") -> None:
    """Write ``name.obj``, last; a textured mesh gets ``name.mtl`` and ``name.png`` beside it.

    Args:
        path: the file.
        mesh: of :func:`textured_mesh` or :func:`plain_mesh`.
        comment: one line that the file begins with.
    """
    import trimesh

    path = Path(path)
    textured = isinstance(mesh.visual, trimesh.visual.TextureVisuals)
    simple = mesh.copy()
    if textured:
        picture = mesh.visual.material.baseColorTexture
        simple.visual.material = trimesh.visual.material.SimpleMaterial(image=picture)
        simple.visual.material.name = path.stem
    text, extras = trimesh.exchange.obj.export_obj(
        simple,
        include_normals=True,
        include_texture=textured,
        include_color=False,
        return_texture=True,
        mtl_name=f"{path.stem}.mtl",
    )
    for name, data in extras.items():
        with atomic_path(path.parent / name) as temporary:
            temporary.write_bytes(data)
    with atomic_path(path) as temporary:
        temporary.write_text(f"# {comment}\n{text}" if comment else text)


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
