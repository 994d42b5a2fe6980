"""Pickles read as data: an interpreter of the pickle opcodes that imports nothing and calls nothing.

Numbers, text, bytes, lists, tuples and dicts come out as themselves. Everything a normal unpickler would look up or
call stays a record of what was asked for (:class:`Global`, :class:`Instance`, :class:`Persistent`), and whoever needs
an array out of such a record builds it from its data (``emoca_tf/io/pickled_arrays.py``). Protocols 0 to 5.
"""

from __future__ import annotations

import codecs
import struct
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from emoca_tf.errors import UserError

MAX_OPCODES = 2_000_000
"""More than any checkpoint has (a full EMOCA one has about 60,000); bounds time and the number of objects made."""
MAX_INTEGER_BYTES = 64
MAX_KEY_TUPLE = 16
_SMALL_KEY = 2**60  # beyond it integers with equal hashes are easy to make, and a dict of them takes hours

Buffer = bytes | memoryview

# What no weights file needs and every attack does. Anything else that is unknown becomes inert data.
# fmt: off
_REFUSED_MODULES = frozenset({
    "os", "posix", "nt", "posixpath", "ntpath", "subprocess", "commands", "sys", "shutil", "socket", "ctypes",
    "importlib", "runpy", "pty", "code", "codeop", "pickle", "cPickle", "_pickle", "dill", "cloudpickle",
    "joblib", "marshal", "webbrowser", "urllib", "urllib2", "requests", "http", "asyncio", "multiprocessing",
    "threading", "signal", "tempfile", "pip", "timeit", "pdb", "bdb", "cProfile", "profile", "trace", "inspect",
    "io", "zipimport", "pkgutil", "platform",
})
_REFUSED_BUILTINS = frozenset({
    "exec", "eval", "execfile", "compile", "open", "file", "input", "raw_input", "__import__", "breakpoint",
    "apply",
})
# fmt: on
_BUILTINS = frozenset({"builtins", "__builtin__", "__builtins__"})


