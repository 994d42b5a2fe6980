"""torch containers without torch: equal to what torch reads, and safe against damaged and hostile files."""

from __future__ import annotations

import io
import random
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import seeded

from emoca_tf.errors import UserError
from emoca_tf.io.torch_file import open_checkpoint

CHECKPOINTS = Path(__file__).parent.parent / "golden" / "checkpoints"
HOSTILE = {
    "evil_system.tar": "asks to run posix.system",
    "evil_exec.ckpt": "asks to run __builtin__.exec",
    "evil_exec_legacy.ckpt": "asks to run __builtin__.exec",
    "evil_flame.pkl": "asks to run posix.system",
    "html_page.tar": "is a web page",
    "truncated.tar": "cut off or no complete zip",
    "truncated_flame.pkl": "cut off or damaged",
    "short_storage.tar": "storage 0 claims 944 bytes, the file holds 100",
    "empty.ckpt": "is empty",
}


def read_all(path: Path) -> dict[str, np.ndarray]:
    with open_checkpoint(path) as checkpoint:
        return {name: np.asarray(tensor) for name, tensor in checkpoint.tensors().items()}


@pytest.mark.parametrize("name", ["odd_tensors.pt", "odd_tensors_legacy.pt"])
def test_odd_tensors_are_what_torch_reads(name: str) -> None:
    got = read_all(CHECKPOINTS / name)
    with np.load(CHECKPOINTS / "odd_tensors_expected.npz") as expected:
        assert set(got) == set(expected.files)
        for key in expected.files:
            assert got[key].dtype == expected[key].dtype, key
            np.testing.assert_array_equal(got[key], expected[key], err_msg=key)


@pytest.mark.parametrize(
    ("name", "prefix", "networks"),
    [
        ("deca_model_small_legacy.tar", "", {"E_flame", "D_detail"}),
        ("emoca_small.ckpt", "state_dict.deca.", {"E_flame", "E_expression", "E_detail", "D_detail"}),
    ],
)
def test_every_network_tensor_follows_the_seeded_rule(name: str, prefix: str, networks: set[str]) -> None:
    values = {key.removeprefix(prefix): value for key, value in read_all(CHECKPOINTS / name).items()}
    values = {key: value for key, value in values.items() if key.split(".")[0] in networks}
    assert {key.split(".")[0] for key in values} == networks
    for key, value in values.items():
        np.testing.assert_array_equal(value, seeded.tensor(key, value.shape), err_msg=key)


def test_lightning_objects_are_named_but_not_resolved() -> None:
    with open_checkpoint(CHECKPOINTS / "emoca_small.ckpt") as checkpoint:
        checkpoint.tensors()
        assert checkpoint.skipped == {"omegaconf.dictconfig.DictConfig"}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_are_refused_in_one_line_and_nothing_runs(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=HOSTILE[name]) as refused:
        read_all(CHECKPOINTS / name)
    assert "\n" not in str(refused.value)
    assert list(tmp_path.iterdir()) == []


def test_zip_bombs_are_refused_before_anything_is_expanded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bomb.ckpt", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}.")
        archive.writestr("archive/data/0", bytes(200 * 2**20))
    start = time.perf_counter()
    with pytest.raises(UserError, match="as zip bombs do"):
        read_all(tmp_path / "bomb.ckpt")
    assert time.perf_counter() - start < 1


def torch_zip(path: Path, shape: bytes, strides: bytes, offset: bytes = b"K\x00", count: int = 2) -> Path:
    tensor = (
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000"
        b"X\x03\x00\x00\x00cpu" + b"J" + count.to_bytes(4, "little") + b"tQ" + offset + shape + strides + b"\x89)tR"
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}X\x01\x00\x00\x00a" + tensor + b"s.")
        archive.writestr("archive/data/0", np.arange(2, dtype="<f4").tobytes())
    return path


HUGE = b"J\xff\xff\xff\x7f"


@pytest.mark.parametrize(
    ("shape", "strides", "offset", "reason"),
    [
        (HUGE + b"\x85", b"K\x00\x85", b"K\x00", "absurdly large"),
        (HUGE * 3 + b"\x87", b"K\x00K\x00K\x00\x87", b"K\x00", "absurdly large"),
        (b"K\x03\x85", b"K\x01\x85", b"K\x00", r"needs 3 elements, its storage holds 2"),
        (b"K\x02\x85", b"K\x01\x85", b"K\x01", r"needs 3 elements, its storage holds 2"),
        (b"K\x02\x85", b"J\xff\xff\xff\xff\x85", b"K\x00", "strides are no sizes"),
        (b"K\x01\x85", b"K\x01\x85", b"J\xff\xff\xff\xff", "offset are no sizes"),
        (b"K\x02\x85", b")", b"K\x00", "with strides"),
    ],
)
def test_tensors_that_reach_outside_their_storage_are_refused(
    shape: bytes, strides: bytes, offset: bytes, reason: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=reason):
        read_all(torch_zip(tmp_path / "x.pt", shape, strides, offset))
    got = read_all(torch_zip(tmp_path / "good.pt", b"K\x02\x85", b"K\x01\x85"))
    np.testing.assert_array_equal(got["a"], [0, 1])


