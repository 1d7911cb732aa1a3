"""The pages of docs/ agree with the code, and the two READMEs with each other and with the tree."""

import re
from pathlib import Path

import pytest

from homeport import __version__
from homeport.settings import SETTINGS
from scripts import write_docs

ROOT = Path(__file__).parent.parent
READMES = [ROOT / "README.md", ROOT / "README.zh.md"]
PAGES = [*READMES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]


def _blocks(path: Path) -> list[str]:
    """Return the code blocks of a page, without comments, which are in the page's language."""
    found = re.findall(r"^```\w*\n(.*?)^```", path.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [re.sub(r"\s+#.*", "", block) for block in found]


def _anchors(path: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    titles = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def test_generated_pages_are_fresh() -> None:
    """docs/cli.md and docs/settings.md are what the code generates."""
    assert write_docs.stale() == []


def test_stale_page_is_named(tmp_path: Path) -> None:
    """A page that differs from the code, or is missing, is found."""
    (tmp_path / "cli.md").write_text(write_docs.cli_page())
    (tmp_path / "settings.md").write_text(write_docs.settings_page() + "and more")
    assert write_docs.stale(tmp_path) == ["settings.md"]
    (tmp_path / "cli.md").unlink()
    assert write_docs.stale(tmp_path) == ["cli.md", "settings.md"]


def test_every_command_is_documented() -> None:
    """Every command and every setting has an entry in its page."""
    page = write_docs.cli_page()
    names = ["serve", "pull", "list", "show", "rm", "ps", "stop", "run", "kernels install", "doctor", "config check"]
    assert not [name for name in names if f"\n## homeport {name}\n" not in page]
    assert not [name for name in SETTINGS if f"| `{name}` |" not in write_docs.settings_page()]


def test_readmes_run_the_same() -> None:
    """Both READMEs show the same commands, programs and answers, in the same order."""
    english, chinese = map(_blocks, READMES)
    assert english
    assert english == chinese


def test_readmes_have_the_same_sections() -> None:
    """Both READMEs have the same number of sections at the same levels."""
    levels = [
        re.findall(r"^(#+) ", re.sub(r"```.*?```", "", p.read_text("utf-8"), flags=re.DOTALL), re.M) for p in READMES
    ]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("path", READMES, ids=lambda path: path.name)
def test_readmes_are_short(path: Path) -> None:
    """A README has at most 350 lines; the rest is in docs/."""
    assert len(path.read_text("utf-8").splitlines()) <= 350


def test_tree_shows_every_room() -> None:
    """The tree in docs/architecture.md has a line for every folder of the package."""
    text = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rooms = [init.parent.name for init in sorted((ROOT / "src" / "homeport").glob("*/__init__.py"))]
    assert not [room for room in rooms if not re.search(rf"^ +{room}/ ", text, re.MULTILINE)]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_have_targets(path: Path) -> None:
    """Every relative link of a page names a file that exists, and a heading of it if it names one."""
    dead = []
    for link, anchor in re.findall(r"\]\(([^)#:\s]*)(?:#([^)]*))?\)", path.read_text("utf-8")):
        target = path.parent / link if link else path
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            dead.append(f"{link}#{anchor}")
    assert dead == []


def test_decisions_are_short_and_dated() -> None:
    """Every decision has a date, names what was rejected, and takes no more than 15 lines."""
    text = (ROOT / "docs" / "decisions.md").read_text("utf-8")
    entries = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    assert entries
    for entry in entries:
        assert re.match(r"\d{4}-\d{2}-\d{2} · ", entry), entry.splitlines()[0]
        assert len(entry.strip().splitlines()) <= 15, entry.splitlines()[0]
        assert "Rejected" in entry, entry.splitlines()[0]


def test_index_of_decisions_lists_each_once() -> None:
    """The index of docs/decisions.md links to every decision, by its title."""
    text = (ROOT / "docs" / "decisions.md").read_text("utf-8")
    titles = re.findall(r"^## [\d-]+ · (.*)$", text, re.MULTILINE)
    assert sorted(re.findall(r"^- \[(.*)\]\(#", text, re.MULTILINE)) == sorted(titles)


def test_changelog_opens_with_this_version() -> None:
    """The changelog's newest entry is the version in the code, or what is yet to be released."""
    newest = re.search(r"^## \[([^\]]+)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest
    assert newest[1] in (__version__, "Unreleased")
