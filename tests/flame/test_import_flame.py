"""FLAME's own files: read without chumpy, torch or execution; equal to what the official readers give."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import seeded
from helpers_checkpoints import CHECKPOINTS

from emoca_tf.cli import group, run
from emoca_tf.errors import UserError
from emoca_tf.flame import official
from emoca_tf.flame.head import HeadModel

MODEL = CHECKPOINTS / "generic_model_small.pkl"
LANDMARKS = CHECKPOINTS / "landmark_embedding_small.npy"
with np.load(CHECKPOINTS / "generic_model_small_expected.npz") as stored:
    EXPECTED = {name: stored[name] for name in stored.files}
with np.load(CHECKPOINTS.parent / "imports.npz") as stored:
    ALBEDO = {name.removeprefix("albedo/"): stored[name] for name in stored.files if name.startswith("albedo/")}


def cli(*arguments: object) -> int:
    return run(group, "emoca-tf", [str(a) for a in arguments])


def assert_is_the_golden_head(head: HeadModel) -> None:
    for name in ("v_template", "posedirs", "J_regressor", "weights", "f"):
        np.testing.assert_array_equal(getattr(head, name), EXPECTED[name].astype(getattr(head, name).dtype), name)
    columns = [*range(100), *range(300, 350)]
    np.testing.assert_array_equal(head.shapedirs, EXPECTED["shapedirs"][:, :, columns])
    assert head.kintree_table[0].tolist() == [-1, 0, 1, 1, 1]


def test_trap_17_flame_pickle_with_chumpy_and_scipy_and_landmarks_with_torch_tensors() -> None:
    assert_is_the_golden_head(official.read_flame(MODEL))
    tables = official.read_landmarks(LANDMARKS)
    with np.load(CHECKPOINTS / "landmark_embedding_small_expected.npz") as expected:
        for name, table in tables.items():
            np.testing.assert_array_equal(table.faces_idx, expected[f"{name}_lmk_faces_idx"])
            np.testing.assert_array_equal(
                table.bary_coords, expected[f"{name}_lmk_bary_coords"].astype(np.float32), err_msg=name
            )


@pytest.mark.parametrize("protocol", [0, 2, 4, 5])
@pytest.mark.parametrize("columns", [400, 150])
def test_layouts_of_newer_files_give_the_same_head(protocol: int, columns: int, tmp_path: Path) -> None:
    """FLAME 2023 holds plain arrays, a dense or CSR regressor, and -1 or 2**32 - 1 as the root's parent."""
    import scipy.sparse

    values = dict(EXPECTED)
    values["kintree_table"] = EXPECTED["kintree_table"].astype(np.uint32)
    values["J_regressor"] = scipy.sparse.csr_matrix(EXPECTED["J_regressor"])
    values["bs_style"] = "lbs"
    if columns == 150:
        values["shapedirs"] = EXPECTED["shapedirs"][:, :, [*range(100), *range(300, 350)]]
    (tmp_path / "flame2023.pkl").write_bytes(pickle.dumps(values, protocol))
    assert_is_the_golden_head(official.read_flame(tmp_path / "flame2023.pkl"))


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("evil_flame.pkl", "asks to run posix.system"),
        ("truncated_flame.pkl", "cut off or damaged"),
        ("html_page.tar", "web page"),
        ("empty.ckpt", "is empty"),
        ("emoca_small.ckpt", "damaged|no named arrays|no pickle opcode"),
        ("landmark_embedding_small.npy", "NumPy array"),
    ],
)
def test_hostile_and_other_files_are_refused_in_one_line_and_nothing_is_written(
    name: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    assert cli("import-flame", CHECKPOINTS / name, "-o", tmp_path / "head.npz") == 2
    told = capsys.readouterr().err.strip()
    assert "\n" not in told
    assert re.search(reason, told), told
    assert list(tmp_path.iterdir()) == []


def write_extras(folder: Path, faces: np.ndarray, vertices: int) -> None:
    rng = np.random.default_rng(0)
    np.savez(
        folder / "mp.npz",
        lmk_face_idx=np.arange(5, dtype=np.uint32),
        lmk_b_coords=np.full((5, 3), 1 / 3),
        landmark_indices=np.array([1, 4, 33, 263, 477]),
    )
    (folder / "masks.pkl").write_bytes(pickle.dumps({"lips": np.arange(4), "nose": np.array([7, 9])}, 2))
    lines = ["v 0 0 0"] * vertices + [f"vt {u:.4f} {v:.4f}" for u, v in rng.random((vertices, 2))]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces + 1]
    (folder / "template.obj").write_text("\n".join(lines))
    for name in ("l", "r"):
        np.save(folder / f"{name}.npy", rng.random((vertices, 3)))


