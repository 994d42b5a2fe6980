"""A phone's recording as an animated GLB: glTF's own arithmetic shows FLAME's vertices; bad files are one line."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import numpy as np
import pytest
from helpers_flame import golden_head
from helpers_gltf import FRAMES, accessor, made_up_recording, quaternion

from emoca_tf.capture.recording import animated_glb, read_recording
from emoca_tf.cli import group, run
from emoca_tf.errors import UserError
from emoca_tf.flame.head import HeadModel
from emoca_tf.flame.layer import Flame
from emoca_tf.io.gltf import read_glb
from emoca_tf.io.gltf_animation import Skeleton, shortest_way, with_animation


def rows(tree: dict, buffer: bytes, number: int) -> np.ndarray:
    """Any dense accessor, row by row."""
    one = tree["accessors"][number]
    width = {"SCALAR": 1, "VEC3": 3, "VEC4": 4, "MAT4": 16}[one["type"]]
    kind = {5126: "<f4", 5121: "<u1"}[one["componentType"]]
    start = tree["bufferViews"][one["bufferView"]]["byteOffset"]
    return np.frombuffer(buffer, kind, width * one["count"], start).reshape(one["count"], width).astype(np.float64)


def matrix(node: dict, turn: np.ndarray | None) -> np.ndarray:
    out = np.eye(4)
    if turn is not None:
        x, y, z, w = turn
        for column, point in enumerate(np.eye(3)):  # a point turned by a quaternion, straight from its definition
            v = np.array([x, y, z])
            out[:3, column] = point + 2 * np.cross(v, np.cross(v, point) + w * point)
    out[:3, 3] = node["translation"]
    return out


def shown(glb: bytes, frame: int) -> np.ndarray:
    """Vertices that a viewer shows at a key frame, by glTF's rules: morph, then skin."""
    tree, buffer = read_glb(glb)
    animation = tree["animations"][0]
    found = {}
    for channel in animation["channels"]:
        values = rows(tree, buffer, animation["samplers"][channel["sampler"]]["output"])
        found[channel["target"]["node"], channel["target"]["path"]] = values
    primitive = tree["meshes"][0]["primitives"][0]
    vertices = accessor(tree, buffer, primitive["attributes"]["POSITION"]).astype(np.float64)
    weights = found[0, "weights"].reshape(-1, len(primitive["targets"]))[frame]
    for weight, target in zip(weights, primitive["targets"], strict=True):
        vertices += weight * accessor(tree, buffer, target["POSITION"])
    skin = tree["skins"][tree["nodes"][0]["skin"]]
    parents = {child: i for i, node in enumerate(tree["nodes"]) for child in node.get("children", [])}
    world: dict[int, np.ndarray] = {}
    for node in skin["joints"]:
        turn = found.get((node, "rotation"))
        world[node] = world.get(parents.get(node, -1), np.eye(4)) @ matrix(
            tree["nodes"][node], None if turn is None else turn[frame]
        )
    inverse = rows(tree, buffer, skin["inverseBindMatrices"]).reshape(-1, 4, 4).transpose(0, 2, 1)
    moves = np.stack([world[node] @ inverse[i] for i, node in enumerate(skin["joints"])])
    joints = rows(tree, buffer, primitive["attributes"]["JOINTS_0"]).astype(int)
    shares = rows(tree, buffer, primitive["attributes"]["WEIGHTS_0"])
    np.testing.assert_allclose(shares.sum(1), 1, atol=1e-6)
    blended = (shares[:, :, None, None] * moves[joints]).sum(1)
    return np.einsum("nij,nj->ni", blended[:, :3, :3], vertices) + blended[:, :3, 3]


@pytest.mark.parametrize("kind", ["default", "official format"])
def test_every_key_frame_is_flame(kind: str, tmp_path: Path) -> None:
    head = HeadModel.load() if kind == "default" else golden_head()
    tree, codes = made_up_recording(head)
    path = tmp_path / "emoca-recording.json"
    path.write_text(json.dumps(tree))
    glb = animated_glb(read_recording(path), head)
    joints = np.abs(np.einsum("jv,vik->jik", head.J_regressor, head.shapedirs[:, :, head.n_shape :]))
    still = kind == "default"  # its joints hardly move with expression; on made-up directions they do
    for frame in range(FRAMES):
        one = [
            np.asarray(codes[name][None] if name == "shape" else codes[name][frame : frame + 1], np.float32)
            for name in codes
        ]
        wanted = Flame(head)(*one).vertices.numpy()[0]
        off = np.abs(shown(glb, frame)[:, None] - wanted[seam_rows(head)][:, None]).max()
        limit = 3 * float((joints @ np.abs(codes["exp"][frame])).max()) + 2e-5
        assert off <= (min(limit, 2e-4) if still else limit), frame
    written, _ = read_glb(glb)
    assert written["meshes"][0]["extras"]["targetNames"][: head.n_exp] == list(head.expression_names)
    assert [node["name"] for node in written["nodes"][1:]] == ["global", "neck", "jaw", "left_eye", "right_eye"]


