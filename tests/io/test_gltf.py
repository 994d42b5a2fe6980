"""Morph targets in binary glTF: read back by their own rules, and refused where they do not fit."""

from __future__ import annotations

import numpy as np
import pytest
import trimesh
from helpers_gltf import accessor, opened

from emoca_tf.io.gltf import read_glb, with_morph_targets, write_glb_bytes


def sphere() -> bytes:
    scene = trimesh.Scene()
    scene.add_geometry(trimesh.creation.icosphere(subdivisions=2), node_name="head", geom_name="head")
    return scene.export(file_type="glb", include_normals=True)


def test_the_file_opens_as_it_was_and_the_base_is_without_the_targets() -> None:
    plain = sphere()
    tree, buffer = read_glb(plain)
    before = accessor(tree, buffer, tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"])
    some, everything = np.zeros_like(before), np.full_like(before, 0.02)
    some[3:40, 1] = 0.1
    tree, buffer = read_glb(
        with_morph_targets(
            plain, {"some": some, "none": np.zeros_like(before), "everything": everything}, [0.5, 1, -0.25]
        )
    )
    base, shown = opened(tree, buffer)
    np.testing.assert_allclose(shown, before, atol=1e-7)
    np.testing.assert_allclose(base, before - 0.5 * some + 0.25 * everything, atol=1e-7)
    assert tree["meshes"][0]["extras"]["targetNames"] == ["some", "none", "everything"]
    assert tree["buffers"][0]["byteLength"] == len(buffer)


def test_movements_too_small_to_see_are_left_out() -> None:
    tree, _ = read_glb(sphere())
    count = tree["accessors"][tree["meshes"][0]["primitives"][0]["attributes"]["POSITION"]]["count"]
    tree, _ = read_glb(with_morph_targets(sphere(), {"still": np.full((count, 3), 1e-6)}, [1.0]))
    assert "sparse" not in tree["accessors"][tree["meshes"][0]["primitives"][0]["targets"][0]["POSITION"]]


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="not a binary glTF"):
        read_glb(b"solid ascii stl")
    with pytest.raises(ValueError, match="without JSON"):
        read_glb(b"glTF" + bytes(20))
    with pytest.raises(ValueError, match="the mesh has"):
        with_morph_targets(sphere(), {"a": np.zeros((7, 3))}, [1.0])
    with pytest.raises(ValueError, match="1 targets, but 2 weights"):
        with_morph_targets(sphere(), {"a": np.zeros((162, 3))}, [1.0, 2.0])
    with pytest.raises(ValueError, match="one mesh"):
        with_morph_targets(write_glb_bytes({"asset": {"version": "2.0"}}, b""), {}, [])
