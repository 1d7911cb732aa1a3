"""The page's files: their version, their compression, and which of them load first."""

import gzip
from pathlib import Path

from homeport.api.page.page_files import FOLDER, PageFiles, static_imports


def small_page(folder: Path, main: str = 'import "./a.js";\n') -> PageFiles:
    """Write a page of a few files."""
    (folder / "js").mkdir(parents=True)
    (folder / "index.html").write_text("<link href='page/{version}/a.css'>{preloads}")
    (folder / "js" / "main.js").write_text(main)
    (folder / "js" / "a.js").write_text('export {b} from "../js/b.js";\nexport const load = () => import("./c.js");\n')
    (folder / "js" / "b.js").write_text("export const b = 1;\n")
    (folder / "js" / "c.js").write_text("export const c = 1;\n")
    return PageFiles(folder)


def test_a_change_is_another_version(tmp_path: Path) -> None:
    """Equal files have the same version, and any change another one; only the current version's files are found."""
    page = small_page(tmp_path / "a")
    assert small_page(tmp_path / "b").version == page.version
    changed = small_page(tmp_path / "c", main='import "./b.js";\n')
    assert changed.version != page.version
    assert page.find(page.version, "js/main.js") is not None
    assert page.find(changed.version, "js/main.js") is None


def test_index_names_what_loads_first(tmp_path: Path) -> None:
    """The index names the version, and every module that the entry imports statically, in its turn; no others."""
    page = small_page(tmp_path)
    text = page.index.content.decode()
    assert f"page/{page.version}/a.css" in text
    for name, is_named in (("main", True), ("a", True), ("b", True), ("c", False)):
        assert (f'"page/{page.version}/js/{name}.js"' in text) == is_named


def test_what_opens_the_session_loads_first(tmp_path: Path) -> None:
    """The index names the modules that open the session before all others, and each only once."""
    page = small_page(tmp_path)
    (tmp_path / "js" / "opening.js").write_text('import "./b.js";\n')
    text = page.index.content.decode()
    places = [text.index(f"/js/{name}.js") for name in ("opening", "b", "main", "a")]
    assert places == sorted(places)
    assert text.count("/js/b.js") == 1


def test_styles_are_one_file(tmp_path: Path) -> None:
    """The styles that the index lists are one file, in their order, and the index names only that one."""
    page = small_page(tmp_path)
    (tmp_path / "styles").mkdir()
    for name in ("b", "a"):
        (tmp_path / "styles" / f"{name}.css").write_text(f".{name} {{}}")
    links = "".join(f'<link rel="stylesheet" href="page/{{version}}/styles/{name}.css">\n' for name in ("b", "a"))
    (tmp_path / "index.html").write_text(f"<head>\n{links}</head>")
    file = page.find(page.version, "styles/page.css")
    assert file is not None
    assert file.content == b".b {}\n.a {}"
    link = f'<link rel="stylesheet" href="page/{page.version}/styles/page.css">\n'
    assert page.index.content.decode() == f"<head>\n{link}</head>"


def test_index_names_what_a_view_loads(tmp_path: Path) -> None:
    """The index names the modules of each view that do not load with the frame."""
    page = small_page(tmp_path)
    (tmp_path / "js" / "views" / "talk").mkdir(parents=True)
    listed = 'const VIEWS = [\n  {\n    name: "chat",\n    load: () => import("./views/talk/talk.js"),\n  },\n];\n'
    (tmp_path / "js" / "views.js").write_text(listed)
    (tmp_path / "js" / "views" / "talk" / "talk.js").write_text('import "../../b.js";\nimport "./more.js";\n')
    (tmp_path / "js" / "views" / "talk" / "more.js").write_text("")
    (tmp_path / "index.html").write_text("{views}")
    modules = "js/views/talk/talk.js js/views/talk/more.js"
    assert page.index.content.decode() == f'<meta name="view" content="chat" data-modules="{modules}">'


def test_only_known_types_are_files(tmp_path: Path) -> None:
    """Files of other types than the page's, and paths that leave the folder, are not found."""
    page = small_page(tmp_path / "page")
    (tmp_path / "page" / "js" / "secret.txt").write_text("no")
    (tmp_path / "outside.js").write_text("no")
    for name in ("js/secret.txt", "../outside.js", "js/../../outside.js", "js", "", "index.html"):
        assert page.find(page.version, name) is None, name


def test_static_imports_are_paths_in_the_folder() -> None:
    """Imports and exports from modules are found in all their forms, dynamic ones are not."""
    source = """import a, {b} from "./a.js";
import "../side.js";
import {
  c,
} from './sub/c.js';
export {d} from "./d.js";
const e = () => import("./e.js");
import f from"./f.js";
"""
    found = static_imports("js/main.js", source)
    assert found == ["js/a.js", "side.js", "js/sub/c.js", "js/d.js", "js/f.js"]


def test_whole_page_is_small() -> None:
    """The libraries take at most 400 kB compressed, all files together at most 550 kB."""
    sizes = {path: len(gzip.compress(path.read_bytes())) for path in FOLDER.rglob("*") if path.is_file()}
    assert sum(size for path, size in sizes.items() if "vendor" in path.parts) <= 400_000
    assert sum(sizes.values()) <= 550_000


def test_first_load_is_small() -> None:
    """What a browser loads before it shows anything takes at most 60 kB compressed."""
    page = PageFiles()
    names = [part.split('"')[0] for part in page.index.content.decode().split(f"page/{page.version}/")[1:]]
    files = [page.find(page.version, name) for name in names]
    assert all(files)
    assert sum(len(file.packed) for file in files if file) <= 60_000
