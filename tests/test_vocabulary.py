"""Names, messages, help and docs use the terms of docs/glossary.md and plain English.

What is refused is unambiguous: names that the code no longer has, and turns of phrase that the style guide replaces.
"""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src"
PROGRAM = sorted(SOURCE.rglob("*.py"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
FORMER_NAMES = ROOT / "tests" / "data" / "former_names.txt"
PHRASES = {
    r"anew": "again",
    r"lest": "so that … not",
    r"go(?:es|ing)? on|went on": "continues",
    r"so many": "this many, n",
    r"(?:is|are|was|were) told": "receives, is notified",
    r"what (?:came|comes) of": "the result of",
    r"opens nothing": "is revoked or expired",
    r"gave way": "was preempted",
    r"as it stands": "current",
    r"the most that": "at most",
    r"whoever": "the caller, the client",
    r"in words": "as text",
}
"""What the style guide replaces, as patterns, and what to write instead."""
IDENTIFIER_WORDS = {"anew", "easel", "lest", "painter", "painters", "shelf", "straggler", "studio", "tutor", "workshop"}
CONSTANT_WORDS = {"FEWEST", "LEAST", "LONGEST", "MOST"}  # MAX_ and MIN_ instead


@cache
def _former(section: str) -> frozenset[str]:
    text = FORMER_NAMES.read_text("utf-8").partition(f"[{section}]\n")[2]
    return frozenset(text.partition("\n\n")[0].split())


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"), filename=str(path))


def _definitions(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and name of each class, function, argument and variable that a file defines."""
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def _is_refused(name: str) -> bool:
    words = name.strip("_").split("_")
    return bool(
        name in _former("classes")
        or name.strip("_") in _former("functions")
        or IDENTIFIER_WORDS & set(words)
        or (name.isupper() and CONSTANT_WORDS & set(words))
    )


def _prose(path: Path) -> Iterator[tuple[int, str]]:
    """Yield the line and text of each string and comment of a Python file, or of each line of a page."""
    if path.suffix == ".md":
        yield from enumerate(path.read_text("utf-8").splitlines(), 1)
        return
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield from ((node.lineno + at, line) for at, line in enumerate(node.value.splitlines()))
    for token in tokenize.generate_tokens(io.StringIO(path.read_text("utf-8")).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def _refused_phrases(text: str) -> Iterator[str]:
    for pattern, instead in PHRASES.items():
        if found := re.search(rf"\b(?:{pattern})\b", text, re.IGNORECASE):
            yield f"{found[0]!r}; write {instead!r}"


def test_names_are_current() -> None:
    """No class, function, variable or argument of the program has a name that was replaced."""
    assert not [
        f"{_name(path)}:{line} {name}" for path in PROGRAM for line, name in _definitions(path) if _is_refused(name)
    ]


def test_modules_are_current() -> None:
    """No module or package of the program has a name that was replaced."""
    names = {".".join(path.relative_to(SOURCE).with_suffix("").parts) for path in PROGRAM}
    assert not {name.removesuffix(".__init__") for name in names} & _former("modules")


@pytest.mark.parametrize("pages", [PROGRAM, PAGES], ids=["code", "docs"])
def test_prose_is_plain(pages: list[Path]) -> None:
    """Messages, help, docstrings, comments and docs have no phrase that the style guide replaces."""
    assert not [
        f"{_name(path)}:{line}: {found}"
        for path in pages
        for line, text in _prose(path)
        for found in _refused_phrases(text)
    ]


@pytest.mark.parametrize(
    ("text", "is_refused"),
    [
        ("It is loaded anew.", True),
        ("The run goes on.", True),
        ("It is told so.", True),
        ("Whoever calls is the caller.", True),
        ("At least one, as text.", False),
    ],
)
def test_phrases_are_whole_words(text: str, is_refused: bool) -> None:
    """A phrase is found in running text, whatever its case, and not inside a longer word."""
    assert bool([*_refused_phrases(text)]) == is_refused
