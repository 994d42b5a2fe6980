"""Whether everything that dex files refer to exists: in themselves, in Android, or in ``java.*``. Standard library only.

Dex files carry tables of every class, field and method that their code names (Dalvik executable format); each entry is
resolved as the runtime does it, up the superclasses and interfaces. Android's classes come from class files; ``java.*``
is that of Java 8 (``lib/ct.sym`` of a JDK), which Android 8 had. Two levels are looked at: at the newest, everything
must exist; at the oldest that the app installs on, everything but what the app asks for only after a version check.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

# Newer than the oldest supported level, and asked for behind a check of the level or of the class's existence.
GUARDED = {
    "android.content.Context.getDisplay": "MainActivity.turned, from API 30",
    "android.app.Activity.getDisplay": "MainActivity.turned, from API 30",
    "android.view.WindowInsets.getInsets": "ScreenView.onApplyWindowInsets, from API 30",
    "android.view.WindowInsets$Type": "ScreenView.onApplyWindowInsets, from API 30",
    "android.view.WindowInsets$Type.systemBars": "ScreenView.onApplyWindowInsets, from API 30",
    "android.view.WindowInsets$Type.displayCutout": "ScreenView.onApplyWindowInsets, from API 30",
    "android.graphics.Insets": "ScreenView.onApplyWindowInsets, from API 30",
    "android.graphics.Insets.left": "ScreenView.onApplyWindowInsets, from API 30",
    "android.graphics.Insets.top": "ScreenView.onApplyWindowInsets, from API 30",
    "android.graphics.Insets.right": "ScreenView.onApplyWindowInsets, from API 30",
    "android.graphics.Insets.bottom": "ScreenView.onApplyWindowInsets, from API 30",
}

# Left out of the APK, and asked for only where a system property says so, which the app does not set.
NEVER_ASKED_FOR = {"org.bytedeco.javacpp.tools.Slf4jLogger": "Logger.create, if org.bytedeco.javacpp.logger=slf4j"}

# Annotations that tools read out of dex files; the runtime has no classes for them and ignores them.
SYSTEM_ANNOTATIONS = {"Ldalvik/annotation/SourceDebugExtension;"}


@dataclass
class ClassFacts:
    """What a class offers; members are ``name:descriptor``."""

    parents: list[str]
    members: set[str]


@dataclass
class Found:
    """Outcome of a check."""

    facts: dict[str, int]
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class Dex:
    """Tables of one dex file."""

    def __init__(self, content: bytes) -> None:
        if content[:4] != b"dex\n":
            raise ValueError("not a dex file")
        self.content = content
        sizes = struct.unpack_from("<12I", content, 0x38)
        self.strings = [self._string(at) for at in self._uints(sizes[1], sizes[0])]
        self.types = [self.strings[i] for i in self._uints(sizes[3], sizes[2])]
        protos = [struct.unpack_from("<III", content, sizes[5] + 12 * i) for i in range(sizes[4])]
        self.protos = [f"({''.join(self._types(at))}){self.types[result]}" for _, result, at in protos]
        self.fields = [self._field(sizes[7] + 8 * i) for i in range(sizes[6])]
        self.methods = [self._method(sizes[9] + 8 * i) for i in range(sizes[8])]
        self.classes = dict(self._class(sizes[11] + 32 * i) for i in range(sizes[10]))

    def _uints(self, at: int, count: int) -> tuple[int, ...]:
        return struct.unpack_from(f"<{count}I", self.content, at)

    def _string(self, at: int) -> str:
        _, at = self._uleb(at)
        return self.content[at : self.content.index(b"\0", at)].decode("utf-8", "replace")

    def _uleb(self, at: int) -> tuple[int, int]:
        value = shift = 0
        while True:
            byte = self.content[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                return value, at

    def _types(self, at: int) -> list[str]:
        if at == 0:
            return []
        (count,) = struct.unpack_from("<I", self.content, at)
        return [self.types[i] for i in struct.unpack_from(f"<{count}H", self.content, at + 4)]

    def _field(self, at: int) -> tuple[str, str]:
        owner, kind, name = struct.unpack_from("<HHI", self.content, at)
        return self.types[owner], f"{self.strings[name]}:{self.types[kind]}"

    def _method(self, at: int) -> tuple[str, str]:
        owner, proto, name = struct.unpack_from("<HHI", self.content, at)
        return self.types[owner], f"{self.strings[name]}:{self.protos[proto]}"

    def _class(self, at: int) -> tuple[str, ClassFacts]:
        own, _, parent, interfaces, _, _, data, _ = struct.unpack_from("<8I", self.content, at)
        parents = ([self.types[parent]] if parent != 0xFFFFFFFF else []) + self._types(interfaces)
        return self.types[own], ClassFacts(parents, set(self._members(data)) if data else set())

    def _members(self, at: int) -> Iterator[str]:
        counts = []
        for _ in range(4):
            count, at = self._uleb(at)
            counts.append(count)
        for group, count in enumerate(counts):
            index = 0
            for _ in range(count):
                step, at = self._uleb(at)
                index += step
                for _ in range(1 if group < 2 else 2):  # access; and of methods the code
                    _, at = self._uleb(at)
                yield (self.fields if group < 2 else self.methods)[index][1]


class Library:
    """Classes of a jar, or of one release in ``ct.sym``, read when they are asked for."""

    def __init__(self, path: Path, release: str = "") -> None:
        self.archive = zipfile.ZipFile(path)
        self.entries = {}
        for name in self.archive.namelist():
            if release and name.endswith(".sig"):
                releases, _, own = name.split("/", 2)
                if release in releases:
                    self.entries[f"L{own[:-4]};"] = name
            elif not release and name.endswith(".class"):
                self.entries[f"L{name[:-6]};"] = name

    def read(self, name: str) -> ClassFacts | None:
        """The class of a descriptor such as ``Ljava/lang/Object;``."""
        entry = self.entries.get(name)
        return class_file(self.archive.read(entry)) if entry else None


def class_file(content: bytes) -> ClassFacts:
    """Parents and members of a class file (Java virtual machine specification, chapter 4)."""
    (count,) = struct.unpack_from(">H", content, 8)
    widths = {3: 4, 4: 4, 5: 8, 6: 8, 7: 2, 8: 2, 9: 4, 10: 4, 11: 4, 12: 4, 15: 3, 16: 2, 17: 4, 18: 4, 19: 2, 20: 2}
    pool: dict[int, bytes] = {}
    at, index = 10, 1
    while index < count:
        tag = content[at]
        if tag == 1:
            (length,) = struct.unpack_from(">H", content, at + 1)
            pool[index] = content[at + 3 : at + 3 + length]
            at += 3 + length
        else:
            pool[index] = content[at + 1 : at + 1 + widths[tag]]
            at += 1 + widths[tag]
        index += 2 if tag in (5, 6) else 1

    def text(number: int) -> str:
        return pool[number].decode("utf-8", "replace")

    def class_name(number: int) -> str:
        return f"L{text(int.from_bytes(pool[number], 'big'))};"

    _, _, parent, interfaces = struct.unpack_from(">4H", content, at)
    numbers = struct.unpack_from(f">{interfaces}H", content, at + 8)
    parents = ([class_name(parent)] if parent else []) + [class_name(number) for number in numbers]
    at += 8 + 2 * interfaces
    members = set()
    for _ in range(2):
        (count,) = struct.unpack_from(">H", content, at)
        at += 2
        for _ in range(count):
            _, name, kind, attributes = struct.unpack_from(">4H", content, at)
            members.add(f"{text(name)}:{text(kind)}")
            at += 8
            for _ in range(attributes):
                at += 6 + struct.unpack_from(">I", content, at + 2)[0]
    return ClassFacts(parents, members)


class World:
    """Everything that code may refer to."""

    def __init__(self, own: dict[str, ClassFacts], libraries: list[Library]) -> None:
        self.known: dict[str, ClassFacts | None] = dict(own)
        self.libraries = libraries

    def find(self, name: str) -> ClassFacts | None:
        """A class, or ``None``."""
        if name not in self.known:
            self.known[name] = next((facts for lib in self.libraries if (facts := lib.read(name))), None)
        return self.known[name]

    def has(self, owner: str, member: str) -> bool:
        """Whether a class, or one that it inherits from, has a member."""
        waiting, seen = ["Ljava/lang/Object;" if owner.startswith("[") else owner], set()
        while waiting:
            name = waiting.pop()
            facts = self.find(name)
            if name in seen or facts is None:
                continue
            if member in facts.members:
                return True
            seen.add(name)
            waiting += [*facts.parents, "Ljava/lang/Object;"]
        return owner.startswith("[") and member.startswith("clone:")


def missing(dexes: Iterable[Dex], world: World) -> list[str]:
    """Names of classes and members that do not exist, such as ``java.util.Arrays.compare``."""
    gone = set()
    for dex in dexes:
        for name in dex.types:
            plain = name.lstrip("[")
            if plain.startswith("L") and plain not in SYSTEM_ANNOTATIONS and world.find(plain) is None:
                gone.add(dotted(plain))
        for owner, member in [*dex.fields, *dex.methods]:
            if (owner.startswith("[") or world.find(owner)) and not world.has(owner, member):
                gone.add(f"{dotted(owner)}.{member.split(':')[0]}")
    return sorted(gone)


def dotted(name: str) -> str:
    """``Ljava/util/List;`` as people write it."""
    return name.lstrip("[").removeprefix("L").removesuffix(";").replace("/", ".")


def check(code: list[bytes], android: Path, android26: Path, jdk: Path) -> Found:
    """Check dex files against the newest and the oldest level.

    Args:
        code: contents of the dex files.
        android: jar of Android's classes at the newest level; ``android26`` at the oldest.
        jdk: with ``lib/ct.sym``.
    """
    dexes = [Dex(content) for content in code]
    own = {name: facts for dex in dexes for name, facts in dex.classes.items()}
    java = Library(jdk / "lib" / "ct.sym", release="8")
    newest, oldest = (
        [name for name in missing(dexes, World(own, [Library(level), java])) if name not in NEVER_ASKED_FOR]
        for level in (android, android26)
    )
    found = Found({
        "classes": len(own),
        "methods_referred_to": sum(len(dex.methods) for dex in dexes),
        "fields_referred_to": sum(len(dex.fields) for dex in dexes),
        "missing_at_newest": len(newest),
        "newer_than_oldest_and_guarded": sum(name in GUARDED for name in oldest),
    })  # fmt: skip
    found.problems += [f"nothing provides {name}" for name in newest]
    found.problems += [
        f"{name} is newer than the oldest supported Android, and nothing says that it is guarded"
        for name in oldest
        if name not in GUARDED and name not in newest
    ]
    found.notes += [f"{name} is used only behind a check: {GUARDED[name]}" for name in oldest if name in GUARDED]
    return found
