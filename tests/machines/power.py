"""What a disk may hold after the power failed, told by the system calls that a program made until then.

Pessimistic, as POSIX lets a file system be: bytes and names that nobody asked to be written may be there or not, and a
name may be there without the bytes of its file.
"""

from __future__ import annotations

import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

STRACE = shutil.which("strace")

NAMES = ("lasting", "journal", "now")
"""Which names are there: those of folders that were synced, all up to the last sync of anything (as journals do it), all."""

BYTES = ("lasting", "some")
"""Which bytes are there: those that were synced, or also what was written after them up to some moment."""

_CALLS = (
    "openat,write,pwrite64,writev,ftruncate,sendfile,copy_file_range,rename,renameat,renameat2,link,linkat,symlink,"
    "symlinkat,unlink,unlinkat,rmdir,mkdir,mkdirat,fsync,fdatasync,sync,syncfs,newfstatat"
)
_CALL = re.compile(r"^(?:\d+ +)?(\w+)\((.*)\) += (\d+)", re.S)
_BEGUN = re.compile(r"^(\d+) +(\w+\(.*) <unfinished \.\.\.>$", re.S)
_RESUMED = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$", re.S)
_OPENED = re.compile(r"(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})+)>(\(deleted\))?")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_MTIME = re.compile(r"st_mtime=(\d+)[^,]*, st_mtime_nsec=(\d+)")

State = dict[str, "tuple[bytes, int | None] | str | None"]
"""By path: bytes and time of a file, what a link leads to, None for a folder."""


def record(command: list[str], log: Path) -> None:
    """Run a program, and keep the calls that it and its children make."""
    assert STRACE is not None
    tracing = [
        STRACE,
        "-f",
        "-y",
        "-xx",
        "-v",
        "-s",
        "16777216",
        "-e",
        "signal=none",
        "-e",
        f"trace={_CALLS}",
    ]
    subprocess.run([*tracing, "-o", str(log), *command], check=True, stdin=subprocess.DEVNULL)


def put(root: Path, state: State) -> None:
    """Let a folder hold what a disk holds."""
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name, what in state.items():
        path = root / name
        if what is None:
            path.mkdir()
        elif isinstance(what, str):
            path.symlink_to(what)
        else:
            path.write_bytes(what[0])
            if what[1] is not None:
                os.utime(path, ns=(what[1], what[1]))


@dataclass(eq=False)
class _File:
    now: bytearray
    lasting: bytes = b""
    waiting: list[tuple[int, bytes | None]] = field(default_factory=list)
    mtime: int | None = None

    def write(self, offset: int, data: bytes | None) -> None:
        """Write data; None cuts or lengthens the file to the offset."""
        _apply(self.now, offset, data)
        self.waiting.append((offset, data))

    def sync(self) -> None:
        self.lasting, self.waiting = bytes(self.now), []

    def some(self, chance: random.Random) -> bytes:
        found = bytearray(self.lasting)
        for offset, data in self.waiting[: chance.randrange(len(self.waiting) + 1)]:
            _apply(found, offset, data)
        return bytes(found)


def _apply(content: bytearray, offset: int, data: bytes | None) -> None:
    content.extend(bytes(max(0, offset - len(content))))
    if data is None:
        del content[offset:]
    else:
        content[offset : offset + len(data)] = data


@dataclass(eq=False)
class _Folder:
    now: dict[str, _Node] = field(default_factory=dict)
    lasting: dict[str, _Node] = field(default_factory=dict)
    journal: dict[str, _Node] = field(default_factory=dict)

    def sync(self) -> None:
        self.lasting = dict(self.now)


_Node = _File | _Folder | str


