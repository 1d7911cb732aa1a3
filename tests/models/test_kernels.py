import io
import json
import platform
import tarfile
from pathlib import Path

import pytest

from homeport.domain.errors import InvalidRequest, Unavailable
from homeport.models.kernels import (
    VERSION,
    find_installed_kernels,
    has_kernels,
    install_kernels,
)
from tests.models.fakes import Recorder


@pytest.fixture(autouse=True)
def _linux(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")


def tarball(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


GOOD = {
    "package/package.json": b"{}",
    "package/LICENSE": b"MIT",
    "package/bins/linux-x64/libllama.v0.5.0.so": b"one",
    "package/bins/linux-x64/llama-addon.node": b"node",
}


def test_only_the_libraries_are_unpacked(tmp_path: Path, progress: Recorder) -> None:
    """The libraries and their license are in the variant's folder, which then is the installed one."""
    assert find_installed_kernels(tmp_path) is None
    folder = install_kernels(tmp_path, "cpu", tarball(tmp_path / "k.tgz", GOOD), progress)
    assert find_installed_kernels(tmp_path) == folder
    assert sorted(path.name for path in folder.iterdir()) == ["LICENSE", "kernels.json", "libllama.v0.5.0.so"]
    assert json.loads((folder / "kernels.json").read_bytes())["tested"] is False
    assert any("not tested" in message for message in progress.messages)


def test_new_kernels_replace_the_old_ones_whole(tmp_path: Path, progress: Recorder) -> None:
    """An installation over another leaves no old library, and a failed one leaves the old ones."""
    install_kernels(tmp_path, "cpu", tarball(tmp_path / "k.tgz", GOOD), progress)
    newer = tarball(tmp_path / "n.tgz", {"package/bins/linux-x64/libllama.so.1": b"two"})
    folder = install_kernels(tmp_path, "cpu", newer, progress)
    assert sorted(path.name for path in folder.iterdir()) == ["kernels.json", "libllama.so.1"]
    with pytest.raises(InvalidRequest, match="no libraries"):
        install_kernels(tmp_path, "cpu", tarball(tmp_path / "e.tgz", {"package/README.md": b""}), progress)
    assert (folder / "libllama.so.1").read_bytes() == b"two"
    assert sorted(path.name for path in (tmp_path / "kernels").iterdir()) == ["chosen", "cpu"]


def test_backends_for_older_drivers_replace_no_others(tmp_path: Path, progress: Recorder) -> None:
    """A backend in a folder `fallback`, which has the name of another one, stays apart in such a folder."""
    members = {
        "package/bins/linux-x64-cuda/libggml-cuda.so": b"CUDA 13",
        "package/bins/linux-x64-cuda/fallback/libggml-cuda.so": b"CUDA 12",
    }
    folder = install_kernels(tmp_path, "cuda", tarball(tmp_path / "k.tgz", members), progress)
    assert (folder / "libggml-cuda.so").read_bytes() == b"CUDA 13"
    assert (folder / "fallback" / "libggml-cuda.so").read_bytes() == b"CUDA 12"


def test_a_hostile_tarball_writes_nowhere_else(tmp_path: Path, progress: Recorder) -> None:
    """Paths that climb out, links and devices stay within the kernels' folder."""
    path = tarball(tmp_path / "h.tgz", {"package/../../../../evil.so": b"x"})
    with tarfile.open(tmp_path / "links.tgz", "w:gz") as archive:
        link = tarfile.TarInfo("package/bins/liblink.so")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    folder = install_kernels(tmp_path / "home", "cpu", path, progress)
    assert (folder / "evil.so").read_bytes() == b"x"
    assert not (tmp_path / "evil.so").exists()
    with pytest.raises(InvalidRequest, match="no libraries"):
        install_kernels(tmp_path / "home", "cpu", tmp_path / "links.tgz", progress)


def test_files_that_are_no_tarballs_are_refused(tmp_path: Path, progress: Recorder) -> None:
    """A missing file, another format, or a truncated file gets one clear message."""
    with pytest.raises(InvalidRequest, match="no file"):
        install_kernels(tmp_path, "cpu", tmp_path / "none.tgz", progress)
    (tmp_path / "x.tgz").write_bytes(b"hello")
    with pytest.raises(InvalidRequest, match="not a readable tarball"):
        install_kernels(tmp_path, "cpu", tmp_path / "x.tgz", progress)
    whole = tarball(tmp_path / "k.tgz", {"package/libx.so": bytes(range(256)) * 4000}).read_bytes()
    (tmp_path / "cut.tgz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidRequest, match="not a readable tarball"):
        install_kernels(tmp_path, "cpu", tmp_path / "cut.tgz", progress)
    assert find_installed_kernels(tmp_path) is None


def test_without_network_or_npm_a_file_is_asked_for(
    tmp_path: Path, progress: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Offline nothing is fetched; without npm the message has the command to run elsewhere."""
    with pytest.raises(Unavailable, match="HOMEPORT_OFFLINE"):
        install_kernels(tmp_path, "cpu", None, progress, offline=True)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(Unavailable, match="npm pack @node-llama-cpp/linux-x64@"):
        install_kernels(tmp_path, "cpu", None, progress)


def test_npm_is_driven_and_its_tarball_checked(
    tmp_path: Path, progress: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A fetched tarball is compared with the pinned hash; another one of that name and version is refused."""
    made = tarball(tmp_path / "made.tgz", GOOD)
    npm = tmp_path / "npm"
    npm.write_text(
        f"#!/bin/sh\nfor a; do case $a in --pack-destination=*) cp {made} ${{a#*=}}/p.tgz;; esac; done\n"
        'echo \'[{"filename": "p.tgz", "integrity": "sha512-abc"}]\'\n'
    )
    npm.chmod(0o755)
    monkeypatch.setattr("shutil.which", lambda _: str(npm))
    with pytest.raises(Unavailable, match="not the pinned one"):
        install_kernels(tmp_path, "cpu", None, progress)
    folder = install_kernels(tmp_path, "cuda", None, progress)
    origin, _ = json.loads((folder / "kernels.json").read_bytes())["origins"]
    assert (origin["package"], origin["integrity"]) == ("linux-x64-cuda", "sha512-abc")
    assert any("no pinned hash" in message for message in progress.messages)


def test_a_variant_that_a_platform_lacks_lists_those_it_has(
    tmp_path: Path, progress: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requesting CUDA on a platform without it lists the available variants."""
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    with pytest.raises(InvalidRequest, match=r"there are: cpu"):
        install_kernels(tmp_path, "cuda", None, progress)


def test_what_is_there_is_told_by_what_lies_there(tmp_path: Path, progress: Recorder) -> None:
    """Kernels are installed if their libraries exist, of this release or of another chosen variant."""
    assert not has_kernels(tmp_path, "cpu")
    folder = install_kernels(tmp_path, "cpu", tarball(tmp_path / "k.tgz", GOOD), progress)
    assert has_kernels(tmp_path, "cpu")
    assert has_kernels(tmp_path, "vulkan")
    note = folder / "kernels.json"
    note.write_text(note.read_text().replace(f'"{VERSION}"', '"3.0.0"'))
    assert not has_kernels(tmp_path, "cpu")
    assert has_kernels(tmp_path, "vulkan")
    install_kernels(tmp_path, "cpu", tmp_path / "k.tgz", progress)
    for library in folder.glob("*.so*"):
        library.unlink()
    assert not has_kernels(tmp_path, "cpu")
