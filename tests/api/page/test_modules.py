"""Rules of the page's own modules: what they may import and use, and that all their texts are translated.

They are read as text: no tool for JavaScript is needed.
"""

import re
from pathlib import Path

import pytest

from homeport.api.page.page_files import FOLDER

MODULES = sorted((FOLDER / "js").rglob("*.js"))
STYLES = sorted((FOLDER / "styles").rglob("*.css"))
MAX_LINES = 250
IMPORT = re.compile(r"""(?:^(?:import|export)\b(?:[^;'"()]*\bfrom)?\s*|\bimport\(\s*)(["'`])(.*?)\1""", re.MULTILINE)
FORBIDDEN = {
    r"\binnerHTML\b|\bouterHTML\b|insertAdjacentHTML|dangerouslySetInnerHTML|document\.write": "makes HTML of text",
    r"\beval\(|new Function\(|setTimeout\(\s*[\"'`]": "makes code of text",
    r"\bdocument\.cookie\b|credentials: \"include\"": "uses cookies",
    r"https?://(?![\]^)\s|\\])": "names another origin",
    r"\bconsole\.": "writes to the console",
    r"\bstyle=[\"$]": "has an inline style, which the policy refuses",
    r"\bTODO\b|\bFIXME\b": "is unfinished",
}
TEXT_ATTRIBUTE = re.compile(r"""\b(?:aria-label|title|placeholder|label|text|hint|alt)=["'][^"'$]*[^\W\d_]""")


def name_of(path: Path) -> str:
    """Return a module's name in the page's folder."""
    return path.relative_to(FOLDER).as_posix()


def without_comments(source: str) -> str:
    """Remove comments, but not addresses in strings."""
    return re.sub(r"/\*.*?\*/|(?<![<:\"'`\\])//[^\n]*", "", source, flags=re.DOTALL)


def imports_of(path: Path) -> list[str]:
    """Return what a module imports, statically or not, as it is written."""
    return [found[1] for found in IMPORT.findall(without_comments(path.read_text("utf-8")))]


def resolve(path: Path, target: str) -> Path:
    """Return the file that an import names."""
    return (path.parent / target).resolve()


def view_of(path: Path) -> str | None:
    """Return the view that a module belongs to; None if it belongs to none."""
    parts = path.relative_to(FOLDER / "js").parts
    return parts[1] if parts[0] == "views" and len(parts) > 2 else None


def template_texts(source: str) -> list[str]:
    """Return the texts between the tags of all `html` templates, without what is inserted."""
    texts = []
    for begin in [found.end() for found in re.finditer(r"\bhtml`", source)]:
        at, depth, text = begin, 0, ""
        while source[at] != "`" or depth:
            if source.startswith("${", at):
                depth += 1
                at += 1
            elif depth and source[at] == "{":
                depth += 1
            elif depth and source[at] == "}":
                depth -= 1
            elif not depth:
                text += source[at]
            at += 1
        texts += re.sub(r"<[^>]*>", "\0", text).split("\0")
    return texts


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_imports_are_relative_files(path: Path) -> None:
    """Every import is relative and names a file of the page."""
    for target in imports_of(path):
        assert target.startswith("."), target
        if "${" not in target:
            assert resolve(path, target).is_file(), target
            assert FOLDER in resolve(path, target).parents


def test_imports_have_no_cycles() -> None:
    """No modules import each other in a circle."""
    edges = {path: [resolve(path, target) for target in imports_of(path) if "${" not in target] for path in MODULES}
    done: set[Path] = set()

    def visit(path: Path, above: tuple[Path, ...]) -> None:
        assert path not in above, [name_of(each) for each in above]
        if path in done or path not in edges:
            return
        for target in edges[path]:
            visit(target, (*above, path))
        done.add(path)

    for path in MODULES:
        visit(path, ())


def test_views_are_separate() -> None:
    """A view imports no other view, and besides their list no module imports a view."""
    found = []
    for path in MODULES:
        for target in imports_of(path):
            view = view_of(resolve(path, target)) if FOLDER / "js" in resolve(path, target).parents else None
            is_listed = name_of(path) == "js/views.js" and target == f"./views/{view}/{view}.js"
            if view and view != view_of(path) and not is_listed:
                found.append(f"{name_of(path)} imports {target}")
    assert not found


