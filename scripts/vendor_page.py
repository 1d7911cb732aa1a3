"""Fetches the page's libraries from npm into the package: `python -m scripts.vendor_page`.

The lock (`lock.json` in `src/homeport/api/page/files/vendor`) names each package, its version, its license, and the
hashes of its tarball and of the files taken from it. `--update` writes the hashes that were found; without it another
hash is an error. npm fetches, so the registry is the one that it is configured for.
"""

import argparse
import hashlib
import json
import re
import sys
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from homeport.models.sources import npm

ROOT = Path(__file__).parent.parent
VENDOR = ROOT / "src" / "homeport" / "api" / "page" / "files" / "vendor"
TESTS = ROOT / "tests" / "system" / "page"
LOCK = VENDOR / "lock.json"
TEST_LOCK = TESTS / "lock.json"

_SOURCE_MAP = re.compile(r"\n*//# sourceMappingURL=.*")


def _without_source_map(text: str) -> str:
    return _SOURCE_MAP.sub("", text).rstrip() + "\n"


def _relative_preact(text: str) -> str:
    """A browser without an import map resolves no bare names."""
    return re.sub(r'from\s*"preact"', 'from"./preact.js"', text)


def _exported(name: str) -> Callable[[str], str]:
    """Return an edit that makes a script that defines one global a module that exports it."""
    return lambda text: f"{text.rstrip()}\nexport default {name};\n"


def _without_font(text: str) -> str:
    """Drop the rules that load a font: the system's fonts are used."""
    return re.sub(r"@font-face\s*\{[^}]*\}\s*", "", text)


EDITS: Mapping[str, Callable[[str], str]] = {
    "preact-hooks.js": _relative_preact,
    "uplot.js": _exported("uPlot"),
    "temml.js": _exported("temml"),
    "temml.css": _without_font,
}
"""What is changed in a file besides its name, by its name here."""


def main() -> None:
    """Fetch all packages of both locks, check the hashes and write the files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--update", action="store_true", help="write the hashes that were found into the lock")
    is_update = parser.parse_args().update
    for lock_path in (LOCK, TEST_LOCK):
        lock = json.loads(lock_path.read_text("utf-8"))
        faults = [fault for package in lock["packages"] for fault in fetch(package, lock_path.parent, is_update)]
        if faults:
            sys.exit("\n".join(faults))
        if is_update:
            lock_path.write_text(json.dumps(lock, indent=2) + "\n", "utf-8")


def fetch(package: dict[str, Any], folder: Path, is_update: bool) -> list[str]:
    """Fetch one package and write its files; return what differs from the lock. Raises Unavailable."""
    pinned = f"{package['name']}@{package['version']}"
    print(pinned)
    with tempfile.TemporaryDirectory() as scratch:
        tarball = npm.pack(pinned, Path(scratch))
        faults = _check(package, hashlib.sha256(tarball.read_bytes()).hexdigest(), pinned, is_update)
        if faults:
            return faults
        with tarfile.open(tarball, "r:gz") as archive:
            for file in package["files"]:
                member = archive.extractfile(f"package/{file['from']}")
                if member is None:
                    return [f"{pinned} has no {file['from']}"]
                data = adapt(file["name"], member.read())
                faults += _check(file, hashlib.sha256(data).hexdigest(), file["name"], is_update)
                (folder / file["name"]).parent.mkdir(exist_ok=True)
                (folder / file["name"]).write_bytes(data)
    return faults


def adapt(name: str, data: bytes) -> bytes:
    """Return the file as the page needs it: a module with relative imports that names no source map."""
    if not name.endswith((".js", ".css")):
        return data
    text = _without_source_map(data.decode("utf-8"))
    edit = EDITS.get(name)
    return (edit(text) if edit else text).encode()


def _check(entry: dict[str, Any], digest: str, name: str, is_update: bool) -> list[str]:
    if is_update:
        entry["sha256"] = digest
    return [] if entry["sha256"] == digest else [f"{name} has the SHA-256 {digest}, the lock says {entry['sha256']}"]


if __name__ == "__main__":
    main()
