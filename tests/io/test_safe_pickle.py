"""Pickles as data: equal to what the real unpickler gives for plain values, inert for everything else."""

from __future__ import annotations

import collections
import pickle
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given, settings
from hypothesis import strategies as st

from emoca_tf.errors import UserError
from emoca_tf.io.pickled_arrays import as_array
from emoca_tf.io.safe_pickle import Instance, read_pickle

CHECKPOINTS = Path(__file__).parent.parent / "golden" / "checkpoints"
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(PLAIN, st.integers(0, 5))
def test_plain_values_come_out_as_the_real_unpickler_gives_them(value: object, protocol: int) -> None:
    data = pickle.dumps(value, protocol)
    assert read_pickle(data, "x")[0] == pickle.loads(data)


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("order", ["C", "F"])
def test_numpy_arrays_of_every_protocol(protocol: int, order: str) -> None:
    for dtype in ("f4", "f8", ">f4", "i8", "u4", "u1", "?"):
        code = np.arange(24).reshape(2, 3, 4).astype("u1" if dtype == "?" else dtype)
        array = np.asarray(code.astype(bool) if dtype == "?" else code, order=order)  # type: ignore[call-overload]
        got = as_array(read_pickle(pickle.dumps(array, protocol), "x")[0], "x")
        if dtype == "?":
            assert got is None or got.dtype == bool
        else:
            np.testing.assert_array_equal(got, array)


@pytest.mark.parametrize("layout", ["csc", "csr", "coo"])
def test_sparse_matrices_become_dense(layout: str) -> None:
    dense = np.where(np.random.default_rng(0).random((5, 40)) < 0.2, 1.5, 0.0)
    data = pickle.dumps(getattr(scipy.sparse, f"{layout}_matrix")(dense), 2)
    np.testing.assert_array_equal(as_array(read_pickle(data, "x")[0], "x"), dense)


def test_python_2_bytes_survive() -> None:
    text = b"S'\\x00\\xff\\'\\n'\n."
    assert read_pickle(text, "x")[0].encode("latin-1") == b"\x00\xff'\n"


def test_an_unknown_class_is_a_record_and_never_resolved() -> None:
    value, _ = read_pickle(pickle.dumps(collections.Counter("aab")), "x")
    assert isinstance(value, Instance)
    assert str(value.kind) == "collections.Counter"
    assert value.args == ({"a": 2, "b": 1},)


class Payload:
    def __init__(self, module: str, name: str, canary: Path) -> None:
        self.module, self.name, self.canary = module, name, canary


@pytest.mark.parametrize("protocol", [0, 1, 2, 4])
@pytest.mark.parametrize(
    ("module", "name"),
    [("os", "system"), ("posix", "system"), ("subprocess", "Popen"), ("builtins", "exec"), ("builtins", "eval"),
     ("__builtin__", "execfile"), ("runpy", "run_path"), ("shutil", "rmtree"), ("importlib", "import_module")],
)  # fmt: skip
def test_attacks_are_refused_in_one_line_and_nothing_runs(
    protocol: int, module: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    command = "touch canary" if name in ("system", "Popen") else "open('canary', 'w')"
    text = f"c{module}\n{name}\n(V{command}\ntR.".encode()
    if protocol == 4:
        fields = b"".join(b"\x8c" + bytes([len(part)]) + part.encode() for part in (module, name))
        text = b"\x80\x04" + fields + b"\x93(V" + command.encode() + b"\ntR."
    elif protocol == 1:
        text = f"(i{module}\n{name}\n.".encode()
    elif protocol == 2:
        text = b"\x80\x02" + f"c{module}\n{name}\n(V{command}\nt\x81.".encode()
    with pytest.raises(UserError, match=rf"asks to run {module}.{name}") as refused:
        read_pickle(text, "weights.pkl")
    assert "\n" not in str(refused.value)
    assert not (tmp_path / "canary").exists()


def test_functions_outside_the_list_of_attacks_do_not_run_either(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    value, _ = read_pickle(f"cpathlib\nPath.touch\n(cpathlib\nPath\n(V{canary}\ntRtR.".encode(), "x")
    assert isinstance(value, Instance)
    assert not canary.exists()


BOMBS = {
    "memo index of 4 GiB": b"N" + b"r\xff\xff\xff\xff" + b".",
    "text of 4 EiB": b"\x8d" + b"\xff" * 7 + b"\x3f" + b"a.",
    "bytearray of 1 EiB": b"\x96" + b"\x00" * 7 + b"\x10" + b"a.",
    "integer of 2 GiB": b"\x8b\xff\xff\xff\x7f" + b"1.",
    "tuples doubled 100 times as a key": b"}" + b")" + b"2\x86" * 100 + b"Ns.",
    "tuples doubled 100 times": b")" + b"2\x86" * 100 + b".",
    "a long text copied again and again": b"X" + (10**6).to_bytes(4, "little") + b"a" * 10**6 + b"q\x000"
    + b"c_codecs\nencode\n(h\x00X\x06\x00\x00\x00latin1tR" * 2000 + b".",
    "a list copied into ordered dicts": b"]q\x00(" + b"KKK\x01\x86" * 2000 + b"e0"
    + b"ccollections\nOrderedDict\nh\x00\x85R" * 3000 + b".",
    "sets without end": b"\x8f" * 3_000_000 + b".",
    "keys of equal hash": b"}(" + b"".join(
        b"\x8a\x0a" + (k * (2**61 - 1)).to_bytes(10, "little") + b"N" for k in range(1, 20_000)) + b"u.",
}  # fmt: skip


@pytest.mark.parametrize("bomb", BOMBS)
def test_small_files_cannot_take_much_memory_or_time(bomb: str) -> None:
    tracemalloc.start()
    start = time.process_time()
    try:
        read_pickle(BOMBS[bomb], "bomb.pkl")
    except UserError as error:
        assert "\n" not in str(error)  # noqa: PT017
    finally:
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 500 * 2**20
    assert time.process_time() - start < 30


@pytest.mark.parametrize("cut", [1, 5, 50, 1000, 30_000])
def test_cut_off_files_say_so(cut: int) -> None:
    data = (CHECKPOINTS / "generic_model_small.pkl").read_bytes()
    with pytest.raises(UserError, match="cut off or damaged"):
        read_pickle(data[:-cut], "generic_model.pkl")


def test_arrays_that_claim_more_than_the_file_holds_are_refused() -> None:
    data = pickle.dumps(np.zeros(3, np.float64), 2).replace(b"K\x03\x85", b"M\xff\xff\x85")
    with pytest.raises(UserError, match="needs 524280 bytes, the file holds 24"):
        as_array(read_pickle(data, "x")[0], "x")
