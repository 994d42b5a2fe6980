"""The Gradle files, which no machine of ours can run, say what the offline build does: versions, levels, folders, hosts."""

import os
import re
import subprocess

import helpers_android as helpers
import pytest

offline, fetch = helpers.load("tools/offline_apk.py"), helpers.load("tools/fetch.py")
APP = (helpers.DEMO / "app" / "build.gradle.kts").read_text()
ROOT = (helpers.DEMO / "build.gradle.kts").read_text()
SETTINGS = (helpers.DEMO / "settings.gradle.kts").read_text()


def said(pattern: str, text: str = APP) -> str:
    found = re.findall(pattern, text)
    assert len(found) == 1, f"{pattern}: {found}"
    return found[0]


def coordinates() -> list[str]:
    """Dependencies as the loop over platforms makes them."""
    platforms = re.findall(r'"([^"]+)"', said(r"platform in listOf\((.*?)\)"))
    found = []
    for name in re.findall(r'implementation\("([^"]+)"\)', APP):
        found += [name.replace("$platform", platform) for platform in platforms] if "$platform" in name else [name]
    return found


def test_levels_names_and_processors_are_those_of_the_offline_build():
    assert said(r'namespace = "([^"]+)"') == said(r'applicationId = "([^"]+)"') == offline.PACKAGE
    assert int(said(r"minSdk = (\d+)")) == offline.MIN_SDK
    assert int(said(r"targetSdk = (\d+)")) == int(said(r"compileSdk = (\d+)")) == offline.TARGET_SDK
    assert int(said(r"versionCode = (\d+)")) == offline.VERSION_CODE
    assert said(r'versionName = "([^"]+)"') == offline.VERSION_NAME
    assert tuple(re.findall(r'"([^"]+)"', said(r"abiFilters \+= listOf\((.*?)\)"))) == offline.ABIS


def test_the_runtime_is_the_pinned_one_for_every_processor():
    pinned = {tool.coordinate for tool in fetch.tools().values()}
    ours = {name for name in coordinates() if name.startswith("org.bytedeco:")}
    assert ours <= pinned
    names = [*offline.jvm.RUNTIME, *(f"{part}-{abi}" for part in offline.jvm.RUNTIME for abi in offline.ABIS)]
    assert ours == {fetch.tools()[name].coordinate for name in names}


def test_the_gpu_part_s_artifacts_are_of_one_version():
    ours = [name.rsplit(":", 1) for name in coordinates() if not name.startswith("org.bytedeco:")]
    assert [name for name, _ in ours] == [
        f"com.google.ai.edge.litert:{name}" for name in ("litert", "litert-gpu", "litert-gpu-api")
    ]
    assert len({version for _, version in ours}) == 1


def test_source_folders_exist_and_none_is_forgotten():
    named = re.findall(r'"([^"]+)"', said(r'sourceSets\["main"\]\.kotlin\.srcDirs\(([^)]*)\)'))
    folders = {(helpers.DEMO / "app" / name).resolve() for name in named}
    folders.add((helpers.DEMO / "app/src/main/kotlin").resolve())  # Gradle's own
    kotlin = {path for path in helpers.DEMO.rglob("*.kt") if "build" not in path.relative_to(helpers.DEMO).parts}
    shipped = {path for path in kotlin if not {"test", "jvmTest"} & set(path.parts)}
    assert shipped
    for folder in folders:
        assert any(path.is_relative_to(folder) for path in shipped), folder
    assert [path for path in shipped if not any(path.is_relative_to(folder) for folder in folders)] == []


def test_plugins_are_applied_where_they_are_declared_and_modules_exist():
    declared = dict(re.findall(r'id\("([^"]+)"\) version "([^"]+)" apply false', ROOT))
    assert set(re.findall(r'^    id\("([^"]+)"\)$', APP, re.MULTILINE)) == declared.keys()
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) for version in declared.values())
    for module in re.findall(r'include\(":([^"]+)"\)', SETTINGS):
        assert (helpers.DEMO / module / "build.gradle.kts").is_file()
    compiler = fetch.tools()["kotlin-compiler"].coordinate.rsplit(":", 1)[1].split(".")
    gradle = declared["org.jetbrains.kotlin.android"].split(".")
    assert gradle[0] == compiler[0]
    assert int(gradle[1]) <= int(
        compiler[1]
    )  # what the newer compiler takes with -Werror, the older one has to know too


def test_java_levels_agree():
    levels = set(re.findall(r"JavaVersion\.VERSION_(\d+)|JvmTarget\.JVM_(\d+)", APP))
    assert {first or second for first, second in levels} == {"11"}


@pytest.mark.parametrize("line", ['androidResources { noCompress += "tflite" }', "useLegacyPackaging = false"])
def test_models_and_libraries_stay_uncompressed(line):
    assert line in APP


def test_the_bundle_s_folder_is_the_one_that_export_bundle_writes(tmp_path):
    """The script runs in a copy of the project's layout; its converter is one that writes a bundle of one file."""
    folder = said(r'layout\.projectDirectory\.dir\("([^"]+)"\)')
    assert helpers.DEMO / "app" / folder == offline.ASSETS
    script = helpers.DEMO / "tools" / "export_bundle"
    copy = tmp_path / script.relative_to(helpers.DEMO.parent)
    copy.parent.mkdir(parents=True)
    copy.write_bytes(script.read_bytes())
    converter = tmp_path / "converter"
    converter.write_text('#!/bin/sh\nfor last; do :; done\nmkdir -p "$last"\necho {} > "$last/manifest.json"\n')
    converter.chmod(0o755)
    environment = {"PATH": os.environ["PATH"], "PYTHON": str(converter)}
    done = subprocess.run(["sh", copy], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    written = tmp_path / helpers.DEMO.name / "app" / folder
    assert [path.relative_to(tmp_path) for path in tmp_path.rglob("manifest.json")] == [
        written.relative_to(tmp_path) / "manifest.json"
    ]
    assert str(written) in done.stdout