def test_every_view_is_listed() -> None:
    """The list of views has every folder of a view."""
    listed = {Path(target).parent.name for target in imports_of(FOLDER / "js" / "views.js")}
    assert listed == {path.name for path in (FOLDER / "js" / "views").iterdir()}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_use_nothing_forbidden(path: Path) -> None:
    """No module makes HTML or code of text, uses cookies, names another origin, or writes to the console."""
    source = without_comments(path.read_text("utf-8"))
    assert not [
        f"{reason}: {re.search(pattern, source)}" for pattern, reason in FORBIDDEN.items() if re.search(pattern, source)
    ]


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_modules_are_small_and_described(path: Path) -> None:
    """A module has at most 250 lines, begins with what it is for, and describes all functions that it exports."""
    source = path.read_text("utf-8")
    assert source.startswith("/**")
    assert len(source.splitlines()) <= MAX_LINES
    assert max(map(len, source.splitlines())) <= 120 or "icons" in path.name
    undescribed = re.findall(r"(?<!\*/)\n(export (?:default )?(?:async )?(?:function|class)\*? \w+)", source)
    assert not undescribed


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_texts_are_translated(path: Path) -> None:
    """No template has text, or a label, that is not from the dictionaries."""
    source = without_comments(path.read_text("utf-8"))
    assert not [text.strip() for text in template_texts(source) if re.search(r"[^\W\d_]", text)]
    assert not TEXT_ATTRIBUTE.findall("".join(re.findall(r"html`.*?`", source, re.DOTALL)))


WORDS = sorted(path.parent for path in MODULES if path.parent.name == "words" and path.name == "en.js")


def dictionary(folder: Path, language: str) -> dict[str, str]:
    """Return the texts of a dictionary."""
    source = (folder / f"{language}.js").read_text("utf-8")
    entries = re.findall(r'^  ("[\w.]+"): (".*"),$', source, re.MULTILINE)
    assert len(entries) == source.count("\n  ")
    found = {key[1:-1]: text[1:-1] for key, text in entries}
    assert len(found) == len(entries)
    return found


@pytest.mark.parametrize("folder", WORDS, ids=name_of)
def test_dictionaries_have_the_same_keys(folder: Path) -> None:
    """Both dictionaries have the same keys in the same order, and the same places for values."""
    english, chinese = dictionary(folder, "en"), dictionary(folder, "zh")
    assert list(english) == list(chinese)
    for key, text in english.items():
        assert set(re.findall(r"\{\w+\}", text)) == set(re.findall(r"\{\w+\}", chinese[key])), key
    assert not [key for key, text in english.items() if re.search(r"[\u4e00-\u9fff]", text)]


def test_every_key_exists_and_is_used() -> None:
    """Every key in a module is in the dictionaries that are there with it, and every key is in a module."""
    base = set(dictionary(FOLDER / "js" / "words", "en"))
    everything = set(base)
    used: set[str] = set()
    for view in sorted({view_of(path) for path in MODULES}, key=str):
        modules = [path for path in MODULES if view_of(path) == view and path.parent.name != "words"]
        source = "".join(path.read_text("utf-8") for path in modules)
        keys = set(re.findall(r"\bt\(\"([\w.]+)\"", source))
        keys |= set(re.findall(r"\b(?:title|about): \"(\w+\.\w+)\"", source))
        own = set(dictionary(FOLDER / "js" / "views" / view / "words", "en")) if view else set()
        assert not own & everything
        assert keys <= base | own, (view, keys - base - own)
        assert own <= keys, (view, own - keys)
        everything |= own
        used |= keys
        assert not re.findall(r"\bt\((?!\"|view\.(?:title|about)\)|key)[^)]*\)", source), view
    assert everything <= used, everything - used


def test_styles_load_nothing_else() -> None:
    """Styles import nothing, load nothing but the page's own icon, and take colors from the tokens."""
    for path in STYLES:
        text = path.read_text("utf-8")
        assert "@import" not in text
        assert set(re.findall(r"url\(([^)]*)\)", text)) <= {'"../icon.svg"'}
        if path.name != "tokens.css":
            assert not re.findall(r"#[0-9a-fA-F]{3,8}\b", text), path.name


def test_both_dark_themes_are_the_same() -> None:
    """The dark values of the system's choice and of the page's switch are the same."""
    text = (FOLDER / "styles" / "tokens.css").read_text("utf-8")
    blocks = [re.sub(r"\s+", " ", block) for block in re.findall(r"\{\s*color-scheme: dark;(.*?)\}", text, re.DOTALL)]
    assert len(blocks) == 2
    assert blocks[0] == blocks[1]