def test_the_command_takes_every_optional_file_and_says_what_is_missing_without(tmp_path: Path, capsys) -> None:
    faces, out = EXPECTED["f"].astype(int), tmp_path / "head.npz"
    write_extras(tmp_path, faces, 40)
    assert cli("import-flame", MODEL, "-o", out) == 0
    told = capsys.readouterr().out
    assert all(f"without --{name}" in told for name in ("landmarks", "mediapipe", "uv", "masks", "texture"))
    extras = ["--mediapipe", tmp_path / "mp.npz", "--uv", tmp_path / "template.obj", "--masks", tmp_path / "masks.pkl"]
    extras += ["--eyelids", tmp_path / "l.npy", tmp_path / "r.npy"]
    assert cli("import-flame", MODEL, "-o", out, *extras) == 0
    assert "without --landmarks" in capsys.readouterr().out
    head = HeadModel.load(out)
    assert_is_the_golden_head(head)
    assert head.mediapipe_indices.tolist() == [1, 4, 33, 263, 477]
    assert head.masks["nose"].tolist() == [7, 9]
    np.testing.assert_array_equal(head.uv_faces, faces)
    assert head.eyelids.shape == (2, 40, 3)


def test_files_of_another_mesh_are_refused(tmp_path: Path, capsys) -> None:
    faces = EXPECTED["f"].astype(int)
    write_extras(tmp_path, faces[::-1], 40)
    np.savez(tmp_path / "far.npz", lmk_face_idx=np.array([10**6]), lmk_b_coords=np.ones((1, 3)), landmark_indices=[1])
    (tmp_path / "far.pkl").write_bytes(pickle.dumps({"lips": np.array([4000])}, 2))
    np.save(tmp_path / "far.npy", np.zeros((3, 3)))
    for options, reason in [
        (("--uv", tmp_path / "template.obj"), "triangles are not the head's"),
        (("--mediapipe", tmp_path / "far.npz"), "another mesh"),
        (("--masks", tmp_path / "far.pkl"), r"outside 0..39"),
        (("--eyelids", tmp_path / "far.npy", tmp_path / "far.npy"), "expected (40, 3)"),
        (("--landmarks", CHECKPOINTS / "evil_flame.pkl"), "no .npy file"),
        (("--shape", 301), "301"),
    ]:
        assert cli("import-flame", MODEL, "-o", tmp_path / "head.npz", *options) == 2
        assert reason in capsys.readouterr().err
        assert not (tmp_path / "head.npz").exists()


@pytest.mark.parametrize("kind", ["BFM", "FLAME"])
def test_trap_08_albedo_takes_every_second_pixel_and_swaps_blue_and_red(kind: str, tmp_path: Path) -> None:
    from emoca_tf.rendering.albedo import Albedo, AlbedoModel

    components = 51  # one more than is used; the real files have 199 and 200
    scale = 1.0 if kind == "BFM" else 255.0
    mean = seeded.smooth_image("tex/mu", 512).astype(np.float32) / np.float32(255 / scale)
    row, column = (seeded.noise(f"tex/{axis}", (components, 512)) for axis in ("row", "col"))
    channel = seeded.noise("tex/chan", (components, 3), 0.03) * scale
    basis = np.einsum("ky,kx,kc->yxck", row, column, channel).astype(np.float32)
    if kind == "BFM":
        np.savez(tmp_path / "t.npz", MU=mean.reshape(1, -1), PC=basis.reshape(-1, components))
    else:
        np.savez(tmp_path / "t.npz", mean=mean, tex_dir=basis)
    assert cli("import-flame", MODEL, "-o", tmp_path / "head.npz", "--texture", tmp_path / "t.npz") == 0
    model = AlbedoModel.load(tmp_path / "head_albedo.npz")
    albedo = np.array(Albedo(model)(ALBEDO["code"]))
    np.testing.assert_allclose(albedo[:, ::4, ::4], ALBEDO[f"{kind}_albedo_probe"], atol=1e-5)
    stats = np.stack([albedo.astype(np.float64).mean((1, 2)), albedo.astype(np.float64).std((1, 2))], -1)
    np.testing.assert_allclose(stats, ALBEDO[f"{kind}_mean_std"], atol=1e-5)


def test_texture_files_that_are_none_are_refused(tmp_path: Path) -> None:
    from emoca_tf.rendering.official_albedo import read_official_albedo

    np.savez(tmp_path / "other.npz", a=np.zeros(3))
    np.savez(tmp_path / "small.npz", MU=np.zeros(3), PC=np.zeros((3, 60)))
    (tmp_path / "broken.npz").write_bytes((tmp_path / "small.npz").read_bytes()[:-50])
    reasons = {"other": "no FLAME texture", "small": "512 x 512", "broken": "not a readable", "gone": "no such"}
    for name, reason in reasons.items():
        with pytest.raises(UserError, match=reason):
            read_official_albedo(tmp_path / f"{name}.npz", 50)