class Disk:
    """A folder as it was before a program ran, to which the calls of the program are applied one after the other.

    Parameters
    ----------
    root : Path
        The folder; all in it lasts.
    """

    def __init__(self, root: Path) -> None:
        self._root = str(root)
        self._top = self._load(root)
        self._unnamed: dict[str, _File] = {}
        self._opened: dict[str, str] = {}
        self._offsets: dict[str, int | None] = {}
        self._changed: set[_Folder] = set()

    def _load(self, place: Path) -> _Folder:
        folder = _Folder()
        for path in place.iterdir():
            if path.is_symlink():
                folder.now[path.name] = os.readlink(path)
            elif path.is_dir():
                folder.now[path.name] = self._load(path)
            else:
                data = path.read_bytes()
                folder.now[path.name] = _File(bytearray(data), data, mtime=path.stat().st_mtime_ns)
        folder.lasting, folder.journal = dict(folder.now), dict(folder.now)
        return folder

    def replay(self, log: Path) -> Iterator[int]:
        """Apply the calls of a log; yields the number of those that changed something, after each."""
        number = 0
        for name, arguments, result, path in _calls(log):
            handle = getattr(self, f"_{name}", None) or getattr(self, f"_{name.removesuffix('at')}")
            texts = [_plain(text) for text in _TEXT.findall(arguments)]
            opened = list(_opened(_TEXT.sub('""', arguments)))
            if handle(_Call(arguments, int(result), path, texts, opened)):
                number += 1
                yield number

    def after_failure(self, names: str, content: str, chance: random.Random) -> State:
        """What is there if the power fails now; see `NAMES` and `BYTES`."""
        found: State = {}

        def look(folder: _Folder, place: str) -> None:
            for name, node in getattr(folder, names).items():
                path = f"{place}{name}"
                if isinstance(node, _Folder):
                    found[path] = None
                    look(node, f"{path}/")
                elif isinstance(node, str):
                    found[path] = node
                else:
                    found[path] = (node.lasting if content == "lasting" else node.some(chance), node.mtime)

        look(self._top, "")
        return found

    def seen(self, name: str) -> bytes:
        """What a program reads from a file now."""
        file = self._find(f"{self._root}/{name}")
        assert isinstance(file, _File), name
        return bytes(file.now)

    def now(self) -> State:
        """What programs see."""
        for file in self._files(self._top):
            file.lasting = bytes(file.now)
        return self.after_failure("now", "lasting", random.Random())

    def _files(self, folder: _Folder) -> Iterator[_File]:
        for node in folder.now.values():
            if isinstance(node, _Folder):
                yield from self._files(node)
            elif isinstance(node, _File):
                yield node

    # --- places ---------------------------------------------------------------------------------------------------

    def _is_inside(self, path: str) -> bool:
        return path == self._root or path.startswith(f"{self._root}/")

    def _find(self, path: str) -> _Node | None:
        if path in self._unnamed:
            return self._unnamed[path]
        if not self._is_inside(path):
            return None
        node: _Node | None = self._top
        for part in filter(None, path[len(self._root) :].split("/")):
            node = node.now.get(part) if isinstance(node, _Folder) else None
            if isinstance(node, str):
                node = self._find(os.path.normpath(os.path.join(os.path.dirname(path), node)))
        return node

    def _folder_of(self, path: str) -> tuple[_Folder, str]:
        folder = self._find(os.path.dirname(path))
        assert isinstance(folder, _Folder), path
        self._changed.add(folder)
        return folder, os.path.basename(path)

    def _name(self, path: str, node: _Node) -> bool:
        if not self._is_inside(path):
            return False
        folder, name = self._folder_of(path)
        folder.now[name] = node
        return True

    def _take(self, path: str) -> _Node:
        folder, name = self._folder_of(path)
        return folder.now.pop(name)

    # --- calls ----------------------------------------------------------------------------------------------------

    def _open(self, call: _Call) -> bool:
        path, number = call.path or "", str(call.result)
        self._opened[number] = path
        if "O_TMPFILE" in call.arguments and self._is_inside(path):
            self._unnamed[path] = _File(bytearray())
        made = "O_CREAT" in call.arguments and self._is_inside(path) and self._find(path) is None
        if made and not path.endswith(" (deleted)"):
            self._name(path, _File(bytearray()))
        node = self._find(path)
        if not isinstance(node, _File):
            return False
        self._offsets[number] = None if "O_APPEND" in call.arguments else 0
        cut = "O_TRUNC" in call.arguments and len(node.now) > 0
        if cut:
            node.write(0, None)
        return made or cut

    def _write(self, call: _Call) -> bool:
        return self._append(call, *call.opened[0], b"".join(call.texts)[: call.result])

    _writev = _write

    def _append(self, call: _Call, number: str, path: str, data: bytes) -> bool:
        node = self._find(path)
        if not isinstance(node, _File):
            return False
        offset = self._offsets.get(number, 0)
        node.write(len(node.now) if offset is None else offset, data)
        if offset is not None:
            self._offsets[number] = offset + len(data)
        return True

    def _pwrite64(self, call: _Call) -> bool:
        node = self._find(call.opened[0][1])
        if isinstance(node, _File):
            node.write(call.last_number, call.texts[0][: call.result])
        return isinstance(node, _File)

    def _ftruncate(self, call: _Call) -> bool:
        node = self._find(call.opened[0][1])
        if isinstance(node, _File):
            node.write(call.last_number, None)
        return isinstance(node, _File)

    def _sendfile(self, call: _Call) -> bool:
        (number, path), (_, source) = call.opened[:2]
        if not isinstance(self._find(path), _File):
            return False
        begin = re.search(r"\[(\d+)\]", call.arguments)
        assert begin is not None, call.arguments
        node = self._find(source)
        content = bytes(node.now) if isinstance(node, _File) else Path(source).read_bytes()
        return self._append(call, number, path, content[int(begin[1]) :][: call.result])

    def _copy_file_range(self, call: _Call) -> bool:
        assert not isinstance(self._find(call.opened[1][1]), _File), "A call that is not told yet."
        return False

    def _rename(self, call: _Call) -> bool:
        source, target = call.places(2)
        if not self._is_inside(source):
            return False
        return self._name(target, self._take(source))

    _renameat2 = _rename

    def _link(self, call: _Call) -> bool:
        source, target = call.places(2)
        if "/proc/" in source or source.isdigit():
            source = self._opened[os.path.basename(source)]
        node = self._find(source)
        return node is not None and self._name(target, node)

    def _linkat(self, call: _Call) -> bool:
        if os.fsdecode(call.texts[0]).isdigit():
            call = call.with_first(self._opened[os.fsdecode(call.texts[0])])
        return self._link(call)

    def _symlink(self, call: _Call) -> bool:
        return self._name(call.places(2)[1], os.fsdecode(call.texts[0]))

    def _unlink(self, call: _Call) -> bool:
        (path,) = call.places(1)
        if self._is_inside(path):
            self._take(path)
        return self._is_inside(path)

    _rmdir = _unlink

    def _mkdir(self, call: _Call) -> bool:
        return self._name(call.places(1)[0], _Folder())

    def _fsync(self, call: _Call) -> bool:
        node = self._find(call.opened[0][1])
        if not isinstance(node, _File | _Folder):
            return False
        node.sync()
        self._write_journal()
        return True

    _fdatasync = _fsync

    def _sync(self, call: _Call) -> bool:
        for file in self._files(self._top):
            file.sync()
        folders = [self._top]
        for folder in folders:
            folder.sync()
            folders += [node for node in folder.now.values() if isinstance(node, _Folder)]
        self._write_journal()
        return True

    _syncfs = _sync

    def _write_journal(self) -> None:
        for folder in self._changed:
            folder.journal = dict(folder.now)
        self._changed.clear()

    def _newfstatat(self, call: _Call) -> bool:
        path = call.places(1)[0] if call.texts[0] else call.opened[0][1]
        node, found = self._find(path), _MTIME.search(call.arguments)
        if isinstance(node, _File) and found:
            node.mtime = int(found[1]) * 10**9 + int(found[2])
        return False


