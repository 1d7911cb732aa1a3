"""The limits of style and the arrows between rooms. There is no list of exceptions: what is too big is split."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
OURS = sorted(path for name in ("src", "tests", "bench", "recipes", "scripts") for path in (ROOT / name).rglob("*.py"))
HOUSE = [path for path in OURS if SOURCE in path.parents]
FILE_LINES, FUNCTION_LINES, CLASS_LINES, ARGUMENTS, NESTING = 500, 80, 350, 7, 4
FORBIDDEN_NAMES = {"utils", "util", "common", "helpers", "helper", "base", "misc", "shared"}
# Which rooms may import what. A room is the first part of a module's name below `homeport`.
TOOLKITS = {
    ("starlette", "uvicorn"): {"api", "app"},
    ("numpy", "cffi", "xllamacpp", "onnxruntime", "av", "PIL", "cyllama", "hibari", "pypinyin", "rjieba"): {
        "engines",
        "training",
    },
    ("torch",): {"training"},
    ("sqlalchemy", "alembic", "psycopg", "obstore"): {"store"},
    ("ray",): {"cluster"},
    ("click", "rich"): {"cli"},
    ("huggingface_hub", "modelscope_hub"): {"models"},
}
Function = ast.FunctionDef | ast.AsyncFunctionDef
BLOCKS = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.With, ast.AsyncWith, ast.Try, ast.TryStar, ast.Match)


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def _length(node: Function | ast.ClassDef) -> int:
    return (node.end_lineno or node.lineno) - node.lineno + 1


def _arguments(function: Function) -> list[ast.arg]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [argument for argument in every if argument.arg not in ("self", "cls")]


def _depth(node: ast.AST, depth: int = 0) -> int:
    """Count the deepest blocks inside blocks. An `elif` stands beside its `if`; a nested function starts anew."""
    deepest = depth
    for name, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if not isinstance(child, ast.AST) or isinstance(
                child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
            ):
                continue
            is_elif = name == "orelse" and isinstance(node, ast.If) and isinstance(child, ast.If) and len(value) == 1
            deepest = max(deepest, _depth(child, depth + (isinstance(child, BLOCKS) and not is_elif)))
    return deepest


def _module(path: Path) -> str:
    parts = path.relative_to(SOURCE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(path: Path) -> str:
    return [*_module(path).split("."), ""][1]


def _imports(path: Path) -> set[str]:
    """Name every module a file imports, wherever in the file, `from package import module` included."""
    found = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{_name(path)}:{node.lineno}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names} | {str(node.module)}
    return found


@pytest.mark.parametrize("path", OURS, ids=_name)
def test_files_are_short(path: Path) -> None:
    """No file has more lines than a reader takes in at one sitting."""
    n_lines = len(path.read_text(encoding="utf-8").splitlines())
    assert n_lines <= FILE_LINES, f"{_name(path)} has {n_lines} lines"


@pytest.mark.parametrize("path", OURS, ids=_name)
def test_functions_and_classes_are_small(path: Path) -> None:
    """Functions, classes, argument lists and nesting stay within the limits."""
    tree = _tree(path)
    found = [
        f"{_name(path)}:{function.lineno} {function.name}: {what}"
        for function in _functions(tree)
        for what, is_wrong in (
            (f"{_length(function)} lines", _length(function) > FUNCTION_LINES),
            (f"{len(_arguments(function))} arguments", len(_arguments(function)) > ARGUMENTS),
            (f"nested {_depth(function)} deep", _depth(function) > NESTING),
        )
        if is_wrong
    ]
    found += [
        f"{_name(path)}:{node.lineno} {node.name}: {_length(node)} lines"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and _length(node) > CLASS_LINES
    ]
    assert not found


@pytest.mark.parametrize("path", OURS, ids=_name)
def test_functions_are_typed(path: Path) -> None:
    """Every argument and every return has its type."""
    found = [
        f"{_name(path)}:{function.lineno} {function.name}"
        for function in _functions(_tree(path))
        if function.returns is None
        or any(argument.annotation is None for argument in _arguments(function))
        or any(rest and rest.annotation is None for rest in (function.args.vararg, function.args.kwarg))
    ]
    assert not found


@pytest.mark.parametrize("path", OURS, ids=_name)
def test_names_say_what_is_inside(path: Path) -> None:
    """No module or folder is a drawer for anything, no class a `Manager` or `Helper` of it."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    assert not FORBIDDEN_NAMES & set(parts)
    classes = [node.name for node in ast.walk(_tree(path)) if isinstance(node, ast.ClassDef)]
    assert not [name for name in classes if name.endswith(("Manager", "Helper", "Utils", "Base"))]


