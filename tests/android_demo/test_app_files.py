"""The Android app's files that need no phone and no JDK: words in every language, permissions, alignment, references."""

import re
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

DEMO = Path(__file__).resolve().parents[2] / "android_demo"
MAIN = DEMO / "app" / "src" / "main"
sys.path.append(str(DEMO / "tools"))

from apk_check import built_for, data_offset, load_alignment  # noqa: E402
from apk_zip import Entry, write_apk  # noqa: E402
from references import ClassFacts, Dex, World, class_file, missing  # noqa: E402

ANDROID = "{http://schemas.android.com/apk/res/android}"


def words(folder: str) -> dict[str, str]:
    tree = ElementTree.parse(MAIN / "res" / folder / "strings.xml")
    return {node.attrib["name"]: node.text or "" for node in tree.iter("string")}


def test_every_sentence_is_there_in_both_languages_with_the_same_places_for_values():
    english, japanese = words("values"), words("values-ja")
    assert english.keys() == japanese.keys()
    for name, text in english.items():
        assert sorted(re.findall(r"%\d\$\S?\.?\d?[dfs]", text)) == sorted(
            re.findall(r"%\d\$\S?\.?\d?[dfs]", japanese[name])
        ), name
        assert japanese[name].strip(), name


def test_every_sentence_is_used_and_every_used_one_exists():
    code = "\n".join(path.read_text() for path in (MAIN / "kotlin").rglob("*.kt"))
    manifest = (MAIN / "AndroidManifest.xml").read_text()
    used = set(re.findall(r"R\.string\.(\w+)", code)) | set(re.findall(r"@string/(\w+)", manifest))
    assert used == words("values").keys()


def test_the_app_asks_for_the_camera_and_nothing_else():
    tree = ElementTree.parse(MAIN / "AndroidManifest.xml")
    assert [node.attrib[f"{ANDROID}name"] for node in tree.iter("uses-permission")] == ["android.permission.CAMERA"]
    exported = [node.attrib[f"{ANDROID}name"] for node in tree.iter() if node.get(f"{ANDROID}exported") == "true"]
    assert exported == ["org.emoca.demo.MainActivity"]


def test_the_plain_part_knows_nothing_of_android():
    for path in (DEMO / "app" / "src" / "plain").rglob("*.kt"):
        assert not re.search(r"^import android", path.read_text(), re.MULTILINE), path


def test_stored_entries_start_where_android_maps_them(tmp_path):
    apk = tmp_path / "a.apk"
    entries = [Entry("AndroidManifest.xml", b"x" * 77, stored=False)]
    entries += [Entry(f"lib/x/lib{'n' * i}.so", b"y" * (100 + i), stored=True) for i in range(5)]
    entries += [Entry("assets/ä.tflite", b"z" * 9, stored=True)]
    write_apk(apk, entries)
    with zipfile.ZipFile(apk) as archive:
        assert archive.testzip() is None
        for entry, info in zip(entries, archive.infolist(), strict=True):
            assert archive.read(info) == entry.content
            assert data_offset(apk, info) % entry.alignment == 0
    with pytest.raises(ValueError, match="one name"):
        write_apk(apk, [entries[0], entries[0]])