@dataclass(frozen=True)
class Global:
    """The name of a class or function; never looked up."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Instance:
    """An object that was not made: what it would have been made from.

    Attributes:
        kind: its class, or the function that would have returned it.
        args: the arguments of that call.
        state: what its ``__setstate__`` or ``__dict__`` would have received.
        items: what would have been appended, added or set (pairs) on it.
    """

    kind: Global
    args: tuple[Any, ...] = ()
    state: Any = None
    items: list[Any] | None = None

    def __repr__(self) -> str:  # never the contents: they may be nested without end
        return f"<{self.kind}>"


@dataclass(eq=False)
class Persistent:
    """A reference to something stored outside the pickle, such as a torch storage."""

    key: Any


class _DamagedError(Exception):
    """The opcodes make no sense."""


def read_pickle(data: Buffer, where: str, start: int = 0) -> tuple[Any, int]:
    """Interpret one pickle.

    Args:
        data: bytes that hold it.
        where: name for messages, usually the file.
        start: where in ``data`` it begins.

    Returns:
        Its value, and the position behind it.

    Raises:
        UserError: if it is cut off, damaged, absurdly large, or asks for something that only an attack asks for.
    """
    machine = _Machine(memoryview(data), start, where)
    try:
        return machine.run(), machine.position
    except (
        _DamagedError,
        struct.error,
        IndexError,
        ValueError,
        KeyError,
        TypeError,
        OverflowError,
        RecursionError,
    ) as e:
        reason = f"{type(e).__name__}: {e}" if not isinstance(e, _DamagedError) else str(e)
        raise UserError(f"{where} is cut off or damaged ({reason[:120]}); get the file again") from None


_MARK = object()


class _Machine:
    """The stack machine; one method an opcode."""

    def __init__(self, data: memoryview, start: int, where: str) -> None:
        self.data, self.position, self.where = data, start, where
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.budget = 4 * len(data) + 2**20  # bytes that calls may copy; a few opcodes can ask for the same text again

    def run(self) -> Any:
        for _ in range(MAX_OPCODES):
            code = self.take(1)[0]
            if code == _STOP:
                return self.pop()
            operation = _OPERATIONS.get(code)
            if operation is None:
                raise _DamagedError(f"no pickle opcode 0x{code:02x} at byte {self.position - 1}")
            operation(self)
        raise UserError(f"{self.where}: more than {MAX_OPCODES} pickle operations; refused")

    # reading -----------------------------------------------------------------

    def take(self, count: int) -> memoryview:
        end = self.position + count
        if end > len(self.data):
            raise _DamagedError(f"it ends {end - len(self.data)} bytes early")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def number(self, layout: str) -> int:
        return int(struct.unpack(layout, self.take(struct.calcsize(layout)))[0])

    def line(self) -> bytes:
        position, chunk = self.position, 4096
        while position < len(self.data):
            piece = bytes(self.data[position : position + chunk])
            found = piece.find(b"\n")
            if found >= 0:
                text = bytes(self.data[self.position : position + found])
                self.position = position + found + 1
                return text
            position, chunk = position + len(piece), chunk * 2
        raise _DamagedError("it ends within a line")

    # the stack ---------------------------------------------------------------

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise _DamagedError("a value is missing")
        return value

    def top(self) -> Any:
        if self.stack[-1] is _MARK:
            raise _DamagedError("a value is missing")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        for index in range(len(self.stack) - 1, -1, -1):
            if self.stack[index] is _MARK:
                values = self.stack[index + 1 :]
                del self.stack[index:]
                return values
        raise _DamagedError("a mark is missing")

    def pop_tuple(self) -> tuple[Any, ...]:
        value = self.pop()
        if not isinstance(value, tuple):
            raise _DamagedError(f"arguments are a {type(value).__name__}")
        return value

    # names and objects that are only written down --------------------------------

    def name(self, module: str, name: str) -> Global:
        root, leaf = module.split(".")[0], name.split(".")[0]
        if root in _REFUSED_MODULES or (root in _BUILTINS and leaf in _REFUSED_BUILTINS):
            raise UserError(
                f"{self.where} asks to run {module[:60]}.{name[:60]} when it is opened, as malicious files do; "
                "nothing was run. Delete it and get the file from its official source"
            )
        return Global(module, name)

    def call(self, function: Any, args: tuple[Any, ...]) -> Any:
        if not isinstance(function, Global):
            raise _DamagedError(f"a {type(function).__name__} is called")
        known = _KNOWN.get((function.module, function.name))
        if known:
            self.budget -= sum(len(arg) for arg in args if isinstance(arg, str | list | tuple))
            if self.budget < 0:
                raise _DamagedError("it copies the same data again and again")
        made = known(args) if known else None
        return Instance(function, args) if made is None else made

    def append(self, values: list[Any]) -> None:
        target = self.top()
        if isinstance(target, list):
            target.extend(values)
        elif isinstance(target, Instance):
            if target.items is None:
                target.items = []
            target.items.extend(values)
        else:
            raise _DamagedError(f"items are added to a {type(target).__name__}")

    def set_items(self, flat: list[Any]) -> None:
        target = self.top()
        if len(flat) % 2:
            raise _DamagedError("a key without value")
        pairs = list(zip(flat[::2], flat[1::2], strict=True))
        if isinstance(target, dict):
            target.update((_key(key), value) for key, value in pairs)
        else:
            self.append(pairs)

    def build(self) -> None:
        state, target = self.pop(), self.top()
        if isinstance(target, Instance):
            target.state = state
        elif not isinstance(target, dict):  # the attributes of an OrderedDict are left out
            raise _DamagedError(f"a {type(target).__name__} receives a state")

    def string(self, data: Buffer) -> None:
        self.push(str(data, "latin-1"))  # Python 2 text or bytes: latin-1 keeps both

    def persist(self, key: Any) -> None:
        self.push(Persistent(key))

    def integer(self, size: int) -> None:
        if size > MAX_INTEGER_BYTES:
            raise _DamagedError(f"an integer of {size} bytes")
        self.push(int.from_bytes(self.take(size), "little", signed=True))

    def quoted(self) -> None:
        text = self.line().strip()
        if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
            raise _DamagedError("text without quotes")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # Python 2 wrote escapes that are odd today
            self.string(codecs.escape_decode(text[1:-1])[0])  # type: ignore[attr-defined]

    def text_integer(self) -> None:
        text = self.line().rstrip(b"L")
        if len(text) > 2.5 * MAX_INTEGER_BYTES:
            raise _DamagedError("an integer without end")
        self.push(text == b"01" if text in (b"00", b"01") else int(text))

    def stack_global(self) -> None:
        name, module = self.pop(), self.pop()
        if not (isinstance(name, str) and isinstance(module, str)):
            raise _DamagedError("a name that is no text")
        self.push(self.name(module, name))

    def text_global(self) -> None:
        module = self.line().decode("utf-8")
        self.push(self.name(module, self.line().decode("utf-8")))

    def text_instance(self) -> None:
        module = self.line().decode("utf-8")
        name = self.name(module, self.line().decode("utf-8"))
        self.push(self.call(name, tuple(self.pop_mark())))

    def mark_object(self) -> None:
        function, *args = self.pop_mark()
        self.push(self.call(function, tuple(args)))

    def reduce(self) -> None:
        args = self.pop_tuple()
        self.push(self.call(self.pop(), args))

    def new_object(self, keywords: bool) -> None:
        if keywords and self.pop() != {}:
            raise _DamagedError("keyword arguments")
        self.reduce()

    def dictionary(self) -> None:
        pairs = self.pop_mark()
        self.push({})
        self.set_items(pairs)

    def tuple_of(self, count: int) -> None:
        values = tuple(self.pop() for _ in range(count))
        self.push(values[::-1])


def _key(key: Any) -> Any:
    """A dict key whose hash costs nothing (nested tuples that share their parts take for ever to hash)."""
    if isinstance(key, tuple):
        if len(key) > MAX_KEY_TUPLE or any(isinstance(part, tuple) for part in key):
            raise _DamagedError("a dict key that is no plain value")
        return tuple(_key(part) for part in key)
    if isinstance(key, int) and abs(key) > _SMALL_KEY:
        raise _DamagedError("a dict key that is a huge number")
    if key is not None and not isinstance(key, str | bytes | int | Global | Instance):
        raise _DamagedError("a dict key that is no plain value")
    return key


def _ordered_dict(args: tuple[Any, ...]) -> dict[Any, Any] | None:
    if not args:
        return {}
    pairs = args[0]
    if not isinstance(pairs, list) or any(not isinstance(p, list | tuple) or len(p) != 2 for p in pairs):
        return None
    return {_key(key): value for key, value in pairs}


def _encoded(args: tuple[Any, ...]) -> bytes | None:
    """``_codecs.encode(text, "latin1")``: how protocol 2 writes bytes."""
    if len(args) == 2 and isinstance(args[0], str) and args[1] in ("latin1", "latin-1"):
        return args[0].encode("latin-1")
    return None


def _reconstructed(args: tuple[Any, ...]) -> Instance | None:
    """``copy_reg._reconstructor(cls, base, state)``: how protocols 0 and 1 write plain objects."""
    return Instance(args[0]) if len(args) == 3 and isinstance(args[0], Global) else None


def _listed(args: tuple[Any, ...]) -> Any:
    """``set([...])``: the members, in whatever container they came."""
    if not args:
        return []
    return args[0] if len(args) == 1 and isinstance(args[0], list | tuple) else None


_KNOWN: dict[tuple[str, str], Callable[[tuple[Any, ...]], Any]] = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("_codecs", "encode"): _encoded,
    **{(module, "bytes"): lambda args: None if args else b"" for module in ("__builtin__", "builtins")},
    **{(module, "_reconstructor"): _reconstructed for module in ("copy_reg", "copyreg")},
    **{(module, name): _listed for module in ("__builtin__", "builtins") for name in ("set", "frozenset", "list")},
}

_STOP = ord(".")
_OPERATIONS: dict[int, Callable[[_Machine], Any]] = {
    code[0]: operation
    for code, operation in {
        # structure
        b"\x80": lambda m: m.take(1),  # protocol
        b"\x95": lambda m: m.take(8),  # frame; its length is not needed
        b"(": lambda m: m.push(_MARK),
        b"0": lambda m: m.stack.pop(),
        b"1": lambda m: m.pop_mark(),
        b"2": lambda m: m.push(m.top()),
        # values
        b"N": lambda m: m.push(None),
        b"\x88": lambda m: m.push(True),
        b"\x89": lambda m: m.push(False),
        b"I": _Machine.text_integer,
        b"L": _Machine.text_integer,
        b"J": lambda m: m.push(m.number("<i")),
        b"K": lambda m: m.push(m.number("<B")),
        b"M": lambda m: m.push(m.number("<H")),
        b"\x8a": lambda m: m.integer(m.number("<B")),
        b"\x8b": lambda m: m.integer(m.number("<I")),
        b"F": lambda m: m.push(float(m.line())),
        b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
        b"S": _Machine.quoted,
        b"T": lambda m: m.string(m.take(m.number("<I"))),
        b"U": lambda m: m.string(m.take(m.number("<B"))),
        b"V": lambda m: m.push(m.line().decode("raw-unicode-escape")),
        b"X": lambda m: m.push(str(m.take(m.number("<I")), "utf-8", "surrogatepass")),
        b"\x8c": lambda m: m.push(str(m.take(m.number("<B")), "utf-8", "surrogatepass")),
        b"\x8d": lambda m: m.push(str(m.take(m.number("<Q")), "utf-8", "surrogatepass")),
        b"B": lambda m: m.push(bytes(m.take(m.number("<I")))),
        b"C": lambda m: m.push(bytes(m.take(m.number("<B")))),
        b"\x8e": lambda m: m.push(bytes(m.take(m.number("<Q")))),
        b"\x96": lambda m: m.push(bytes(m.take(m.number("<Q")))),
        # containers
        b")": lambda m: m.push(()),
        b"\x85": lambda m: m.tuple_of(1),
        b"\x86": lambda m: m.tuple_of(2),
        b"\x87": lambda m: m.tuple_of(3),
        b"t": lambda m: m.push(tuple(m.pop_mark())),
        b"]": lambda m: m.push([]),
        b"l": lambda m: m.push(m.pop_mark()),
        b"\x8f": lambda m: m.push([]),  # sets stay lists: their members need not be hashable
        b"\x91": lambda m: m.push(m.pop_mark()),
        b"}": lambda m: m.push({}),
        b"d": _Machine.dictionary,
        b"a": lambda m: m.append([m.pop()]),
        b"e": lambda m: m.append(m.pop_mark()),
        b"\x90": lambda m: m.append(m.pop_mark()),
        b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
        b"u": lambda m: m.set_items(m.pop_mark()),
        # memo
        b"p": lambda m: m.memo.__setitem__(int(m.line()), m.top()),
        b"q": lambda m: m.memo.__setitem__(m.number("<B"), m.top()),
        b"r": lambda m: m.memo.__setitem__(m.number("<I"), m.top()),
        b"\x94": lambda m: m.memo.__setitem__(len(m.memo), m.top()),
        b"g": lambda m: m.push(m.memo[int(m.line())]),
        b"h": lambda m: m.push(m.memo[m.number("<B")]),
        b"j": lambda m: m.push(m.memo[m.number("<I")]),
        # names and objects
        b"c": _Machine.text_global,
        b"\x93": _Machine.stack_global,
        b"i": _Machine.text_instance,
        b"o": _Machine.mark_object,
        b"R": _Machine.reduce,
        b"\x81": lambda m: m.new_object(keywords=False),
        b"\x92": lambda m: m.new_object(keywords=True),
        b"b": _Machine.build,
        b"P": lambda m: m.persist(m.line().decode("utf-8")),
        b"Q": lambda m: m.persist(m.pop()),
    }.items()
}
