"""The page's libraries are what their lock says, with their licenses."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from homeport.models.sources import npm
from scripts import vendor_page

LICENSES = {"MIT", "Apache-2.0", "BSD-3-Clause", "BSD-2-Clause", "MPL-2.0"}
LOCKS = (vendor_page.LOCK, vendor_page.TEST_LOCK)


def packages(lock: Path) -> list[dict[str, Any]]:
    """Return the packages of a lock."""
    found: list[dict[str, Any]] = json.loads(lock.read_text("utf-8"))["packages"]
    return found


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.parent.name)
def test_files_have_the_hashes_of_the_lock(lock: Path) -> None:
    """Every file of the lock is there with its hash, and every package has a known license and its text."""
    for package in packages(lock):
        assert re.fullmatch(r"[0-9a-f]{64}", package["sha256"]), package["name"]
        assert re.fullmatch(r"\d+\.\d+\.\d+", package["version"])
        assert package["license"] in LICENSES
        assert [file for file in package["files"] if "license" in file["name"]]
        for file in package["files"]:
            assert hashlib.sha256((lock.parent / file["name"]).read_bytes()).hexdigest() == file["sha256"]


def test_no_file_is_outside_the_lock() -> None:
    """The folder of libraries has no file that the lock does not name."""
    named = {file["name"] for package in packages(vendor_page.LOCK) for file in package["files"]}
    folder = vendor_page.VENDOR
    found = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert found == {*named, "lock.json"}


def test_libraries_are_modules_without_bare_imports() -> None:
    """No library imports a bare name, names a source map or loads a font."""
    for path in vendor_page.VENDOR.rglob("*.js"):
        text = path.read_text("utf-8")
        assert not re.findall(r"""(?m)^(?:import|export)\b(?:[^;'"()]*\bfrom)?\s*["'](?!\.)""", text), path.name
        assert "sourceMappingURL" not in text
    assert "font-face" not in (vendor_page.VENDOR / "temml.css").read_text("utf-8")


@pytest.mark.parametrize(
    ("name", "before", "after"),
    [
        ("a.js", "x;\n//# sourceMappingURL=a.map", "x;\n"),
        ("preact-hooks.js", 'import{options as n}from"preact";', 'import{options as n}from"./preact.js";\n'),
        ("uplot.js", "var uPlot=1;", "var uPlot=1;\nexport default uPlot;\n"),
        ("temml.css", "@font-face { src: url('x') }\nmath {}", "math {}\n"),
        ("license.txt", "text", "text"),
    ],
)
def test_files_are_adapted(name: str, before: str, after: str) -> None:
    """Only source maps, bare imports, missing exports and fonts are changed; licenses stay as they are."""
    assert vendor_page.adapt(name, before.encode()).decode() == after


def test_a_changed_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tarball with another hash than the lock's is named and not unpacked."""
    tarball = tmp_path / "a.tgz"
    tarball.write_bytes(b"other")
    monkeypatch.setattr(npm, "pack", lambda *_: tarball)
    package = {"name": "a", "version": "1.0.0", "sha256": "0" * 64, "files": []}
    (fault,) = vendor_page.fetch(package, tmp_path, False)
    assert "a@1.0.0 has the SHA-256" in fault
