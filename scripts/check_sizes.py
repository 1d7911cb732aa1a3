"""Find files, classes and functions that are too long: `python -m scripts.check_sizes`.

A size above its first limit is reported, one above its second fails. The number of arguments is checked by ruff.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
FOLDERS = ("src", "tests", "bench", "recipes", "scripts")
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Limit(NamedTuple):
    """Numbers of lines: a part above `warn` is reported, one above `fail` is refused."""

    warn: int
    fail: int


FILE, CLASS, FUNCTION = Limit(400, 500), Limit(250, 350), Limit(60, 80)


class LargePart(NamedTuple):
    """A file, class or function above its first limit."""

    place: str
    lines: int
    limit: Limit

    @property
    def is_refused(self) -> bool:
        """Whether it is above its second limit, too."""
        return self.lines > self.limit.fail

    def __str__(self) -> str:
        """The place, its size and the limit."""
        limit = f"the limit is {self.limit.fail}" if self.is_refused else f"split it before it has {self.limit.fail}"
        return f"{self.place} has {self.lines} lines: {limit}"


def python_files() -> list[Path]:
    """List the project's Python files."""
    return sorted(path for name in FOLDERS for path in (ROOT / name).rglob("*.py"))


def find_large_parts(name: str, source: str) -> Iterator[LargePart]:
    """Find the parts of one file that are above their first limit.

    Args:
        name: the file's name, as it is reported.
        source: its text.
    """
    sizes = [(name, source.count("\n"), FILE)]
    for node in ast.walk(ast.parse(source, filename=name)):
        if isinstance(node, Function | ast.ClassDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            limit = CLASS if isinstance(node, ast.ClassDef) else FUNCTION
            sizes.append((f"{name}:{node.lineno} {node.name}", lines, limit))
    return (LargePart(*size) for size in sizes if size[1] > size[2].warn)


def large_parts(files: Iterable[Path]) -> list[LargePart]:
    """List the parts of files of the project that are above their first limit."""
    return [
        part
        for path in files
        for part in find_large_parts(str(path.relative_to(ROOT)), path.read_text(encoding="utf-8"))
    ]


def main() -> int:
    """Print the parts that are too long; return the exit status, 1 if something is above its second limit."""
    found = large_parts(python_files())
    for part in found:
        print(f"{'error' if part.is_refused else 'warning'}: {part}")
    return int(any(part.is_refused for part in found))


if __name__ == "__main__":
    sys.exit(main())
