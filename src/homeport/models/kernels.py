"""Installs prebuilt llama.cpp libraries under `<home>/kernels/<variant>/`, from an npm tarball.

The tarball is only data: no Node program runs, and only its libraries, its license and its build note are unpacked.
Knows nothing of how an engine loads them.
"""

import platform
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path, PurePosixPath
from typing import Literal

import msgspec

from homeport.domain import child_environment
from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.domain.operations import ProgressReporter
from homeport.formats import atomic
from homeport.models import disk

VERSION = "3.22.1"
"""The pinned release of `@node-llama-cpp/<platform>`."""

Variant = Literal["cpu", "cuda", "vulkan"]

_PINNED = {
    "linux-x64": "0d953e1503d5ab4608d8ed5b739132308c81ac05ffeb760d2a7f30e08a9f90e0",
    "linux-x64-vulkan": "e10577190fc4bd1649d3b655588e5c7a85fc6b6dbf7136fee596cbe9e25521e7",
}
_PACKAGES: dict[tuple[str, str], dict[str, tuple[str, ...]]] = {
    ("Linux", "x86_64"): {
        "cpu": ("linux-x64",),
        "cuda": ("linux-x64-cuda", "linux-x64-cuda-ext"),
        "vulkan": ("linux-x64-vulkan",),
    },
    ("Linux", "aarch64"): {"cpu": ("linux-arm64",)},
    ("Darwin", "arm64"): {"cpu": ("mac-arm64-metal",)},
    ("Darwin", "x86_64"): {"cpu": ("mac-x64",)},
    ("Windows", "AMD64"): {
        "cpu": ("win-x64",),
        "cuda": ("win-x64-cuda", "win-x64-cuda-ext"),
        "vulkan": ("win-x64-vulkan",),
    },
    ("Windows", "ARM64"): {"cpu": ("win-arm64",)},
}
_CHOSEN = "chosen"
_NOTE = "kernels.json"
_FALLBACK = "fallback"
"""The folder, in a tarball and here, of GPU backends for older drivers, with the same names as those for newer ones."""

_MAX_UNPACKED_BYTES = 4 << 30  # unpacked; those for CUDA have some hundred megabytes


class Origin(msgspec.Struct, frozen=True):
    """One tarball that the kernels came from. `integrity` is npm's own SHA-512, if npm fetched it."""

    package: str
    sha256: str
    integrity: str | None = None


class Kernels(msgspec.Struct, frozen=True):
    """The installed kernels. `tested`: whether this tarball has the pinned hash."""

    variant: str
    version: str
    tested: bool
    origins: tuple[Origin, ...]


def install_kernels(
    home: Path, variant: Variant, tarball: Path | None, progress: ProgressReporter, *, offline: bool = False
) -> Path:
    """Install the kernels and return their folder. `tarball` is a downloaded one; None: `npm pack` fetches it.

    Raises InvalidRequest if this platform has no such variant or the file is not such a tarball, and Unavailable if npm
    is missing or fails, or the pinned SHA-256 differs.
    """
    packages = _packages(variant)
    root = home / "kernels"
    root.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root, prefix=f".{variant}-", suffix=".part") as work:
        fetched: list[tuple[Path, Origin]] = []
        if tarball is not None:
            if not tarball.is_file():
                raise InvalidRequest(f"There is no file {tarball}.")
            fetched.append((tarball, Origin(packages[0], disk.sha256(tarball))))
        else:
            if offline:
                raise Unavailable("HOMEPORT_OFFLINE is set, so nothing is fetched: give the tarball as a file.")
            fetched.extend(_npm_pack(package, Path(work), progress) for package in packages)
        new_folder = Path(work) / "fresh"
        new_folder.mkdir()
        for path, origin in fetched:
            _check(origin, is_file=tarball is not None, progress=progress)
            with disk.translate_disk_full(root):
                _unpack(path, new_folder)
        tested = all(_PINNED.get(origin.package) == origin.sha256 for _, origin in fetched)
        note = Kernels(variant, VERSION, tested, tuple(origin for _, origin in fetched))
        (new_folder / _NOTE).write_bytes(msgspec.json.format(msgspec.json.encode(note), indent=2))
        return _replace_folder(new_folder, root / variant, Path(work))


def find_installed_kernels(home: Path) -> Path | None:
    """Return the folder of the latest installed kernels, for the engine's `library`; None if there are none."""
    chosen = home / "kernels" / _CHOSEN
    if not chosen.is_file():
        return None
    folder = home / "kernels" / PurePosixPath(chosen.read_text(encoding="utf-8").strip()).name
    return folder if (folder / _NOTE).is_file() else None


