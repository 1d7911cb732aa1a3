"""Rules of the code that no linter checks: sizes, names, and which package may import what. There are no exceptions."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from scripts.check_sizes import CLASS, FILE, FUNCTION, Function, Limit, find_large_parts, large_parts, python_files

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
OURS = python_files()
PROGRAM = [path for path in OURS if SOURCE in path.parents]
MAX_NESTING = 4
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc", "shared"}
# Which rooms may import which libraries. A room is the first part of a module's name inside `homeport`.
TOOLKITS = {
    ("starlette", "uvicorn"): {"api", "app"},
    ("numpy",): {"engines", "training", "store"},
    (
        "cffi",
        "xllamacpp",
        "onnxruntime",
        "tokenizers",
        "av",
        "PIL",
        "cyllama",
        "hibari",
        "pypinyin",
        "rjieba",
    ): {
        "engines",
        "training",
    },
    ("llguidance", "pypdf", "docx", "openpyxl", "pptx", "lxml"): {"engines"},
    ("torch",): {"engines", "training"},
    ("diffusers",): {"engines"},
    ("sqlalchemy", "alembic", "psycopg", "obstore"): {"store"},
    ("mcp", "mcp_types"): {"serving"},
    ("ray",): {"cluster"},
    ("click", "rich"): {"cli"},
    ("huggingface_hub", "modelscope_hub"): {"models"},
}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"), filename=str(path))))


def _depth(node: ast.AST, depth: int = 0) -> int:
    """Count the deepest blocks inside blocks. An `elif` is as deep as its `if`; a nested function counts by itself."""
    deepest = depth
    for name in ("body", "orelse", "finalbody", "handlers", "cases"):
        children = getattr(node, name, [])
        for child in children:
            if isinstance(child, Function | ast.ClassDef):
                continue
            is_elif = name == "orelse" and isinstance(node, ast.If) and isinstance(child, ast.If) and len(children) == 1
            deepest = max(deepest, _depth(child, depth + (isinstance(child, BLOCKS) and not is_elif)))
    return deepest


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(path: Path) -> str:
    return [*_module(path).split("."), ""][1]


@cache
def _imports(path: Path) -> frozenset[str]:
    """Name every module a file imports, wherever in the file, `from package import module` included."""
    found = set()
    for node in _nodes(path):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return frozenset(found)


def test_sizes_are_within_limits() -> None:
    """No file, class or function is longer than its second limit."""
    assert not [str(part) for part in large_parts(OURS) if part.is_refused]


@pytest.mark.parametrize(("source", "limit"), [("{}", FILE), ("class A:\n{}", CLASS), ("async def f():\n{}", FUNCTION)])
def test_sizes_are_lines(source: str, limit: Limit) -> None:
    """A part is reported when it has more lines than its first limit, and refused when it has more than its second."""
    n_head = source.count("\n")
    line = " pass\n" if n_head else "pass\n"
    reported = [
        [part.is_refused for part in find_large_parts("a.py", source.format(line * (lines - n_head)))]
        for lines in (limit.warn, limit.warn + 1, limit.fail, limit.fail + 1)
    ]
    assert reported == [[], [False], [False], [True]]


def test_blocks_are_not_nested_deeply() -> None:
    """No function nests its blocks more than four deep."""
    assert not [
        f"{_name(path)}:{node.lineno} {node.name} is nested {_depth(node)} deep"
        for path in OURS
        for node in _nodes(path)
        if isinstance(node, Function) and _depth(node) > MAX_NESTING
    ]


@pytest.mark.parametrize(
    ("source", "depth"),
    [
        ("if a:\n  pass\nelif b:\n  pass\nelif c:\n  pass", 1),
        ("for a in b:\n  if a:\n    with c:\n      while d:\n        try:\n          pass\n        finally: pass", 5),
        ("if a:\n  def f():\n    if b:\n      pass", 1),
        ("if a:\n  pass\nelse:\n  if b: pass\n  c()", 2),
    ],
)
def test_depth_counts_blocks(source: str, depth: int) -> None:
    """The measure of nesting counts blocks as its docstring says."""
    assert _depth(ast.parse(source)) == depth


def test_names_are_specific() -> None:
    """No module or folder has a name that fits everything, and no class is a `Manager` or `Helper` of something."""
    found = [_name(path) for path in OURS if FORBIDDEN_NAMES & {*path.relative_to(ROOT).with_suffix("").parts}]
    found += [
        f"{_name(path)}:{node.lineno} {node.name}"
        for path in OURS
        for node in _nodes(path)
        if isinstance(node, ast.ClassDef) and node.name.endswith(("Manager", "Helper", "Utils", "Base"))
    ]
    assert not found


def test_tests_have_docstrings() -> None:
    """Every test function's docstring is the behavior it checks."""
    assert not [
        f"{_name(path)}:{node.lineno} {node.name}"
        for path in OURS
        if path.name.startswith("test_")
        for node in _nodes(path)
        if isinstance(node, Function) and node.name.startswith("test_") and not ast.get_docstring(node)
    ]


def test_libraries_stay_in_their_rooms() -> None:
    """Web, numerics, SQL, cluster, terminal and hub libraries are imported by their own rooms only."""
    found = []
    for path in PROGRAM:
        libraries = {name.split(".")[0] for name in _imports(path)}
        for names, rooms in TOOLKITS.items():
            if _room(path) not in rooms:
                found += [f"{_name(path)} imports {name}" for name in libraries & set(names)]
    assert not found


def test_only_settings_reads_the_environment() -> None:
    """Only `settings.py` and `domain/child_environment.py`, which passes parts on, read the environment."""
    readers = ("src/homeport/settings.py", "src/homeport/domain/child_environment.py")
    found = []
    for path in PROGRAM:
        used = {node.attr for node in _nodes(path) if isinstance(node, ast.Attribute)}
        used |= {name.removeprefix("os.") for name in _imports(path) if name.startswith("os.")}
        if _name(path) not in readers and used & {"environ", "getenv", "putenv", "environb"}:
            found.append(_name(path))
    assert not found


_STARTS = {"Popen", "run", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell"}


def _starts_without_environment(path: Path) -> Iterator[str]:
    for node in _nodes(path):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _STARTS:
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            is_start = owner in ("subprocess", "asyncio") and (owner, node.func.attr) != ("asyncio", "run")
            if is_start and not any(keyword.arg == "env" for keyword in node.keywords):
                yield f"{_name(path)}:{node.lineno}"


def test_every_child_process_gets_its_own_environment() -> None:
    """No child process inherits this process's secrets by omission, except the server that a command starts."""
    files = [path for path in PROGRAM if path.name != "http_client.py"]
    assert not [place for path in files for place in _starts_without_environment(path)]


def test_no_cycles() -> None:
    """No modules import each other in a circle; imports inside functions count."""
    modules = {_module(path): path for path in PROGRAM}
    edges = {name: {found for found in _imports(path) if found in modules} for name, path in modules.items()}
    # A package's __init__ runs before its modules, but a module that imports it is not a circle by itself.
    open_names: list[str] = []
    done: set[str] = set()

    def visit(name: str) -> None:
        assert name not in open_names, " -> ".join([*open_names[open_names.index(name) :], name])
        if name in done:
            return
        open_names.append(name)
        for target in sorted(edges[name] - {name}):
            visit(target)
        open_names.pop()
        done.add(name)

    for name in sorted(modules):
        visit(name)


def test_layers() -> None:
    """import-linter's contracts (.importlinter) hold."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr
