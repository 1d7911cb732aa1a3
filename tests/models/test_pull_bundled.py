import hashlib
from pathlib import Path

import msgspec
import pytest

from homeport.domain.errors import Unavailable
from homeport.models.catalogue import Catalogue
from homeport.models.catalogue_entry import CatalogueEntry, CatalogueFile, CatalogueSource, Licence
from homeport.models.model_store import ModelStore
from homeport.models.pull import pull
from homeport.models.pull_options import PullOptions
from homeport.models.sources import bundled
from tests.models.fakes import Recorder

DATA = bytes(range(256)) * 10_000
OFFLINE = PullOptions(offline=True, hubs=())


@pytest.fixture
def entry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogueEntry:
    """Return a model of two files in a folder that replaces the package's own."""
    monkeypatch.setattr(bundled, "ROOT", tmp_path / "package")
    (tmp_path / "package" / "tiny").mkdir(parents=True)
    files = []
    for role in ("step", "decoder"):
        data = role.encode() + DATA
        (tmp_path / "package" / "tiny" / f"{role}.onnx").write_bytes(data)
        files.append(CatalogueFile(f"tiny/{role}.onnx", role, len(data), hashlib.sha256(data).hexdigest()))
    licence = Licence("apache-2.0", "here", verified=True)
    source = CatalogueSource("bundled", tuple(files))
    return CatalogueEntry("tiny", "A model in the box.", "images", "clipart", licence, ("images",), (source,))


def test_a_model_in_the_package_is_installed_offline(
    entry: CatalogueEntry, store: ModelStore, progress: Recorder
) -> None:
    """Its files are copied from the package with no hub allowed, under their own names, and are verified."""
    model = pull("tiny", store, OFFLINE, progress, Catalogue((entry,)))
    assert {role: path.name for role, path in model.files.items()} == {"step": "step.onnx", "decoder": "decoder.onnx"}
    assert model.files["decoder"].read_bytes() == b"decoder" + DATA
    assert progress.done == progress.size == model.facts.size_bytes
    assert store.manifest("tiny").source == "this program's own package"


def test_other_bytes_than_the_pinned_are_not_installed(
    entry: CatalogueEntry, tmp_path: Path, store: ModelStore, progress: Recorder
) -> None:
    """A changed file in the package is refused, and the model is not installed."""
    (tmp_path / "package" / "tiny" / "step.onnx").write_bytes(DATA)
    with pytest.raises(Unavailable, match="wrong bytes"):
        pull("tiny", store, OFFLINE, progress, Catalogue((entry,)))
    assert store.find("tiny") is None


def test_an_installation_without_the_file_says_so(entry: CatalogueEntry, store: ModelStore, progress: Recorder) -> None:
    """A file that the package lacks is named, with what to do."""
    (source,) = entry.sources
    lost = msgspec.structs.replace(source, files=(msgspec.structs.replace(source.files[0], path="tiny/lost.onnx"),))
    entry = msgspec.structs.replace(entry, sources=(lost,))
    with pytest.raises(Unavailable, match=r"lacks tiny/lost.onnx: install Homeport again"):
        pull("tiny", store, OFFLINE, progress, Catalogue((entry,)))


def test_bundled_files_are_pinned() -> None:
    """A file in the package without size and hash is refused by the catalogue."""
    with pytest.raises(ValueError, match="needs its size and its sha256"):
        CatalogueSource("bundled", (CatalogueFile("x/y.onnx"),))