@pytest.mark.parametrize("path", [path for path in OURS if ROOT / "tests" not in path.parents], ids=_name)
def test_modules_introduce_themselves(path: Path) -> None:
    """Every module of the program opens with what it is for."""
    assert ast.get_docstring(_tree(path)), f"{_name(path)} has no docstring"


@pytest.mark.parametrize("path", [path for path in OURS if path.name.startswith("test_")], ids=_name)
def test_tests_say_what_holds(path: Path) -> None:
    """Every test function's docstring is the behaviour it checks."""
    tests = [function for function in _functions(_tree(path)) if function.name.startswith("test_")]
    assert not [f"{_name(path)} {test.name}" for test in tests if not ast.get_docstring(test)]


@pytest.mark.parametrize("path", HOUSE, ids=_name)
def test_toolkits_stay_in_their_rooms(path: Path) -> None:
    """Web, numerics, SQL, cluster, terminal and hub libraries are imported by their own rooms only."""
    tops = {name.split(".")[0] for name in _imports(path)}
    for toolkit, rooms in TOOLKITS.items():
        if _room(path) not in rooms:
            assert not tops & set(toolkit), f"{_name(path)} imports {tops & set(toolkit)}"


@pytest.mark.parametrize("path", HOUSE, ids=_name)
def test_only_settings_reads_the_environment(path: Path) -> None:
    """Only `settings.py` and `domain/child_environment.py`, which passes parts on, read the environment."""
    used = {node.attr for node in ast.walk(_tree(path)) if isinstance(node, ast.Attribute)} | {
        name.removeprefix("os.") for name in _imports(path) if name.startswith("os.")
    }
    readers = ("src/homeport/settings.py", "src/homeport/domain/child_environment.py")
    assert _name(path) in readers or not used & {"environ", "getenv", "putenv", "environb"}


_STARTS = {"Popen", "run", "check_call", "check_output", "create_subprocess_exec", "create_subprocess_shell"}


@pytest.mark.parametrize("path", HOUSE, ids=_name)
def test_every_program_that_is_started_gets_an_environment_of_its_own(path: Path) -> None:
    """None inherits the secrets of this one's by omission, but the server that a command starts for itself."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _STARTS:
            owner = node.func.value.id if isinstance(node.func.value, ast.Name) else ""
            is_start = owner in ("subprocess", "asyncio") and (owner, node.func.attr) != ("asyncio", "run")
            is_given = any(keyword.arg == "env" for keyword in node.keywords)
            assert not is_start or is_given or path.name == "http_client.py", f"{_name(path)}:{node.lineno}"


def test_no_cycles() -> None:
    """No modules import each other in a circle, imports inside functions counted."""
    modules = {_module(path): path for path in HOUSE}
    edges = {name: {found for found in _imports(path) if found in modules} for name, path in modules.items()}
    # A package's __init__ runs before its modules, but its modules' use of it is not a circle by itself.
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


def test_arrows() -> None:
    """import-linter's contracts (.importlinter) hold."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache", "--no-logo"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout + found.stderr


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
    """The measure of nesting itself counts as its docstring says."""
    assert _depth(ast.parse(source)) == depth