def test_the_alignment_of_a_library_is_that_of_its_load_segments():
    header = bytearray(64)
    header[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<Q", header, 32, 64)
    struct.pack_into("<HH", header, 54, 56, 3)
    segments = b"".join(struct.pack("<I44xQ", kind, align) for kind, align in [(6, 8), (1, 0x4000), (1, 0x1000)])
    assert load_alignment(bytes(header) + segments) == 0x1000
    assert load_alignment(b"no library at all") == 0


def test_the_level_of_a_library_is_that_of_the_ndk_s_note():
    note = struct.pack("<III", 8, 4, 1) + b"Android\0" + struct.pack("<I", 24)
    assert built_for(b"\x7fELF" + b"\0" * 60 + note) == 24
    assert built_for(b"\x7fELF" + b"Android\0" + b"\0" * 60) == 0


def small_dex() -> bytes:
    """One class ``La;`` that calls ``Lb;.gone()`` and its parent's ``here()``."""
    strings = sorted(["La;", "Lb;", "V", "gone", "here"])
    ids = {text: i for i, text in enumerate(strings)}
    types = ["La;", "Lb;", "V"]
    at = 0x70
    string_ids, type_ids = at, at + 4 * len(strings)
    protos = type_ids + 4 * len(types)
    methods = protos + 12
    classes = methods + 8 * 3
    data = classes + 32
    blob, offsets = b"", []
    for text in strings:
        offsets.append(data + len(blob))
        blob += bytes([len(text)]) + text.encode() + b"\0"
    out = bytearray(data) + blob
    out[:8] = b"dex\n038\0"
    struct.pack_into(
        "<12I", out, 0x38, len(strings), string_ids, len(types), type_ids, 1, protos, 0, 0, 3, methods, 1, classes
    )
    struct.pack_into(f"<{len(strings)}I", out, string_ids, *offsets)
    struct.pack_into("<3I", out, type_ids, *(ids[name] for name in types))
    struct.pack_into("<III", out, protos, ids["V"], 2, 0)
    for i, (owner, name) in enumerate([(0, "here"), (1, "gone"), (1, "here")]):
        struct.pack_into("<HHI", out, methods + 8 * i, owner, 0, ids[name])
    struct.pack_into("<8I", out, classes, 0, 0, 1, 0, 0, 0, 0, 0)
    return bytes(out)


def test_what_nothing_provides_is_named():
    dex = Dex(small_dex())
    parent = ClassFacts([], {"here:()V"})
    assert missing([dex], World({**dex.classes, "Lb;": parent}, [])) == ["b.gone"]
    assert missing([dex], World(dict(dex.classes), [])) == ["a.here", "b"]
    with pytest.raises(ValueError, match="dex"):
        Dex(b"PK\3\4")


def test_class_files_tell_parents_and_members():
    pool = [b"\1\0\1A", b"\7\0\1", b"\1\0\1B", b"\7\0\3", b"\1\0\1f", b"\1\0\1I"]
    content = b"\xca\xfe\xba\xbe" + struct.pack(">HHH", 0, 52, len(pool) + 1) + b"".join(pool)
    content += struct.pack(">4H", 1, 2, 4, 0) + struct.pack(">H4H", 1, 0, 5, 6, 0) + struct.pack(">H", 0)
    facts = class_file(content)
    assert (facts.parents, facts.members) == (["LB;"], {"f:I"})


class TestExportBundle:
    """The shell around ``convert --tflite --bundle``, which a stand-in replaces."""

    @pytest.fixture(autouse=True)
    def _copy(self, tmp_path):
        self.root = tmp_path
        (tmp_path / "android_demo/tools").mkdir(parents=True)
        self.script = tmp_path / "android_demo/tools/export_bundle"
        self.script.write_bytes((DEMO / "tools" / "export_bundle").read_bytes())
        self.assets = tmp_path / "android_demo/app/src/main/assets/bundle"
        self.assets.mkdir(parents=True)
        (self.assets / "old").touch()

    def run(self, exit_code: int) -> subprocess.CompletedProcess:
        python = self.root / "python"
        python.write_text(
            '#!/bin/sh\necho "$@" > arguments\nfor last; do :; done\n'
            f'mkdir -p "$last"; echo new > "$last/manifest.json"\nexit {exit_code}\n'
        )
        python.chmod(0o755)
        command = ["sh", str(self.script), "runs/x", "--recipe", "float16"]
        environment = {"PYTHON": str(python), "PATH": "/usr/bin:/bin"}
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, check=False)

    def test_a_bundle_replaces_the_old_one_whole(self):
        done = self.run(0)
        assert done.returncode == 0, done.stderr
        assert [path.name for path in self.assets.iterdir()] == ["manifest.json"]
        assert [path.name for path in self.assets.parent.iterdir()] == ["bundle"]
        said = (self.root / "arguments").read_text().split()
        assert said[:6] == ["-m", "convert", "--tflite", "runs/x", "--recipe", "float16"]
        assert "--bundle" in said

    def test_what_fails_its_gates_leaves_the_old_one(self):
        assert self.run(2).returncode == 2
        assert [path.name for path in self.assets.iterdir()] == ["old"]