def has_kernels(home: Path, variant: Variant) -> bool:
    """Return whether installed kernels need no replacement: they are of this release, or of another variant."""
    folder = find_installed_kernels(home)
    if folder is None or not any(_is_library(path.name) for path in folder.iterdir()):
        return False
    installed = msgspec.json.decode((folder / _NOTE).read_bytes(), type=Kernels)
    return installed.variant != variant or installed.version == VERSION


def _packages(variant: str) -> tuple[str, ...]:
    system, machine = platform.system(), platform.machine()
    available = _PACKAGES.get((system, machine), {})
    if variant not in available:
        choice = ", ".join(available) or "none"
        raise InvalidRequest(f"There are no {variant} kernels for {system} on {machine} (there are: {choice}).")
    return available[variant]


def _npm_pack(package: str, work: Path, progress: ProgressReporter) -> tuple[Path, Origin]:
    npm = shutil.which("npm")
    name = f"@node-llama-cpp/{package}@{VERSION}"
    if npm is None:
        raise Unavailable(
            f"npm is not installed to fetch {name}: install Node.js, or fetch the tarball elsewhere with "
            f"`npm pack {name}` and give it as a file. Without it the slower built-in kernels are used."
        )
    progress.message(f"Fetching {name}.")
    command = [npm, "pack", name, "--json", "--silent", f"--pack-destination={work}"]
    completed = subprocess.run(
        command,
        capture_output=True,
        text=True,
        check=False,
        cwd=work,
        env=child_environment.environment_without_settings(),
    )
    if completed.returncode:
        output = (completed.stderr.strip() or completed.stdout.strip()).splitlines()
        raise Unavailable(
            f"npm could not fetch {name}: {output[0] if output else 'no message'} - check the network and "
            "`npm config get registry`."
        )
    try:
        facts = msgspec.json.decode(completed.stdout, type=list[dict[str, object]])[0]
    except (msgspec.DecodeError, IndexError) as error:
        raise Unavailable(f"npm returned something unexpected for {name}: give the tarball as a file.") from error
    tarballs = sorted(work.glob("*.tgz"), key=lambda path: path.stat().st_mtime_ns)
    if not tarballs:
        raise Unavailable(f"npm fetched {name} but left no tarball: give it as a file.")
    path = tarballs[-1].replace(work / f"{package}.tarball")
    return path, Origin(package, disk.sha256(path), str(facts.get("integrity")))


def _check(origin: Origin, *, is_file: bool, progress: ProgressReporter) -> None:
    pinned = _PINNED.get(origin.package)
    if pinned is None:
        progress.message(
            f"The kernels {origin.package} {VERSION} have no pinned hash: they are not tested with this version."
        )
    elif pinned != origin.sha256 and is_file:
        progress.message(
            f"This tarball is not the pinned {origin.package} {VERSION}: it is not tested with this version."
        )
    elif pinned != origin.sha256:
        raise Unavailable(f"The registry's {origin.package} {VERSION} is not the pinned one (its SHA-256 differs).")


def _unpack(tarball: Path, folder: Path) -> None:
    left = _MAX_UNPACKED_BYTES
    libraries = 0
    try:
        with tarfile.open(tarball, "r:gz") as archive:
            for member in archive:
                name = PurePosixPath(member.name).name
                is_library = _is_library(name)
                if not member.isreg() or not (is_library or name in ("LICENSE", "_nlcBuildMetadata.json")):
                    continue
                left -= member.size
                source = archive.extractfile(member)
                if left < 0 or source is None:
                    raise InvalidRequest(f"{tarball.name} unpacks to more than {_MAX_UNPACKED_BYTES} bytes.")
                # Only base names: a member's path is not trusted.
                part = folder / _FALLBACK if PurePosixPath(member.name).parent.name == _FALLBACK else folder
                part.mkdir(exist_ok=True)
                with source, (part / name).open("wb") as target:
                    shutil.copyfileobj(source, target, 1 << 20)
                libraries += is_library
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise InvalidRequest(f"{tarball.name} is not a readable tarball: {error}.") from error
    if not libraries:
        raise InvalidRequest(f"{tarball.name} holds no libraries: it is not @node-llama-cpp's.")


def _is_library(name: str) -> bool:
    return name.endswith((".so", ".dylib", ".dll", ".metal")) or ".so." in name


def _replace_folder(new_folder: Path, final: Path, work: Path) -> Path:
    """Replace the folder; running programs keep the old libraries open."""
    if final.exists():
        final.replace(work / "old")
    new_folder.replace(final)
    atomic.write_file(final.parent / _CHOSEN, final.name.encode(), mode=0o666, is_durable=False)
    return final
