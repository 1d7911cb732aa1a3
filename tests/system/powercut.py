"""A power cut, replayed from a record of a server's system calls: what was not synced is lost.

Strict, as POSIX allows: a file has the content of its last sync, and a folder has the names of its own last sync, also
those removed since. Real file systems keep more.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

_CALLS = (
    "openat,mkdir,mkdirat,write,pwrite64,writev,pwritev,ftruncate,lseek,fsync,fdatasync,copy_file_range,sendfile,"
    "rename,renameat,renameat2,link,linkat,unlink,unlinkat"
)
_LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)")
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>")
_CALL = re.compile(r"(\w+)\((.*)\) += (-?\d+)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
_FILE = re.compile(r"(\d+|AT_FDCWD)<((?:\\x[0-9a-f]{2})*)>")
_UNFINISHED = " <unfinished ...>"


def recorder(log: Path) -> Sequence[str]:
    """Return the command prefix that records system calls in `log`; the command keeps its process id."""
    flags = ("-D", "-f", "-q", "-ttt", "-y", "-xx", "-s", "9000000", "--seccomp-bpf", "-e", f"trace={_CALLS}")
    return ("strace", *flags, "-o", str(log))


class Call(NamedTuple):
    """One system call that succeeded. `at`: seconds since 1970; `files`: descriptors and paths in its arguments."""

    at: float
    name: str
    text: str
    files: Sequence[tuple[str, str]]
    strings: Sequence[bytes]
    result: int


def calls(log: Path) -> Iterator[Call]:
    """The calls of a record, each where it ended."""
    begun: dict[str, str] = {}
    with log.open(encoding="ascii", errors="replace") as lines:
        for line in lines:
            if (found := _LINE.match(line)) is None:
                continue
            pid, at, text = found.groups()
            if text.endswith(_UNFINISHED):
                begun[pid] = text.removesuffix(_UNFINISHED)
                continue
            if resumed := _RESUMED.match(text):
                text = begun.pop(pid, "") + text[resumed.end() :]
            call = _CALL.match(text)
            if call is not None and int(call[3]) >= 0:
                files = [(number, _bytes(path).decode()) for number, path in _FILE.findall(call[2])]
                strings = [_bytes(each) for each in _TEXT.findall(call[2])]
                yield Call(float(at), call[1], call[2], files, strings, int(call[3]))


def _bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


@dataclass(eq=False)
class _Node:
    """A file or a folder, whatever its names. `kept`: its content as of the last sync."""

    is_folder: bool = False
    data: bytearray = field(default_factory=bytearray)
    kept: bytes = b""


@dataclass
class _Cursor:
    appends: bool
    offset: int = 0


class Disk:
    """What of a folder is on the disk, call by call. What was there before the first call is unknown."""

    def __init__(self, home: Path) -> None:
        self._home = str(home)
        self._live: dict[str, _Node] = {self._home: _Node(is_folder=True)}
        self._kept: dict[str, _Node] = {}
        self._cursors: dict[tuple[str, str], _Cursor] = {}
        self._acts: dict[str, Callable[[Call], None]] = {
            "openat": self._open,
            "mkdir": self._make_folder,
            "mkdirat": self._make_folder,
            "write": self._write,
            "writev": self._write,
            "pwrite64": self._write_at,
            "ftruncate": self._truncate,
            "lseek": self._seek,
            "fsync": self._sync,
            "fdatasync": self._sync,
            "unlink": self._unlink,
            "unlinkat": self._unlink,
            "link": self._link,
            "linkat": self._link,
            "rename": self._rename,
            "renameat": self._rename,
            "renameat2": self._rename,
        }

    def play(self, call: Call) -> None:
        """Apply a call."""
        paths = [path for _, path in call.files] + [each.decode(errors="replace") for each in call.strings[:2]]
        if any(path.startswith(self._home) for path in paths):
            self._acts[call.name](call)

    def rebuild(self, target: Path) -> None:
        """Write what is on the disk after a power cut at this point."""
        target.mkdir()
        for path, node in sorted(self._kept.items()):
            place = target / Path(path).relative_to(self._home)
            if not place.parent.is_dir():
                continue  # its folder's own name is not on disk
            if node.is_folder:
                place.mkdir()
            else:
                place.write_bytes(node.kept)

    def _open(self, call: Call) -> None:
        [path] = self._named(call)
        if "O_CREAT" in call.text and path not in self._live:
            self._live[path] = _Node()
        node = self._live.get(path)
        if node is not None and "O_TRUNC" in call.text:
            node.data.clear()
        self._cursors[str(call.result), path] = _Cursor("O_APPEND" in call.text)

    def _make_folder(self, call: Call) -> None:
        self._live[self._named(call)[0]] = _Node(is_folder=True)

    def _write(self, call: Call) -> None:
        file, node = call.files[0], self._live.get(call.files[0][1])
        if node is None:
            return
        data = b"".join(call.strings)[: call.result]
        cursor = self._cursors.setdefault(file, _Cursor(appends=False))
        at = len(node.data) if cursor.appends else cursor.offset
        _put(node.data, at, data)
        cursor.offset = at + len(data)

    def _write_at(self, call: Call) -> None:
        node = self._live.get(call.files[0][1])
        if node is not None:
            _put(node.data, int(call.text.rpartition(", ")[2]), call.strings[0][: call.result])

    def _truncate(self, call: Call) -> None:
        node, size = self._live.get(call.files[0][1]), int(call.text.rpartition(", ")[2])
        if node is not None:
            node.data[:] = node.data[:size].ljust(size, b"\0")

    def _seek(self, call: Call) -> None:
        self._cursors.setdefault(call.files[0], _Cursor(appends=False)).offset = call.result

    def _sync(self, call: Call) -> None:
        path = call.files[0][1]
        node = self._live.get(path)
        if node is None:
            return
        if not node.is_folder:
            node.kept = bytes(node.data)
            return
        for name in [name for name in self._kept if name.rpartition("/")[0] == path]:
            del self._kept[name]
        self._kept |= {name: each for name, each in self._live.items() if name.rpartition("/")[0] == path}

    def _unlink(self, call: Call) -> None:
        self._live.pop(self._named(call)[0], None)

    def _link(self, call: Call) -> None:
        source, target = self._named(call)
        self._live[target] = self._live[source]

    def _rename(self, call: Call) -> None:
        source, target = self._named(call)
        if source in self._live:
            self._live[target] = self._live.pop(source)
        for file, path in [key for key in self._cursors if key[1] == source]:
            self._cursors[file, target] = self._cursors.pop((file, path))

    def _named(self, call: Call) -> list[str]:
        """The paths that a call names, each against the folder that is named before it."""
        names = [each.decode() for each in call.strings]
        if not call.files:
            return names
        return [str(Path(folder) / name) for (_, folder), name in zip(call.files, names, strict=False)]


def _put(data: bytearray, at: int, piece: bytes) -> None:
    if len(data) < at:
        data.extend(bytes(at - len(data)))
    data[at : at + len(piece)] = piece