def seam_rows(head: HeadModel) -> np.ndarray:
    from emoca_tf.io.mesh import seam_corners

    return np.arange(head.n_vertices) if head.uv is None else seam_corners(head.f, head.uv_faces)[0][:, 0]


def test_the_command_writes_a_file_and_says_what_is_in_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tree, _ = made_up_recording(HeadModel.load())
    source, target = tmp_path / "r.json", tmp_path / "out" / "head.glb"
    source.write_text(json.dumps(tree))
    assert run(group, "emoca-tf", ["animate", str(source), "-o", str(target)]) == 0
    assert f"{FRAMES} frames, 0.1 s, 50 expression axes" in capsys.readouterr().out
    assert target.read_bytes()[:4] == b"glTF"
    assert struct.unpack_from("<I", target.read_bytes(), 8)[0] == target.stat().st_size
    assert run(group, "emoca-tf", ["animate", str(source), "-o", str(tmp_path / "head.fbx")]) == 2


def test_frames_of_the_same_time_count_once(tmp_path: Path) -> None:
    tree, codes = made_up_recording(HeadModel.load())
    tree["times"][2] = tree["times"][1]
    (tmp_path / "r.json").write_text(json.dumps(tree))
    recording = read_recording(tmp_path / "r.json")
    np.testing.assert_allclose(recording.exp, np.delete(codes["exp"], 2, 0))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": "other"}, "no recording of the Android demo"),
        ({"jaws": None}, "damaged recording"),
        ({"times": []}, "no frame"),
        ({"times": [0.0, 0.3, 0.2, 0.4, 0.5]}, "backwards"),
        ({"weights": [[0.0]] * FRAMES}, "damaged recording"),
        ({"rotations": [[0, 0, 0, 2.0]] * FRAMES}, "no unit quaternions"),
        ({"rotations": [[0, 0, 0, 1.0]] * 2}, "5 times, but 2 rows"),
        ({"shape": [float("nan")]}, "damaged recording"),
    ],
)
def test_a_damaged_recording_is_one_line(change: dict, said: str, tmp_path: Path) -> None:
    tree = made_up_recording(golden_head())[0] | change
    (tmp_path / "r.json").write_text(json.dumps(tree))
    with pytest.raises(UserError, match=said) as caught:
        read_recording(tmp_path / "r.json")
    assert "\n" not in str(caught.value)


def test_what_is_no_recording_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be read"):
        read_recording(tmp_path / "missing.json")
    whole = json.dumps(made_up_recording(golden_head())[0])
    for content in (b"", b"\xff\xfe", whole[: len(whole) // 2].encode(), b"[" * 100_000, b"[1]"):
        (tmp_path / "r.json").write_bytes(content)
        with pytest.raises(UserError, match=r"no JSON|no recording"):
            read_recording(tmp_path / "r.json")


def test_another_head_is_refused(tmp_path: Path) -> None:
    tree, _ = made_up_recording(golden_head())
    (tmp_path / "r.json").write_text(json.dumps(tree | {"head": "somebody"}))
    with pytest.raises(UserError, match="--head"):
        animated_glb(read_recording(tmp_path / "r.json"), golden_head())
    (tmp_path / "r.json").write_text(json.dumps(tree | {"targets": ["unknown", *tree["targets"][1:]]}))
    with pytest.raises(UserError, match="axes"):
        animated_glb(read_recording(tmp_path / "r.json"), golden_head())


def test_quaternions_take_the_shortest_way() -> None:
    turns = np.array([quaternion(np.array([0, angle, 0])) for angle in np.linspace(0, 6, 40)])
    turns[1::2] *= -1
    smooth = shortest_way(turns)
    assert ((smooth[1:] * smooth[:-1]).sum(1) > 0.9).all()
    np.testing.assert_allclose(np.abs((smooth * turns).sum(1)), 1)


def test_sizes_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    import trimesh

    from emoca_tf.io.mesh import glb_bytes, plain_mesh

    box = trimesh.creation.box()
    glb = glb_bytes(plain_mesh(np.asarray(box.vertices), np.asarray(box.faces)), {"a": np.ones((8, 3))}, [0.0])
    bones = Skeleton(["root"], [-1], np.zeros((1, 3)), np.ones((8, 1)))
    good = {
        "times": np.arange(2.0),
        "weights": np.zeros((2, 1)),
        "rotations": {"root": np.tile([0, 0, 0, 1.0], (2, 1))},
    }
    assert with_animation(glb, bones, **good)
    for name, value, said in (
        ("times", np.zeros(2), "later"),
        ("weights", np.zeros((2, 2)), "morph targets"),
        ("rotations", {"root": np.ones((3, 4))}, "rotations of root"),
    ):
        with pytest.raises(ValueError, match=said):
            with_animation(glb, bones, **(good | {name: value}))
    many = Skeleton(["a", "b", "c", "d", "e"], [-1, 0, 0, 0, 0], np.zeros((5, 3)), np.full((8, 5), 0.2))
    with pytest.raises(ValueError, match="four joints"):
        with_animation(glb, many, good["times"], good["weights"], {})
