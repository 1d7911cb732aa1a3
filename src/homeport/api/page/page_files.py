"""The page's files: HTML, styles and ES modules, compressed, under a path that names their version.

A first visit asks for few files, and for none that only another one has named: all styles are one file, and the index
names the modules that load first and those of each view.

Knows nothing of requests, and nothing of what the files do. They are read when the first browser comes.
"""

import gzip
import hashlib
import mimetypes
import posixpath
import re
from collections.abc import Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent / "files"
PAGE_PREFIX = "/page/"
PAGE_FILE_ROUTE = "/page/{version}/{name:path}"
_INDEX = "index.html"
_OPENING = "js/opening.js"
_ENTRY = "js/main.js"
_TYPES = {".js": "text/javascript", ".css": "text/css", ".html": "text/html", ".svg": "image/svg+xml"}
_STYLES = "styles/page.css"
_STYLESHEET = re.compile(r'<link rel="stylesheet" href="page/\{version\}/([^"]+)">\n?')
_VIEWS = "js/views.js"
_VIEW = re.compile(r"""name: "(\w*)",.*?import\("(\.[^"]+)"\)""", re.DOTALL)
_STATIC_IMPORT = re.compile(r"""^(?:import|export)\b(?:[^;'"()]*\bfrom)?\s*["'](\.[^"']+)["']""", re.MULTILINE)


class PageFile(NamedTuple):
    """One file. `packed`: its content, compressed with gzip."""

    packed: bytes
    media_type: str
    etag: str

    @property
    def content(self) -> bytes:
        """The content as it is."""
        return gzip.decompress(self.packed)


class PageFiles:
    """All files of the page. The first access reads and compresses them, which takes a tenth of a second."""

    def __init__(self, folder: Path = FOLDER) -> None:
        self._folder = folder

    @property
    def is_read(self) -> bool:
        """Whether the files are in memory, so that nothing here takes time."""
        return "index" in self.__dict__

    @cached_property
    def version(self) -> str:
        """A hash of all files: a path with it can be cached forever."""
        digest = hashlib.sha256()
        for name, file in sorted(self._files.items()):
            digest.update(f"{name} {file.etag}\n".encode())
        return digest.hexdigest()[:12]

    @cached_property
    def index(self) -> PageFile:
        """The HTML page, which names the version's files and has the browser load all modules at once."""
        first = self._modules_of([_OPENING])
        first += self._modules_of([_ENTRY], first)
        preloads = "\n".join(f'<link rel="modulepreload" href="page/{self.version}/{name}">' for name in first)
        views = "\n".join(
            f'<meta name="view" content="{view}" data-modules="{" ".join(names)}">'
            for view, names in self._view_modules(first).items()
        )
        text = _STYLESHEET.sub(f'<link rel="stylesheet" href="page/{{version}}/{_STYLES}">\n', self._source, count=1)
        text = _STYLESHEET.sub(lambda found: found[0] if found[1] == _STYLES else "", text)
        text = text.replace("{version}", self.version).replace("{preloads}", preloads).replace("{views}", views)
        return _pack(_INDEX, text.encode())

    def find(self, version: str, name: str) -> PageFile | None:
        """Return the file of this name; None if there is none, or if it is another version's."""
        return self._files.get(name) if version == self.version else None

    @cached_property
    def _source(self) -> str:
        return (self._folder / _INDEX).read_text("utf-8")

    @cached_property
    def _files(self) -> Mapping[str, PageFile]:
        paths = sorted(path for path in self._folder.rglob("*") if path.suffix in _TYPES and path.name != _INDEX)
        files = {path.relative_to(self._folder).as_posix(): _pack(path.name, path.read_bytes()) for path in paths}
        styles = [files[name].content for name in _STYLESHEET.findall(self._source)]
        return {**files, _STYLES: _pack(_STYLES, b"\n".join(styles))}

    def _modules_of(self, waiting: Sequence[str], known: Collection[str] = ()) -> list[str]:
        """Return modules and all that they import statically, without those that are `known`."""
        found: dict[str, None] = {}
        left = list(waiting)
        while left:
            name = left.pop()
            if name not in found and name not in known and name in self._files:
                found[name] = None
                left += static_imports(name, self._text(name))
        return list(found)

    def _view_modules(self, known: Collection[str]) -> Mapping[str, list[str]]:
        """Return what each view loads, besides the modules that are `known`."""
        views = _VIEW.findall(self._text(_VIEWS)) if _VIEWS in self._files else []
        return {view: self._modules_of([_resolved(_VIEWS, module)], known) for view, module in views}

    def _text(self, name: str) -> str:
        return self._files[name].content.decode("utf-8")


def static_imports(name: str, source: str) -> list[str]:
    """Return the modules that an ES module imports statically, as paths in the same folder as `name` is."""
    links = _STATIC_IMPORT.findall(source)
    return [_resolved(name, link) for link in links]


def _resolved(name: str, link: str) -> str:
    return posixpath.normpath(posixpath.join(posixpath.dirname(name), link))


def _pack(name: str, content: bytes) -> PageFile:
    media_type = _TYPES.get(Path(name).suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"
    etag = f'W/"{hashlib.sha256(content).hexdigest()[:24]}"'
    return PageFile(gzip.compress(content, mtime=0), media_type, etag)