@dataclass(frozen=True)
class _Call:
    arguments: str
    result: int
    path: str | None
    texts: list[bytes]
    opened: list[tuple[str, str]]

    @property
    def last_number(self) -> int:
        return int(self.arguments.rsplit(",", 1)[1], 0)

    def places(self, count: int) -> list[str]:
        """The first paths among the arguments, whole."""
        found = []
        for at, text in enumerate(self.texts[:count]):
            path = os.fsdecode(text)
            base = self.opened[min(at, len(self.opened) - 1)][1] if self.opened else "/"
            found.append(os.path.normpath(os.path.join(base, path)))
        return found

    def with_first(self, path: str) -> _Call:
        return _Call(
            self.arguments, self.result, self.path, [os.fsencode(path), *self.texts[1:]], self.opened
        )


def _plain(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _calls(log: Path) -> Iterator[tuple[str, str, str, str | None]]:
    """Name, arguments, result and opened path of the calls that succeeded, in the order of their ends."""
    begun: dict[str, str] = {}
    with log.open(encoding="ascii") as lines:
        for line in lines:
            if found := _BEGUN.match(line.rstrip("\n")):
                begun[found[1]] = found[2]
                continue
            if found := _RESUMED.match(line):
                line = begun.pop(found[1]) + found[2]
            if found := _CALL.match(line):
                path = next((path for _, path in _opened(line[found.start(3) :])), None)
                yield found[1], found[2], found[3], path


def _opened(text: str) -> Iterator[tuple[str, str]]:
    """Numbers and paths of open files; "(deleted)" tells those without a name."""
    for number, path, deleted in _OPENED.findall(text):
        yield number, os.fsdecode(_plain(path)) + " (deleted)" * bool(deleted)