def test_a_flipped_bit_in_a_storage_is_noticed(tmp_path: Path) -> None:
    data = bytearray((CHECKPOINTS / "emoca_small.ckpt").read_bytes())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        entry = next(e for e in archive.infolist() if "/data/" in e.filename and e.file_size > 1000)
    data[entry.header_offset + 500] ^= 1
    (tmp_path / "flipped.ckpt").write_bytes(data)
    with pytest.raises(UserError, match="damaged"):
        read_all(tmp_path / "flipped.ckpt")


def test_other_files_are_named_for_what_they_are(tmp_path: Path) -> None:
    cases = {
        b"\x1f\x8b\x08": "gzip",
        b"version https://git-lfs.github.com/spec/v1\n": "Git LFS pointer",
        bytes(257) + b"ustar": "real tar archive",
        b"\x89HDF\r\n": "HDF5",
    }
    for head, what in cases.items():
        (tmp_path / "x.ckpt").write_bytes(head + bytes(50))
        with pytest.raises(UserError, match=what):
            read_all(tmp_path / "x.ckpt")
    with zipfile.ZipFile(tmp_path / "EMOCA.zip", "w") as archive:
        archive.writestr("EMOCA/detail/checkpoints/last.ckpt", b"x")
    with pytest.raises(UserError, match=r"give the file inside \(EMOCA/detail/checkpoints/last.ckpt\)"):
        read_all(tmp_path / "EMOCA.zip")
    for path, what in ((tmp_path, "directory"), (tmp_path / "none.pt", "no such file")):
        with pytest.raises(UserError, match=what):
            read_all(path)


def mutate(data: bytes, generator: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(generator.choice((1, 1, 2, 5, 20))):
        kind, place = generator.randrange(4), generator.randrange(len(changed))
        if kind == 0:
            changed[place] = generator.randrange(256)
        elif kind == 1:
            changed[place] ^= 1 << generator.randrange(8)
        elif kind == 2:
            del changed[place : place + generator.choice((1, 4, 100))]
        else:
            changed[place:place] = generator.randbytes(generator.choice((1, 4, 8)))
        if not changed:
            return b"x"
    return bytes(changed)


FUZZED = (
    "odd_tensors.pt", "odd_tensors_legacy.pt", "evil_exec.ckpt", "evil_exec_legacy.ckpt", "missing_keys.tar",
    "head_53_only.ckpt", "generic_model_small.pkl", "deca_model_small_legacy.tar",
)  # fmt: skip


def fuzz(folder: Path, rounds: int, seed: int) -> dict[str, int]:
    """Mutated files either read or are refused by UserError; anything else propagates."""
    generator, outcomes = random.Random(seed), {"read": 0, "refused": 0}
    for round_number in range(rounds):
        data = (CHECKPOINTS / FUZZED[round_number % len(FUZZED)]).read_bytes()
        if len(data) > 60_000 or data[:2] == b"PK":  # the interesting bytes are few; aim at them
            cut = 3000 if data[:2] != b"PK" else len(data)
            data = mutate(data[:cut], generator) + data[cut:]
        else:
            data = mutate(data, generator)
        if data[:2] == b"PK" and generator.random() < 0.8:
            data = _mutated_pickle_in_zip(CHECKPOINTS / FUZZED[round_number % len(FUZZED)], generator)
        path = folder / "fuzzed.pt"
        path.write_bytes(data)
        start = time.perf_counter()
        try:
            read_all(path)
            outcomes["read"] += 1
        except UserError:
            outcomes["refused"] += 1
        assert time.perf_counter() - start < 10, f"round {round_number} of seed {seed} hangs"
    return outcomes


def _mutated_pickle_in_zip(path: Path, generator: random.Random) -> bytes:
    """The zip rebuilt with valid checksums around a mutated data.pkl."""
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            new.writestr(entry.filename, mutate(content, generator) if entry.filename.endswith("data.pkl") else content)
    return out.getvalue()


def test_mutated_files_never_crash_the_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    outcomes = fuzz(tmp_path, 240, seed=0)
    assert outcomes["read"] > 0
    assert outcomes["refused"] > 0
    assert {p.name for p in tmp_path.iterdir()} == {"fuzzed.pt"}
